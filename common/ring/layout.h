/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies where in an arena file. Regions in order, each on a page boundary:
 *
 *   arena_header | arena_shared | summary bits | ring bits | processes | slots | directory words
 *   | ring headers | ring data
 *
 * All but the ring data is allocated when the arena is made; a ring's data when it is claimed. The
 * header describes itself and is checked whole before anything is mapped. What different parties
 * write at different times stands LAYOUT_LINE bytes apart (two cache lines: neighbours are
 * prefetched together). docs/rings.md draws it and gives every atomic its partner.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/word.h"

#define LAYOUT_MAGIC UINT64_C(0x31414e4552415352) /* "RSARENA1" */
#define LAYOUT_VERSION 1u
#define LAYOUT_LINE 128
#define LAYOUT_USER_ID_SIZE 128 /* with the NUL */
#define LAYOUT_USER_ID_WORDS (LAYOUT_USER_ID_SIZE / 8)
#define LAYOUT_RING_BYTES_MIN 16384u
#define LAYOUT_RING_BYTES_MAX (16u << 20)

/* Counts are chosen; strides and offsets follow from them (layout_compute). */
struct arena_geometry {
    uint32_t ring_count;
    uint32_t ring_bytes;
    uint32_t process_count;
    uint32_t slot_count; /* owner ids are 1..slot_count */
    uint32_t ring_header_stride;
    uint32_t slot_stride;
    uint32_t process_stride;
    uint32_t unit;
    uint64_t shared_offset;
    uint64_t summary_offset;
    uint64_t bits_offset;
    uint64_t processes_offset;
    uint64_t slots_offset;
    uint64_t directory_offset;
    uint64_t headers_offset;
    uint64_t data_offset;
    uint64_t total_bytes;
};

struct arena_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t byte_order; /* 0x0102030405060708 as the maker stores it */
    uint64_t arena_id;   /* random: positions of another arena are not this one's */
    struct arena_geometry geometry;
    uint64_t checksum; /* XXH3 of everything before it */
};

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
};

/* One thread's word towards the reader, and what it is claiming in the directory. */
struct arena_slot {
    alignas(LAYOUT_LINE) _Atomic uint64_t holder;
    _Atomic uint32_t current_ring; /* ring + 1: hazard pointer, crash intent, lost bell */
    _Atomic uint32_t intent_length;
    alignas(LAYOUT_LINE) _Atomic uint64_t intent[LAYOUT_USER_ID_WORDS];
};

enum ring_state { RING_STATE_OPEN = 0, RING_STATE_QUARANTINED = 1 };

struct ring_header {
    /* writers */
    alignas(LAYOUT_LINE) _Atomic uint64_t tail;
    _Atomic uint64_t free_seen; /* the writers' copy of `freed`: never ahead of it */
    /* the reader only */
    alignas(LAYOUT_LINE) _Atomic uint64_t consumed; /* handed over */
    _Atomic uint64_t freed;                         /* stamped FREE for the next lap */
    _Atomic uint64_t durable;                       /* synced to disk */
    /* rarely written */
    alignas(LAYOUT_LINE) _Atomic uint64_t generation; /* 0: never claimed */
    _Atomic uint64_t base_lap;                        /* the lap that counts as 0 */
    _Atomic uint64_t user_tag;
    _Atomic uint64_t capacity; /* units */
    _Atomic uint32_t state;
    _Atomic uint32_t user_id_length;
    alignas(LAYOUT_LINE) _Atomic uint64_t user_id[LAYOUT_USER_ID_WORDS];
};

/* A record: this, then the payload, then nothing up to the next unit. */
struct record_header {
    _Atomic uint64_t control;
    uint16_t payload_length;
    uint16_t type;   /* RECORD_BYTES */
    uint32_t origin; /* the process that wrote it; owner ids are used again, this is not */
    uint64_t user_tag;
};

enum record_type { RECORD_BYTES = 0 };

_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "plain atomics");
_Static_assert(
    ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "shared between processes");
_Static_assert(sizeof(struct record_header) == 24, "part of the format");
_Static_assert(sizeof(struct ring_header) == 4 * LAYOUT_LINE, "part of the format");
_Static_assert(sizeof(struct arena_slot) == 2 * LAYOUT_LINE, "part of the format");
_Static_assert(sizeof(struct arena_process) == LAYOUT_LINE, "part of the format");
_Static_assert(sizeof(struct arena_header) <= 4096, "read in one piece");
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

/* Fills in strides and offsets for the four counts. -EINVAL for counts outside the limits. */
int layout_compute(struct arena_geometry *ret_geometry, const struct arena_geometry *counts);
/* Makes a complete header. */
void layout_header_init(
    struct arena_header *header, const struct arena_geometry *geometry, uint64_t arena_id);
/* Checks a header read from a file of file_bytes. -EUCLEAN (not an arena, or a damaged one) or
 * -EPROTO (another version or byte order), with the reason in words. */
int layout_header_check(
    const struct arena_header *header, uint64_t file_bytes, const char **ret_reason);
