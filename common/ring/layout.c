/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define PAGE UINT64_C(4096)
#define BYTE_ORDER_MARK UINT64_C(0x0102030405060708)

static bool layout_ring_bytes_valid(uint32_t bytes)
{
    return bytes >= LAYOUT_RING_BYTES_MIN && bytes <= LAYOUT_RING_BYTES_MAX &&
           (bytes & (bytes - 1)) == 0;
}

static bool layout_spill_valid(const struct arena_geometry *counts)
{
    return counts->spill_bytes % PAGE == 0 && counts->spill_bytes <= LAYOUT_SPILL_BYTES_MAX &&
           counts->spill_count <= LAYOUT_SPILL_COUNT_MAX &&
           (counts->spill_bytes == 0) == (counts->spill_count == 0);
}

static bool layout_counts_valid(const struct arena_geometry *counts)
{
    return counts->user_count >= 64 && counts->user_count <= (1u << 20) &&
           counts->user_count % 64 == 0 && layout_ring_bytes_valid(counts->first_bytes) &&
           layout_ring_bytes_valid(counts->last_bytes) &&
           counts->first_bytes <= counts->last_bytes && counts->process_count >= 1 &&
           counts->process_count <= 4096 && counts->slot_count >= 1 &&
           counts->slot_count <= RING_OWNER_MAX && layout_spill_valid(counts);
}

static uint32_t layout_class_count(const struct arena_geometry *counts)
{
    uint32_t count = 1;

    while (class_bytes(counts, count - 1) < counts->last_bytes)
        count++;
    return count;
}

static uint64_t layout_region(uint64_t *end, uint64_t bytes)
{
    uint64_t begin = *end;

    *end = (begin + bytes + PAGE - 1) / PAGE * PAGE;
    return begin;
}

int layout_compute(struct arena_geometry *ret_geometry, const struct arena_geometry *counts)
{
    uint64_t bit_words, end = 0;
    struct arena_geometry g = {
        .user_count = counts->user_count,
        .first_bytes = counts->first_bytes,
        .last_bytes = counts->last_bytes,
        .process_count = counts->process_count,
        .slot_count = counts->slot_count,
        .spill_stride = SPILL_STRIDE,
        .spill_count = counts->spill_count,
        .spill_bytes = counts->spill_bytes,
        .memory_bytes = counts->memory_bytes,
        .ring_header_stride = sizeof(struct ring_header),
        .entry_stride = sizeof(struct directory_entry),
        .slot_stride = sizeof(struct arena_slot),
        .process_stride = sizeof(struct arena_process),
        .unit = RING_UNIT,
    };

    if (!layout_counts_valid(counts))
        return -EINVAL;
    g.class_count = layout_class_count(&g);
    bit_words = (uint64_t)g.class_count * g.user_count / 64;
    layout_region(&end, sizeof(struct arena_header));
    g.shared_offset = layout_region(&end, sizeof(struct arena_shared));
    g.summary_offset = layout_region(&end, (bit_words + 63) / 64 * 8);
    g.bits_offset = layout_region(&end, bit_words * 8);
    g.processes_offset = layout_region(&end, (uint64_t)g.process_count * g.process_stride);
    g.slots_offset = layout_region(&end, (uint64_t)g.slot_count * g.slot_stride);
    g.heads_offset = layout_region(&end, (uint64_t)g.user_count * 8);
    g.entries_offset = layout_region(&end, (uint64_t)g.user_count * g.entry_stride);
    g.spills_offset = layout_region(&end, (uint64_t)g.spill_count * g.spill_stride);
    g.headers_offset = layout_region(&end, (uint64_t)g.user_count * g.ring_header_stride);
    g.initial_bytes = end;
    layout_region(&end, (uint64_t)(g.class_count - 1) * g.user_count * g.ring_header_stride);
    g.data_offset = end;
    for (uint32_t c = 0; c < g.class_count; c++)
        layout_region(&end, g.user_count * class_bytes(&g, c));
    g.spill_data_offset = layout_region(&end, (uint64_t)g.spill_count * g.spill_bytes);
    g.total_bytes = end;
    *ret_geometry = g;
    return 0;
}

static uint64_t layout_checksum(const struct arena_header *header)
{
    return XXH3_64bits(header, offsetof(struct arena_header, checksum));
}

void layout_header_init(
    struct arena_header *header, const struct arena_geometry *geometry, uint64_t arena_id)
{
    memset(header, 0, sizeof *header);
    header->magic = LAYOUT_MAGIC;
    header->version = LAYOUT_VERSION;
    header->header_bytes = sizeof *header;
    header->byte_order = BYTE_ORDER_MARK;
    header->arena_id = arena_id;
    header->geometry = *geometry;
    header->checksum = layout_checksum(header);
}

static const char *layout_other_version(const struct arena_header *header)
{
    static _Thread_local char text[96];

    if (header->version == LAYOUT_VERSION)
        return "the arena was made on an incompatible machine";
    snprintf(text, sizeof text, "the arena has layout version %u, this program has %u",
        header->version, LAYOUT_VERSION);
    return text;
}

int layout_header_check(
    const struct arena_header *header, uint64_t file_bytes, const char **ret_reason)
{
    struct arena_geometry expected;

    if (file_bytes < sizeof *header || header->magic != LAYOUT_MAGIC) {
        *ret_reason = "the file is not an arena";
        return -EUCLEAN;
    }
    if (header->version != LAYOUT_VERSION || header->header_bytes != sizeof *header ||
        header->byte_order != BYTE_ORDER_MARK) {
        *ret_reason = layout_other_version(header);
        return -EPROTO;
    }
    if (header->checksum != layout_checksum(header) ||
        layout_compute(&expected, &header->geometry) < 0 ||
        memcmp(&expected, &header->geometry, sizeof expected) != 0) {
        *ret_reason = "the arena's header is damaged";
        return -EUCLEAN;
    }
    if (file_bytes < expected.total_bytes) {
        *ret_reason = "the arena's file is truncated";
        return -EUCLEAN;
    }
    return 0;
}
