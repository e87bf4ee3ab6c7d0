/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the doorbell for a moment before sleeping: a wake-up costs the sleeper tens of
 * microseconds and the waker several, a look costs next to nothing. How long is worth while is
 * learnt from how long news took to come after work was done, asleep or awake; never longer than
 * `max_us`, and not at all when it takes longer than that. For one thread, the reader's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct arena;

struct ring_spin {
    uint32_t max_us;  /* 0: never spin */
    uint32_t span_us; /* how long the next one lasts */
    uint64_t since_ns;
    uint64_t won;  /* spins that ended with news */
    uint64_t lost; /* that did not */
};

void ring_spin_init(struct ring_spin *spin, uint32_t max_us);
/* Work is done: looks for news until there is some (true), or it is no longer worth while. */
bool ring_spin_wait(struct ring_spin *spin, struct arena *arena);
/* News came after all, by a wake-up. */
void ring_spin_woken(struct ring_spin *spin);

/* The rule, by itself: the next span after news took gap_us to come. */
uint32_t ring_spin_next(uint32_t max_us, uint32_t span_us, uint64_t gap_us);
