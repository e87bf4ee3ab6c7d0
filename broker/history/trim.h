/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/rewrite.h"

/*
 * Streams over a limit of their own: of events, of bytes, or carried over the horizon for a run
 * that has ended. They stand in a queue, fed when something changes, so that trimming costs what
 * there is to trim and not what there are users. (floors.c)
 */

/* Queues the stream when it has something to give up. */
void floors_feed(struct history *history, struct history_stream *stream);
/* Raises floors of queued streams, a bounded share. 1 when more is left, 0, or -errno. */
int floors_raise(struct history *history);
/* Folds some of what is old enough. 1 when there may be more, 0, or -errno. (folding.c) */
int folding_turn(struct history *history, uint64_t now_ms);
/* Bytes above max_bytes that are there because of pins. */
uint64_t trim_excess(const struct history *history);
/* Queues the batch when too little of it lives. */
void trim_queue_wasteful(struct history *history, struct retained_batch *batch);
