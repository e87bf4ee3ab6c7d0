/* SPDX-License-Identifier: Apache-2.0 */
/* The sizes of an arena and the header that says them, checked whole before anything is mapped. */
#pragma once

#include <stdint.h>

#define LAYOUT_MAGIC UINT64_C(0x31414e4552415352) /* "RSARENA1" */
#define LAYOUT_VERSION 3u
#define LAYOUT_RING_BYTES_MIN 16384u
#define LAYOUT_RING_BYTES_MAX (16u << 20)
#define LAYOUT_SPILL_BYTES_MAX (8u << 20)
#define LAYOUT_SPILL_COUNT_MAX 1024u
#define SPILL_STRIDE 64
#define LAYOUT_CLASSES_MAX 6 /* each four times the one before, the last at most */

/* Counts are chosen; strides and offsets follow from them (layout_compute). */
struct arena_geometry {
    uint32_t user_count;  /* directory entries */
    uint32_t first_bytes; /* of the rings of the first class */
    uint32_t last_bytes;  /* of the last */
    uint32_t class_count;
    uint32_t process_count;
    uint32_t slot_count; /* owner ids are 1..slot_count */
    uint32_t ring_header_stride;
    uint32_t entry_stride;
    uint32_t slot_stride;
    uint32_t process_stride;
    uint32_t unit;
    uint32_t spill_stride;
    uint32_t spill_count;
    uint32_t spill_bytes;  /* of a spilled payload at most; pages */
    uint64_t memory_bytes; /* the file may take, 0: what the file system has */
    uint64_t shared_offset;
    uint64_t summary_offset;
    uint64_t bits_offset;
    uint64_t processes_offset;
    uint64_t slots_offset;
    uint64_t heads_offset;
    uint64_t entries_offset;
    uint64_t spills_offset;
    uint64_t headers_offset;
    uint64_t initial_bytes; /* allocated when the arena is made */
    uint64_t data_offset;
    uint64_t spill_data_offset;
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

/*
 * Behind the header, at the same place in every version: LAYOUT_AT_REST while nobody is attached
 * and nothing is left in the rings. So a program that cannot read an arena can tell whether it may
 * go.
 */
#define LAYOUT_REST_OFFSET 4088u
#define LAYOUT_AT_REST UINT64_C(0x5453455254415352) /* "RSATREST" */

_Static_assert(sizeof(struct arena_header) <= LAYOUT_REST_OFFSET, "read in one piece");

/* Bytes of the rings of a class. */
static inline uint64_t class_bytes(const struct arena_geometry *geometry, uint32_t class_number)
{
    uint64_t bytes = (uint64_t)geometry->first_bytes << (2 * class_number);

    return bytes < geometry->last_bytes ? bytes : geometry->last_bytes;
}

/* Fills in strides and offsets for user, process and slot count and the bytes of the first and last
 * class. -EINVAL for counts outside the limits. */
int layout_compute(struct arena_geometry *ret_geometry, const struct arena_geometry *counts);
/* Makes a complete header. */
void layout_header_init(
    struct arena_header *header, const struct arena_geometry *geometry, uint64_t arena_id);
/* Checks a header read from a file of file_bytes. -EUCLEAN (not an arena, or a damaged one) or
 * -EPROTO (another version or byte order), with the reason in words, the thread's until its next
 * call. */
int layout_header_check(
    const struct arena_header *header, uint64_t file_bytes, const char **ret_reason);
