/* SPDX-License-Identifier: Apache-2.0 */
#include "history/index.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void index_deinit(struct index *index)
{
    if (index->entries != &index->first)
        free(index->entries);
    *index = (struct index){0};
}

static int grow(struct index *index)
{
    bool inside = index->entries == &index->first;
    uint32_t cap = index->cap < 4 ? index->cap + 1 : index->cap * 2;
    struct index_entry *entries = &index->first;
    if (cap > 1)
        entries = realloc(inside ? NULL : index->entries, cap * sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    if (inside)
        entries[0] = index->first;
    index->entries = entries;
    index->cap = cap;
    return 0;
}

/* Entries that left are squeezed out before the array grows, so it stays within twice its need. */
int index_reserve(struct index *index)
{
    if (index->end < index->cap)
        return 0;
    uint32_t count = index->end - index->start;
    if (index->start > 0 && index->start >= count) {
        memmove(index->entries, index->entries + index->start, count * sizeof(*index->entries));
        index->start = 0;
        index->end = count;
        return 0;
    }
    return index->cap > UINT32_MAX / 4 ? -ENOMEM : grow(index);
}

void index_push(struct index *index, const struct index_entry *entry)
{
    assert(index->end < index->cap);
    assert(index_empty(index) || index->entries[index->end - 1].first_seq < entry->first_seq);
    index->entries[index->end++] = *entry;
}

const struct index_entry *index_front(const struct index *index)
{
    return index_empty(index) ? NULL : &index->entries[index->start];
}

const struct index_entry *index_back(const struct index *index)
{
    return index_empty(index) ? NULL : &index->entries[index->end - 1];
}

void index_pop_front(struct index *index)
{
    assert(!index_empty(index));
    index->start++;
    if (index_empty(index))
        index_deinit(index); /* most users are idle: their memory goes back */
}

/* The shorter side moves. */
void index_replace(
    struct index *index, uint32_t slot, uint32_t count, const struct index_entry *entry)
{
    uint32_t behind = index->end - slot - count;
    assert(count > 0 && slot >= index->start && slot + count <= index->end);
    if (slot - index->start < behind) {
        memmove(index->entries + index->start + count - 1, index->entries + index->start,
            (slot - index->start) * sizeof(*entry));
        index->start += count - 1;
        slot += count - 1;
    } else {
        memmove(index->entries + slot + 1, index->entries + slot + count, behind * sizeof(*entry));
        index->end -= count - 1;
    }
    index->entries[slot] = *entry;
}

uint32_t index_find(const struct index *index, uint64_t seq)
{
    assert(!index_empty(index) && index->entries[index->start].first_seq <= seq);
    uint32_t low = index->start;
    uint32_t high = index->end - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (index->entries[middle].first_seq <= seq)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}
