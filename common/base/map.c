/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

#include <xxhash.h>

/* Backward-shift deletion keeps probe runs unbroken, so there are no tombstones to clean up. */

void map_deinit(struct map *map)
{
    free(map->entries);
    *map = (struct map){0};
}

static size_t map_slot(const struct map *map, struct span key, uint64_t hash)
{
    size_t slot = hash & (map->cap - 1);
    while (map->entries[slot].value) {
        const struct map_entry *entry = &map->entries[slot];
        if (entry->hash == hash && span_equal(entry->key, key))
            break;
        slot = (slot + 1) & (map->cap - 1);
    }
    return slot;
}

void *map_get(const struct map *map, struct span key)
{
    if (map->count == 0)
        return NULL;
    return map->entries[map_slot(map, key, XXH3_64bits(key.data, key.len))].value;
}

uint64_t map_hash(struct span key)
{
    return XXH3_64bits(key.data, key.len);
}

void map_prefetch(const struct map *map, uint64_t hash)
{
    if (map->cap)
        __builtin_prefetch(&map->entries[hash & (map->cap - 1)]);
}

void *map_peek(const struct map *map, uint64_t hash)
{
    if (map->count == 0)
        return NULL;
    size_t slot = hash & (map->cap - 1);
    while (map->entries[slot].value && map->entries[slot].hash != hash)
        slot = (slot + 1) & (map->cap - 1);
    return map->entries[slot].value;
}

static int map_grow(struct map *map)
{
    struct map wider = {.cap = map->cap ? map->cap * 2 : 16, .count = map->count};
    wider.entries = calloc(wider.cap, sizeof(*wider.entries));
    if (!wider.entries)
        return -ENOMEM;
    for (size_t i = 0; i < map->cap; i++) {
        const struct map_entry *entry = &map->entries[i];
        if (entry->value)
            wider.entries[map_slot(&wider, entry->key, entry->hash)] = *entry;
    }
    free(map->entries);
    *map = wider;
    return 0;
}

int map_put(struct map *map, struct span key, void *value)
{
    if ((map->count + 1) * 4 > map->cap * 3) {
        int rc = map_grow(map);
        if (rc)
            return rc;
    }
    uint64_t hash = XXH3_64bits(key.data, key.len);
    struct map_entry *entry = &map->entries[map_slot(map, key, hash)];
    map->count += entry->value ? 0 : 1;
    *entry = (struct map_entry){.key = key, .hash = hash, .value = value};
    return 0;
}

static void map_close_hole(struct map *map, size_t hole)
{
    size_t mask = map->cap - 1;
    for (size_t next = (hole + 1) & mask; map->entries[next].value; next = (next + 1) & mask) {
        size_t home = map->entries[next].hash & mask;
        if (((next - home) & mask) < ((next - hole) & mask))
            continue;
        map->entries[hole] = map->entries[next];
        hole = next;
    }
    map->entries[hole] = (struct map_entry){0};
}

void *map_remove(struct map *map, struct span key)
{
    if (map->count == 0)
        return NULL;
    size_t slot = map_slot(map, key, XXH3_64bits(key.data, key.len));
    void *value = map->entries[slot].value;
    if (!value)
        return NULL;
    map->count--;
    map_close_hole(map, slot);
    return value;
}

void *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->cap) {
        void *value = map->entries[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}

/* ---- scanning */

static uint64_t reverse_bits(uint64_t word)
{
    word = (word >> 1 & 0x5555555555555555) | (word & 0x5555555555555555) << 1;
    word = (word >> 2 & 0x3333333333333333) | (word & 0x3333333333333333) << 2;
    word = (word >> 4 & 0x0f0f0f0f0f0f0f0f) | (word & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(word);
}

/*
 * Slots are visited in the order of their number's bits read backwards. When the map doubles, slot
 * n's entries go to n and n + cap, which follow each other in this order: so what lies before the
 * cursor was visited in either size, and what lies behind it was not. Entries count for the slot
 * that they hash to, wherever the probing has put them.
 */
uint64_t map_scan(const struct map *map, uint64_t cursor, void (*visit)(void *context, void *value),
    void *context)
{
    if (map->cap == 0)
        return 0;
    uint64_t mask = map->cap - 1;
    size_t home = cursor & mask;
    for (size_t slot = home; map->entries[slot].value; slot = (slot + 1) & mask) {
        if ((map->entries[slot].hash & mask) == home)
            visit(context, map->entries[slot].value);
    }
    cursor |= ~mask;
    return reverse_bits(reverse_bits(cursor) + 1);
}
