/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's rings, one of each class, one after the other. Closing a ring's tail with CLOSED_GROWN
 * is what makes the next one the user's newest: there is no other link, so nothing can be missing
 * when a writer dies in between.
 */
#pragma once

#include "ring/mapping.h"

static inline bool arena_has_predecessor(const struct arena *arena, uint32_t ring)
{
    return ring >= arena->geometry.user_count;
}

/* Whether the ring after this one, of the next class, exists at all. */
static inline bool arena_has_successor(const struct arena *arena, uint32_t ring)
{
    return ring + arena->geometry.user_count < arena->rings;
}

/* Whether the ring was put to use as a successor: only then has its header memory. */
static inline bool arena_is_in_use(const struct arena *arena, uint32_t ring)
{
    for (uint32_t r = arena_entry_of(arena, ring); r < ring; r += arena->geometry.user_count)
        if (!tail_is_closed(atomic_load(&arena_ring_header(arena, r)->tail), CLOSED_GROWN))
            return false;
    return true;
}

/* The entry's newest ring: the first that was not closed to grow. */
static inline uint32_t arena_newest_ring(const struct arena *arena, uint32_t entry)
{
    uint32_t ring = entry;

    /* Partner: the CAS in writer_grow. */
    while (arena_has_successor(arena, ring) &&
           tail_is_closed(atomic_load(&arena_ring_header(arena, ring)->tail), CLOSED_GROWN))
        ring += arena->geometry.user_count;
    return ring;
}
