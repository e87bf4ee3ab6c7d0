/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdint.h>

/*
 * A hash map from byte strings to pointers: open addressing, linear probing, XXH3. Keys are
 * borrowed: they must live, unchanged, as long as their entry, which is why they normally point
 * into the value.
 */
struct map_entry {
    struct span key;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *entries;
    size_t cap; /* a power of two, or 0 */
    size_t count;
};

void map_deinit(struct map *map);
/* The value, or NULL. */
void *map_get(const struct map *map, struct span key);
/*
 * For looking many up at once, so that one need not wait for memory that another could fetch
 * meanwhile: first the hashes, then what has them, then map_get for those that are not it.
 * `map_peek` returns the value that most likely has the key of this hash, or NULL.
 */
uint64_t map_hash(struct span key);
void map_prefetch(const struct map *map, uint64_t hash);
void *map_peek(const struct map *map, uint64_t hash);
/* Adds or replaces. `value` must not be NULL. -ENOMEM, and nothing changed, when memory is out. */
int map_put(struct map *map, struct span key, void *value);
/* Removes and returns the value, or NULL. */
void *map_remove(struct map *map, struct span key);
/*
 * Iteration: start with *cursor = 0; NULL at the end. The map must not be changed meanwhile,
 * except by map_remove of the entry just returned followed by `--*cursor`.
 */
void *map_next(const struct map *map, size_t *cursor);
/*
 * Iteration across changes, a little at a time: begin with 0, go on with what the last call
 * returned, until it is 0. Each call visits a few entries or none. An entry that is there from the
 * first call to the last is visited once, however often the map grows meanwhile; one that is added
 * or removed meanwhile may or may not be. `visit` must not change the map.
 */
uint64_t map_scan(const struct map *map, uint64_t cursor, void (*visit)(void *context, void *value),
    void *context);
