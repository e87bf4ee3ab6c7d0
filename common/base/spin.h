/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Looking for news for a moment before sleeping: to be woken costs the sleeper tens of
 * microseconds and the waker several, a look costs next to nothing. How long is worth while is
 * learnt from how long news took to come after work was done, awake or asleep; never longer than
 * `max_us`, and not at all when it takes longer than that.
 *
 * Between looks the processor is offered to others. When it comes back late they have work of their
 * own, and whoever is woken is served ahead of it, as whoever looks on is not: so for some time
 * there is only sleep.
 *
 *     while (spin_again(&spin) && !there_is_news())
 *         ;
 *     sleep unless there is news; then, when there is, spin_news(&spin);
 *
 * For one thread.
 */
struct spin {
    uint32_t max_us;  /* 0: never */
    uint32_t span_us; /* how long the next one lasts */
    bool looking;
    uint64_t since_ns;  /* work was done; 0: it is not */
    uint64_t looked_ns; /* the last time */
    uint64_t sleep_until_ns;
};

void spin_init(struct spin *spin, uint32_t max_us);
/* Work is done: whether to look (once more) instead of going to sleep. */
bool spin_again(struct spin *spin);
/* There is news, seen by a look or after a wake-up. */
void spin_news(struct spin *spin);

/* The rules by themselves. The next span, after news took gap_us to come: */
uint32_t spin_next(uint32_t max_us, uint32_t span_us, uint64_t gap_us);
/* spin_again at now_ns, without the offer: */
bool spin_look(struct spin *spin, uint64_t now_ns);
