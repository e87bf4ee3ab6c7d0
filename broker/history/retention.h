/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* What is let go of, and what is not: the part of history.h that trims. */
struct history;
struct history_stream;

/*
 * Events from `first_seq` on, the first of the stream's open runs, are not trimmed by any limit; 0:
 * no run is open. To be called whenever that changes, and again after opening, before the first
 * trimming: the store does not know it. A pin that rises is believed with the next commit, which
 * is to be the one that closes the run.
 */
void history_pin(struct history *history, struct history_stream *stream, uint64_t first_seq);
/*
 * Lets go of what is beyond the limits, oldest first, and of space that nothing lives in; `now_ms`
 * is wall-clock. Bounded work a call: 1 when more is left to do, 0 when not. Heads, epochs,
 * positions and open runs stay for ever; closed runs and messages for keep_records_ms, and as long
 * as their batch is within the store's limits.
 */
int history_trim(struct history *history, uint64_t now_ms);
/* Makes one larger batch of small adjacent ones, when there are enough. 1 when it did, 0, -errno.
 */
int history_merge(struct history *history);
