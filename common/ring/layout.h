/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies where in an arena file. Regions in order, each on a page boundary:
 *
 *   arena_header | arena_shared | summary bits | ring bits | processes | slots | directory heads
 *   | directory entries | spill places | ring headers, class by class | ring data, class by class
 *   | spill data
 *
 * A user has an entry, and with it one ring of each size class at places that follow from the
 * entry's: ring = class x entries + entry. Everything up to the headers of the first class is
 * allocated when the arena is made; a ring's data, and the headers of the classes above, when the
 * ring is put to use. The header describes itself and is checked whole before anything is mapped.
 * What different parties write at different times stands LAYOUT_LINE bytes apart (two cache lines:
 * neighbours are prefetched together). docs/rings.md draws it and gives every atomic its partner.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/entry.h"
#include "ring/geometry.h"
#include "ring/word.h"

#define LAYOUT_LINE 128
#define LAYOUT_USER_ID_SIZE 128 /* with the NUL */
#define LAYOUT_USER_ID_WORDS (LAYOUT_USER_ID_SIZE / 8)

struct arena_shared {
    alignas(LAYOUT_LINE) _Atomic uint32_t sleeping;     /* the reader wants to be woken */
    alignas(LAYOUT_LINE) _Atomic uint32_t process_news; /* the process table changed */
    alignas(LAYOUT_LINE) _Atomic uint32_t progress;     /* futex: positions advanced */
    alignas(LAYOUT_LINE) _Atomic uint32_t progress_wanted;
};

struct arena_process {
    alignas(LAYOUT_LINE) _Atomic uint32_t attached; /* 0: free. Whether it lives is the lock's */
    _Atomic int32_t pid;                            /* in its own pid namespace: for pidfd_open */
    _Atomic uint32_t incarnation;                   /* counts the processes that had this entry */
    _Atomic uint32_t fenced; /* 1 + the incarnation that the owner gave up; 0: none yet */
};

/* One thread's word towards the reader. */
struct arena_slot {
    alignas(LAYOUT_LINE) _Atomic uint64_t holder;
    _Atomic uint32_t current_ring; /* ring + 1: hazard pointer, crash intent, lost bell */
};

/* A user's. Rarely written. */
struct directory_entry {
    alignas(LAYOUT_LINE) _Atomic uint64_t word; /* entry_pack */
    _Atomic uint64_t user_tag;
    _Atomic uint32_t next; /* in the chain: entry + 1 */
    _Atomic uint32_t user_id_length;
    _Atomic uint64_t
        unwatched_since; /* the reader's: monotonic ms; 0: somebody watches, or unknown */
    alignas(LAYOUT_LINE) _Atomic uint64_t user_id[LAYOUT_USER_ID_WORDS];
};

/* A ring that is not in use is fresh: open, empty, at the beginning of a lap, its data all zero. */
struct ring_header {
    /* writers */
    alignas(LAYOUT_LINE) _Atomic uint64_t tail;
    _Atomic uint64_t free_seen; /* the writers' copy of `freed`: never ahead of it */
    _Atomic uint64_t base_lap;  /* the lap that counts as 0; changes only while nobody writes */
    /* the reader only */
    alignas(LAYOUT_LINE) _Atomic uint64_t consumed; /* handed over */
    _Atomic uint64_t freed;                         /* stamped FREE for the next lap */
    _Atomic uint64_t durable;                       /* synced to disk */
    _Atomic uint64_t delivered;                     /* a client of the user has processed it */
};

/* A record: this, then the payload, then nothing up to the next unit. */
struct record_header {
    _Atomic uint64_t control;
    uint16_t payload_length;
    uint16_t type;   /* RECORD_BYTES */
    uint32_t origin; /* the process that wrote it; owner ids are used again, this is not */
    uint64_t user_tag;
};

enum record_type {
    RECORD_BYTES = 0,
    RECORD_SPILLED = 1, /* the payload is a struct spill_reference to the real one */
};

_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "plain atomics");
_Static_assert(
    ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "shared between processes");
_Static_assert(sizeof(struct record_header) == 24, "part of the format");
_Static_assert(sizeof(struct ring_header) == 2 * LAYOUT_LINE, "part of the format");
_Static_assert(sizeof(struct arena_slot) == LAYOUT_LINE, "part of the format");
_Static_assert(sizeof(struct directory_entry) == 2 * LAYOUT_LINE, "part of the format");
_Static_assert(sizeof(struct arena_process) == LAYOUT_LINE, "part of the format");
_Static_assert(RING_LENGTH_MAX *RING_UNIT <= UINT16_MAX, "payload_length holds every claim's");

/* Units a record with this payload takes. */
static inline uint32_t record_units(uint32_t payload_length)
{
    return (uint32_t)((payload_length + sizeof(struct record_header) + RING_UNIT - 1) / RING_UNIT);
}

/* The largest claim in units: a quarter, so that claim and padding always fit an empty ring. */
static inline uint32_t claim_units_max(uint64_t capacity)
{
    return capacity / 4 < RING_LENGTH_MAX ? (uint32_t)(capacity / 4) : RING_LENGTH_MAX;
}
