/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * When a child that ended is started again: at once the first time, then after pauses that double
 * from 100 ms to 5 s, for as long as it keeps ending within 10 s. One that lived longer begins
 * anew. Nothing is ever given up: the pause bounds the cost, and a cause that goes away (a disk
 * with room again) must not need a person.
 */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 5000
#define BACKOFF_RESET_MS 10000

struct backoff {
    uint64_t started_ms;
    uint64_t next_ms; /* the next pause */
};

static inline void backoff_started(struct backoff *backoff, uint64_t now_ms)
{
    backoff->started_ms = now_ms;
}

/* The child ended: the pause before it is started again, in milliseconds. */
uint64_t backoff_ended(struct backoff *backoff, uint64_t now_ms);
