/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Where one stream's retained events are: an entry for each batch that has any, oldest first, 16
 * bytes. Pure, in the owner's memory, which stays where it is; zeroed is empty. Entries come at the
 * newest end and leave at the oldest; adjacent ones become one when their batches do. Numbers run
 * on without holes from one entry to the next.
 */
struct index_entry {
    uint64_t first_seq;
    uint64_t place; /* batch number << 20 | section */
};

struct index {
    struct index_entry *entries;
    struct index_entry first; /* where they are while there is one: most users are idle */
    uint32_t start;           /* the oldest entry */
    uint32_t end;
    uint32_t cap;
};

#define INDEX_SECTION_BITS 20
#define INDEX_BATCH_MAX (UINT64_MAX >> INDEX_SECTION_BITS)

static inline uint64_t index_place(uint64_t batch, uint32_t section)
{
    return batch << INDEX_SECTION_BITS | section;
}

static inline uint64_t index_batch(const struct index_entry *entry)
{
    return entry->place >> INDEX_SECTION_BITS;
}

static inline uint32_t index_section(const struct index_entry *entry)
{
    return (uint32_t)(entry->place & ((1u << INDEX_SECTION_BITS) - 1));
}

static inline bool index_empty(const struct index *index)
{
    return index->start == index->end;
}

static inline void index_prefetch_end(const struct index *index)
{
    if (index->entries)
        __builtin_prefetch(index->entries + index->end, 1);
}

void index_deinit(struct index *index);
/* Makes sure that the next `index_push` needs no memory. 0 or -ENOMEM. */
int index_reserve(struct index *index);
void index_push(struct index *index, const struct index_entry *entry);
/* The oldest entry; NULL when empty. Valid until the next push or pop. */
const struct index_entry *index_front(const struct index *index);
const struct index_entry *index_back(const struct index *index);
void index_pop_front(struct index *index);
/* `entry` stands for the `count` entries from `slot` on, which leave. Slots change. */
void index_replace(
    struct index *index, uint32_t slot, uint32_t count, const struct index_entry *entry);
/* The slot of the entry that has `seq`, which must not be older than the oldest. */
uint32_t index_find(const struct index *index, uint64_t seq);
