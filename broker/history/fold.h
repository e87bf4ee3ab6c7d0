/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/fold.h"

/*
 * Folding events of ended runs in the store (event/fold.h says which and how). What is folded here
 * has neighbouring numbers, and 32 KiB at most.
 *
 * A cursor may lie within a folded event, for a client stopped there before it was folded. It gets
 * the rest: the event from the number behind its cursor on, with exactly the text that it does not
 * have. So that the rest can be cut off, a folded text keeps its *cuts*: u32 for each of its events
 * but the last, the bytes of text up to that event's end.
 */

/* An event that may be folded with its neighbours. Spans point into its bytes. */
struct fold_piece {
    struct foldable is;
    struct span cuts; /* of an event that is folded already */
};

/* Events that were found to go together; zeroed is empty. */
struct fold_group {
    struct fold_piece newest;
    uint64_t first_seq;
    struct buffer text;
    struct buffer cuts;
};

/* is.kind is FOLD_NOTHING when the event is none that is folded. */
void fold_parse(struct fold_piece *ret_piece, struct span event, struct span cuts);
/* Whether the piece, whose first number follows the group's last, goes with it. */
bool fold_fits(const struct fold_group *group, const struct fold_piece *piece);
/* Begins a group with the piece, or adds it. Memory that is out is told by fold_finish. */
void fold_begin(struct fold_group *group, const struct fold_piece *piece);
void fold_add(struct fold_group *group, const struct fold_piece *piece);
/* Appends the group's event and its cuts; *ret_cuts_size: how much the cuts are. -ENOMEM. */
int fold_finish(const struct fold_group *group, struct buffer *out, uint32_t *ret_cuts_size);
void fold_group_deinit(struct fold_group *group);

/*
 * Appends what of a folded event is to be shown from number `from` on, which lies behind the first
 * of its numbers. -EBADMSG when event and cuts make no sense.
 */
int fold_append_rest(struct buffer *out, struct span event, struct span cuts, uint64_t from);
