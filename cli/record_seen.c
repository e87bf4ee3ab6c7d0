/* SPDX-License-Identifier: Apache-2.0 */
#include "record_seen.h"

#include <errno.h>
#include <stdlib.h>

/* ---- texts: a polynomial over the bytes, modulo the Mersenne prime 2^61 - 1 */

#define PRIME ((UINT64_C(1) << 61) - 1)
#define BASE UINT64_C(0x0f1e2d3c4b5a6978)

static uint64_t times(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    uint64_t sum = (uint64_t)(product & PRIME) + (uint64_t)(product >> 61);
    return sum >= PRIME ? sum - PRIME : sum;
}

static uint64_t power(uint64_t exponent)
{
    uint64_t result = 1;
    for (uint64_t square = BASE; exponent; exponent >>= 1, square = times(square, square))
        result = exponent & 1 ? times(result, square) : result;
    return result;
}

struct text_mark text_mark_of(struct span text)
{
    struct text_mark mark = {.len = text.len};
    for (size_t i = 0; i < text.len; i++) {
        mark.hash = times(mark.hash, BASE) + (unsigned char)text.data[i] + 1;
        mark.hash = mark.hash >= PRIME ? mark.hash - PRIME : mark.hash;
    }
    return mark;
}

struct text_mark text_mark_join(struct text_mark head, struct text_mark tail)
{
    uint64_t hash = times(head.hash, power(tail.len)) + tail.hash;
    return (struct text_mark){hash >= PRIME ? hash - PRIME : hash, head.len + tail.len};
}

/* ---- the table */

void seen_table_deinit(struct seen_table *table)
{
    free(table->slots);
    *table = (struct seen_table){0};
}

static struct seen *slot_of(const struct seen_table *table, uint64_t number)
{
    size_t mask = table->cap - 1;
    /* Neighbouring numbers stay neighbours: streams are read in order. */
    size_t at = (size_t)((number ^ number >> 32) & mask);
    while (table->slots[at].number && table->slots[at].number != number)
        at = (at + 1) & mask;
    return &table->slots[at];
}

struct seen *seen_get(const struct seen_table *table, uint64_t number)
{
    if (table->count == 0)
        return NULL;
    struct seen *slot = slot_of(table, number);
    return slot->number ? slot : NULL;
}

static int grow(struct seen_table *table)
{
    struct seen_table wider = {.cap = table->cap ? table->cap * 2 : 1024, .count = table->count};
    wider.slots = calloc(wider.cap, sizeof(*wider.slots));
    if (!wider.slots)
        return -ENOMEM;
    for (size_t i = 0; i < table->cap; i++) {
        if (table->slots[i].number)
            *slot_of(&wider, table->slots[i].number) = table->slots[i];
    }
    free(table->slots);
    *table = wider;
    return 0;
}

int seen_put(struct seen_table *table, const struct seen *entry)
{
    if ((table->count + 1) * 4 > table->cap * 3) {
        int rc = grow(table);
        if (rc)
            return rc;
    }
    *slot_of(table, entry->number) = *entry;
    table->count++;
    return 0;
}

bool seen_join(
    const struct seen_table *table, uint64_t first, uint64_t last, struct text_mark *ret_mark)
{
    struct text_mark mark = {0};
    if (last < first || last - first >= SEEN_JOIN_MAX)
        return false;
    for (uint64_t number = first; number <= last; number++) {
        const struct seen *part = seen_get(table, number);
        if (!part || part->folds)
            return false;
        mark = text_mark_join(mark, (struct text_mark){part->text, part->text_len});
    }
    *ret_mark = mark;
    return true;
}
