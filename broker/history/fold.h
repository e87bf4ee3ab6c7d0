/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * Folding: several consecutive events become one that stands for all their numbers, its `first_seq`
 * to its `seq`. Pure.
 *
 *   text     deltas of one message: the text is the exact concatenation
 *   status   of one run's thinking: the newest stands for those before it
 *
 * All else (time, identifiers) is the newest event's. A cursor may lie within a folded event, for
 * a client stopped there before it was folded. It gets the rest: the event from the number behind
 * its cursor on, with exactly the text that it does not have. So that the rest can be cut off, a
 * folded text keeps its *cuts*: u32 for each of its events but the last, the bytes of text up to
 * that event's end, as they stand in JSON.
 */

/*
 * Appends what of a folded event is to be shown from number `from` on, which lies behind the first
 * of its numbers. -EBADMSG when event and cuts make no sense.
 */
int fold_append_rest(struct buffer *out, struct span event, struct span cuts, uint64_t from);
