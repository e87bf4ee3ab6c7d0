/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * From what clients acknowledge back to what emitters wrote: marks, each of which says that all of
 * a ring up to a position has numbers up to `seq`. One is made a turn, in the order of both. When
 * there are DELIVERY_MARKS every second one goes, never the newest: a mark stands for those before
 * it, only later. So memory is bounded, an answer never says too much, and it is exact again
 * whenever a client has acknowledged all there is. Pure.
 */
#define DELIVERY_MARKS 8

struct delivery_mark {
    uint64_t seq;
    uint64_t position;
};

struct delivery {
    uint32_t count;
    struct delivery_mark marks[DELIVERY_MARKS];
};

/* Neither is below those of the mark before. */
void delivery_note(struct delivery *delivery, uint64_t seq, uint64_t position);
/* All up to `acknowledged` was processed: how far that reaches, 0 for no mark; forgets those. */
uint64_t delivery_take(struct delivery *delivery, uint64_t acknowledged);
