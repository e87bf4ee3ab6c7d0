/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside a struct arena: pointers into the mapping and the few sums every part of the ring layer
 * does. Sizes come from the geometry checked when the file was opened and are kept in private
 * memory; what the shared memory says later is never used to compute an address.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/arena.h"
#include "ring/layout.h"

struct arena {
    struct arena_geometry geometry;
    uint64_t arena_id;
    uint64_t capacity; /* of a ring, units */
    unsigned capacity_shift;
    uint8_t *base;
    struct arena_shared *shared;
    _Atomic uint64_t *summary;
    _Atomic uint64_t *bits;
    _Atomic uint64_t *directory;
    _Atomic uint32_t writers; /* initialised in this process, private */
    int directory_fd;
    int fd;
    int lock_fd;
    int bell_fd;
    uint32_t process_index;
    uint32_t incarnation;
    bool owner;
    bool joined; /* has its process entry */
    bool forked; /* set in a forked child, before anything else runs there */
    enum arena_outcome outcome;
    struct arena *next; /* the process's arenas, for the fork handlers */
    struct arena *previous;
    char path[];
};

static inline uint32_t arena_bit_words(const struct arena *arena)
{
    return arena->geometry.ring_count / 64;
}

static inline uint32_t arena_summary_words(const struct arena *arena)
{
    return (arena_bit_words(arena) + 63) / 64;
}

static inline struct ring_header *arena_ring_header(const struct arena *arena, uint32_t ring)
{
    return (struct ring_header *)(void *)(arena->base + arena->geometry.headers_offset) + ring;
}

/* Owner ids are 1..slot_count. */
static inline bool arena_has_owner(const struct arena *arena, uint32_t owner)
{
    return owner >= 1 && owner <= arena->geometry.slot_count;
}

static inline struct arena_slot *arena_slot_of(const struct arena *arena, uint32_t owner)
{
    return (struct arena_slot *)(void *)(arena->base + arena->geometry.slots_offset) + (owner - 1);
}

static inline struct arena_process *arena_process_at(const struct arena *arena, uint32_t index)
{
    return (struct arena_process *)(void *)(arena->base + arena->geometry.processes_offset) + index;
}

/* The record header at a position, always within the ring. */
static inline struct record_header *arena_record(
    const struct arena *arena, uint32_t ring, uint64_t position)
{
    uint64_t unit = position & (arena->capacity - 1);

    return (struct record_header *)(void *)(arena->base + arena->geometry.data_offset +
                                            (uint64_t)ring * arena->geometry.ring_bytes +
                                            unit * RING_UNIT);
}

static inline uint32_t arena_lap(const struct arena *arena, uint64_t position, uint64_t base_lap)
{
    return (uint32_t)((position >> arena->capacity_shift) - base_lap);
}

/* Units from a position to the end of its lap. */
static inline uint64_t arena_lap_rest(const struct arena *arena, uint64_t position)
{
    return arena->capacity - (position & (arena->capacity - 1));
}

/* Gives the ring's data its memory, so that touching it cannot fault. -ENOSPC. */
int arena_allocate_ring(const struct arena *arena, uint32_t ring);
