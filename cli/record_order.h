/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record_frame.h"
#include "record_seen.h"

#include "base/map.h"

/*
 * The order of a record: one user's stream, as one or several connections saw it, one after the
 * other.
 *
 *   position   the number the next event's prev must be; unknown where a connection begins whose
 *              cursor the record does not tell
 *   highest    the greatest number the record has, of this epoch
 *
 * A `welcome` begins a connection. With `resume` "live" its position is `head`; with "replay" it
 * is told by the first event's prev (or by caught_up) and must not lie beyond `highest`, unless the
 * view begins with the oldest retained event; with "gap" and "reset" the gap frame tells it.
 * Without any welcome (as `ringside tail --json` prints) the first event's prev does.
 *
 * Numbers at or below `highest` may come again on a later connection, with the same bytes. What is
 * missing for a reason (a gap that was said, a live connection that began later) is a hole: legal,
 * but runs that were open may have changed meanwhile.
 */
struct record_order {
    struct record_report *report; /* borrowed */
    bool filtered;                /* views of some threads only: prev is a view's own */
    bool positioned;
    uint64_t position;
    uint64_t last;    /* event of this connection; 0: none */
    uint64_t highest; /* 0: no event yet */
    bool from_start;  /* the record has every event of the stream from the first one on */
    uint64_t oldest;  /* what this connection's welcome said; 0: there was none */
    struct seen_table seen;
    char epoch[IDENTIFIER_SIZE];
    char user[IDENTIFIER_SIZE];
    struct map old_epochs; /* strdup'ed names */

    uint64_t connections, events, repeats, folded, gaps, holes, epochs;
};

enum record_news {
    RECORD_NEW,    /* the record's next event */
    RECORD_REPEAT, /* the record had it, or it lies before what the record had first */
    RECORD_ILLEGAL,
};

void record_order_init(struct record_order *order, struct record_report *report, bool filtered);
void record_order_deinit(struct record_order *order);
/*
 * Each takes the frame that comes next. *ret_hole: events are missing before it. -ENOMEM.
 * `line` is the frame's bytes.
 */
int record_order_event(struct record_order *order, const struct record_frame *frame,
    struct span line, enum record_news *ret_news, bool *ret_hole);
/* *ret_anew: another epoch; nothing of the runs so far counts any more. -ENOMEM. */
int record_order_welcome(
    struct record_order *order, const struct record_frame *frame, bool *ret_hole, bool *ret_anew);
void record_order_gap(struct record_order *order, const struct record_frame *frame, bool *ret_hole);
void record_order_caught_up(struct record_order *order, const struct record_frame *frame);
void record_order_snapshot(struct record_order *order, const struct record_frame *frame);
