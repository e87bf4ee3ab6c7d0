/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

/*
 * Folding: several consecutive events become one that stands for all their numbers, its `first_seq`
 * to its `seq`. Pure.
 *
 *   text     deltas of one message: the text is the exact concatenation
 *   status   of one run's thinking: the newest stands for those before it
 *
 * All else (time, identifiers) is the newest event's. Only data of the plainest form is folded,
 * `{"delta":"…"}`, `{"delta":"…","final":true}` or `{"status":"…"}`: what has more to say stays as
 * it is. The text is joined as it stands in JSON, escapes and all.
 */
enum fold_kind {
    FOLD_NOTHING, /* an event that stays as it is */
    FOLD_TEXT,
    FOLD_STATUS,
};

/* An event as folding sees it; the spans are the event's. */
struct foldable {
    enum fold_kind kind;
    struct event event;
    struct span text; /* between the quotes of its delta or status */
};

void foldable_parse(struct foldable *ret_foldable, const struct event *event);
/* Whether `next`, which comes right after `newest`, can become one with it. */
bool foldable_joins(const struct foldable *newest, const struct foldable *next);
/* Appends the event that stands for all from `first_seq` to `newest`, whose texts joined are
 * `text`. -ENOMEM. */
int foldable_encode(
    struct buffer *out, const struct foldable *newest, uint64_t first_seq, struct span text);

/* What the data of a folded text begins with. */
#define FOLD_TEXT_BEGIN SPAN_LITERAL("{\"delta\":\"")
