/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which step a run may take next: memory only, no events. A step is taken in three parts, so that
 * one whose event did not get into the ring leaves no trace:
 *
 *   grammar_check -> (grammar_add of the item it needs new) -> the event is emitted ->
 * grammar_apply
 *                                                           -> or not: grammar_remove
 *
 * Items stay known when they are closed: an identifier is used once a run.
 */
#pragma once

#include "base/identifier.h"
#include "base/list.h"
#include "base/map.h"

enum grammar_step {
#define STEP(symbol, run_before, run_after, set, item_before, item_after) STEP_##symbol,
#include "steps.def"
#undef STEP
};

enum grammar_state { GRAMMAR_NEW, GRAMMAR_RUNNING, GRAMMAR_ENDED };

enum grammar_set {
    GRAMMAR_TEXT,
    GRAMMAR_TOOL,
    GRAMMAR_INTERRUPT,
    GRAMMAR_SETS,
    GRAMMAR_NONE = GRAMMAR_SETS,
};

enum item_state { ITEM_NEW = 1, ITEM_OPEN = 2, ITEM_CLOSED = 4 };

/* The first member of what it is allocated with, since the grammar frees it. */
struct grammar_item {
    struct list_link link; /* grammar.open[set], in the order of opening */
    enum item_state state;
    enum grammar_set set;
    char id[IDENTIFIER_SIZE];
};

struct grammar {
    enum grammar_state state;
    struct map items[GRAMMAR_SETS];      /* grammar_item by id */
    struct list_link open[GRAMMAR_SETS]; /* grammar_item.link */
};

void grammar_init(struct grammar *grammar);
/* Frees the items. */
void grammar_deinit(struct grammar *grammar);

/* The set of the items a step is about. */
enum grammar_set grammar_step_set(enum grammar_step step);
/*
 * RS_OK, RS_E_ORDER or RS_E_ENDED. `id` names the item, if the step is about one; it is borrowed
 * and lives as long as the grammar, or is NULL when the step needs it new.
 */
int grammar_check(struct grammar_item **ret_item, const struct grammar *grammar,
    enum grammar_step step, struct span id);
/* Takes the new item, whose id is set. RS_E_NO_MEMORY, and it stays the caller's. */
int grammar_add(struct grammar *grammar, struct grammar_item *item, enum grammar_set set);
/* Frees an item just added, for a step that was not taken. */
void grammar_remove(struct grammar *grammar, struct grammar_item *item);
/* The step, checked before, was taken. `item` is NULL when it is about none. */
void grammar_apply(struct grammar *grammar, enum grammar_step step, struct grammar_item *item);

/* The item with this id, or NULL. */
struct grammar_item *grammar_find(
    const struct grammar *grammar, enum grammar_set set, struct span id);
/* The open item opened first, or NULL. */
struct grammar_item *grammar_first_open(const struct grammar *grammar, enum grammar_set set);
/* No step is legal from now on. */
void grammar_seal(struct grammar *grammar);
