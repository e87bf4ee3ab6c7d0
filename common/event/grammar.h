/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run may do next. One table (grammar.def) and one engine for all who ask: the emitter
 * before it emits, the broker when it checks again, and who reads a finished stream. Memory only:
 * no clock, log or descriptor.
 *
 * A step is taken in two parts, so that one whose event got nowhere leaves no trace:
 *
 *   who keeps his items (the emitter)     grammar_check, grammar_add of a new one,
 *                                         grammar_apply or grammar_remove
 *   who keeps what is open (the others)   grammar_judge, grammar_follow; both at once: grammar_read
 *
 * An identifier is used once a run. Who keeps his items knows them all. The others remember the
 * last GRAMMAR_PAST_MAX that were closed, as hashes: what a run costs them is bounded, whatever its
 * agent does, and a call of a thousand calls ago is not told from a new one.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "event/event.h"
#include "event/grammar_past.h"

/* Open at once in a run, of each of the sets. */
#define GRAMMAR_OPEN_MAX 1024

enum grammar_step {
    STEP_NONE,
#define STEP(symbol, ...) STEP_##symbol,
#include "event/grammar.def"
#undef STEP
    STEP_COUNT,
};

enum grammar_state {
    GRAMMAR_SAME = 0,
    GRAMMAR_NEVER = 0,
    GRAMMAR_NEW = 1,
    GRAMMAR_RUNNING = 2,
    GRAMMAR_ENDED = 4,
};

enum grammar_set {
    GRAMMAR_TEXT,
    GRAMMAR_TOOL,
    GRAMMAR_INTERRUPT,
    GRAMMAR_SETS,
    GRAMMAR_NONE = GRAMMAR_SETS,
};

enum grammar_author { GRAMMAR_AGENT, GRAMMAR_BROKER };

enum grammar_verdict {
    GRAMMAR_LEGAL,
#define VERDICT(symbol, name) GRAMMAR_##symbol,
#include "event/verdicts.def"
#undef VERDICT
    GRAMMAR_REFUSALS,
    /* Not the broker's: it closes what an end leaves open. */
    GRAMMAR_LEFT_OPEN = GRAMMAR_REFUSALS, /* the end, with a tool call or a text open */
    GRAMMAR_TEXT_NOT_OPEN,                /* the end of a text that has none */
    GRAMMAR_VERDICTS,
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
    bool joined;                         /* from the middle: what is not known may be open */
    struct map items[GRAMMAR_SETS];      /* grammar_item by id */
    struct list_link open[GRAMMAR_SETS]; /* grammar_item.link */
    uint32_t open_count[GRAMMAR_SETS];
    struct grammar_past past;
};

void grammar_init(struct grammar *grammar);
/* Frees the items. */
void grammar_deinit(struct grammar *grammar);
/* The run was going on already when the first event of it was seen. */
void grammar_join(struct grammar *grammar);

/* "tool_not_open"; "legal". Static. */
const char *grammar_verdict_name(enum grammar_verdict verdict);
/* The set of the items a step is about. */
enum grammar_set grammar_step_set(enum grammar_step step);
/* Whether the run has ended behind it. */
bool grammar_step_ends(enum grammar_step step);
/* The step an event is. `interrupt_id` is a member of its data, or empty. */
enum grammar_step grammar_step_of(const struct event *event);
struct span grammar_id_of(
    enum grammar_step step, const struct event *event, struct span interrupt_id);

/*
 * Whether the step may be taken. `id` names the item, if the step is about one; the item is
 * borrowed and lives as long as the grammar knows it, or is NULL when the step needs it new.
 * `ret_item` is written when it is legal.
 */
enum grammar_verdict grammar_check(struct grammar_item **ret_item, const struct grammar *grammar,
    enum grammar_step step, struct span id);
/* The same for an event of this author, whose step and identifier are found in it. */
enum grammar_verdict grammar_judge(const struct grammar *grammar, const struct event *event,
    struct span interrupt_id, enum grammar_author author);

/* Takes the new item, whose id is set. -ENOMEM, and it stays the caller's. */
int grammar_add(struct grammar *grammar, struct grammar_item *item, enum grammar_set set);
/* Frees an item just added, for a step that was not taken. */
void grammar_remove(struct grammar *grammar, struct grammar_item *item);
/* The step, checked before, was taken. `item` is NULL when it is about none. */
void grammar_apply(struct grammar *grammar, enum grammar_step step, struct grammar_item *item);

/*
 * The step was taken: opens an item of `item_size` bytes, zero behind its head, or closes and frees
 * the one that is open. Takes steps that are not legal too, as far as they make sense. `ret_item`
 * is what it just opened, or NULL. -ENOMEM: the item is not known.
 */
int grammar_follow(struct grammar_item **ret_item, struct grammar *grammar, enum grammar_step step,
    struct span id, size_t item_size);
/*
 * The next event of a run, as it stands in a stream; taken when legal. Who wrote it follows from
 * its type and its flag EVENT_FLAG_SYNTHETIC.
 */
enum grammar_verdict grammar_read(
    struct grammar *grammar, const struct event *event, struct span interrupt_id);

/* The item with this id, or NULL. */
struct grammar_item *grammar_find(
    const struct grammar *grammar, enum grammar_set set, struct span id);
/* The open item opened first, or NULL. */
struct grammar_item *grammar_first_open(const struct grammar *grammar, enum grammar_set set);
/* No step is legal from now on. */
void grammar_seal(struct grammar *grammar);
