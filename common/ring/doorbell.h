/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doorbell: which rings have news. One bit a ring and one bit a word of those; a writer sets
 * both, and wakes the reader if it sleeps. Bits are idempotent: a ring may be reported with nothing
 * in it, never the reverse.
 *
 * The reader's turn: doorbell_take -> drain, marking again what it leaves for later -> if
 * doorbell_prepare_sleep says there is nothing, sleep on doorbell_fd -> doorbell_awake. In a forked
 * child all of them do nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

typedef void (*doorbell_ring_fn)(void *userdata, uint32_t ring);

/* Take all marks and call fn for each ring, in ascending order. Returns how many. Reader only. */
size_t doorbell_take(struct arena *arena, doorbell_ring_fn fn, void *userdata);

/* Mark a ring again that was left with records in it, without a wake-up. Reader only. */
void doorbell_mark(struct arena *arena, uint32_t ring);

/* Whether there is news now: a ring's or of the process table. Reader only. */
bool doorbell_has_news(const struct arena *arena);
/* Announce that the reader is about to sleep. True: there is news after all (a ring's or of the
 * process table), do not sleep. Reader only. */
bool doorbell_prepare_sleep(struct arena *arena);
/* After sleeping: no wake-ups are wanted any more; empties the descriptor. Reader only. */
void doorbell_awake(struct arena *arena);
/* Readable when woken. Borrowed; poll it, read nothing from it. */
int doorbell_fd(const struct arena *arena);

/* The writers' side: set both marks and wake the reader if it sleeps. Any thread. */
void doorbell_ring(struct arena *arena, uint32_t ring);
/* Wake the reader if it sleeps, whatever the news. Any thread. */
void doorbell_wake(struct arena *arena);
