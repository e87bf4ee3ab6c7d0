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

struct ring_class {
    uint64_t capacity; /* units */
    uint64_t data_offset;
    unsigned shift; /* capacity is 1 << shift */
};

struct arena {
    struct arena_geometry geometry;
    uint64_t arena_id;
    uint32_t rings; /* of all classes */
    struct ring_class classes[LAYOUT_CLASSES_MAX];
    uint8_t *base;
    struct arena_shared *shared;
    _Atomic uint64_t *summary;
    _Atomic uint64_t *bits;
    _Atomic uint64_t *heads;  /* of the directory, one a chain */
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
    return arena->rings / 64;
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

static inline struct directory_entry *arena_entry(const struct arena *arena, uint32_t entry)
{
    return (struct directory_entry *)(void *)(arena->base + arena->geometry.entries_offset) + entry;
}

/* The entry a ring belongs to. A few subtractions: a division would be felt in every emit. */
static inline uint32_t arena_entry_of(const struct arena *arena, uint32_t ring)
{
    while (ring >= arena->geometry.user_count)
        ring -= arena->geometry.user_count;
    return ring;
}

static inline const struct ring_class *arena_class_of(const struct arena *arena, uint32_t ring)
{
    const struct ring_class *class = arena->classes;

    while (ring >= arena->geometry.user_count) {
        ring -= arena->geometry.user_count;
        class ++;
    }
    return class;
}

static inline uint64_t arena_capacity(const struct arena *arena, uint32_t ring)
{
    return arena_class_of(arena, ring)->capacity;
}

/* The record header at a position, always within the ring. */
static inline struct record_header *arena_record(
    const struct arena *arena, uint32_t ring, uint64_t position)
{
    const struct ring_class *class = arena_class_of(arena, ring);
    uint64_t unit = position & (class->capacity - 1);

    return (struct record_header *)(void *)(arena->base + class->data_offset +
                                            (arena_entry_of(arena, ring) * class->capacity + unit) *
                                                RING_UNIT);
}

static inline uint32_t arena_lap(
    const struct arena *arena, uint32_t ring, uint64_t position, uint64_t base_lap)
{
    return (uint32_t)((position >> arena_class_of(arena, ring)->shift) - base_lap);
}

/* Units from a position to the end of its lap. */
static inline uint64_t arena_lap_rest(const struct arena *arena, uint32_t ring, uint64_t position)
{
    uint64_t capacity = arena_capacity(arena, ring);

    return capacity - (position & (capacity - 1));
}

/* Sets everything above that follows from where the file is mapped and what its header, checked
 * before, says. */
void arena_bind(struct arena *arena, void *base, const struct arena_header *header);
/* Gives a part of the file its memory, or takes it back: it reads as zeroes then. -ENOSPC. */
int arena_allocate(const struct arena *arena, uint64_t begin, uint64_t bytes);
int arena_punch(const struct arena *arena, uint64_t begin, uint64_t bytes);
/* Gives the ring's data, and its header's page, their memory, so that touching them cannot fault.
 * -ENOSPC. */
int arena_allocate_ring(const struct arena *arena, uint32_t ring);
/* Gives the memory of the ring's data back; it reads as zeroes from then on. */
int arena_punch_ring(const struct arena *arena, uint32_t ring);
