/* SPDX-License-Identifier: Apache-2.0 */
#include "history/positions.h"

#include "history/bytes.h"

#include <errno.h>
#include <stdlib.h>

/* row: key 0 u64 arena  8 u64 ring; value 0 u64 generation  8 u64 position */
#define POSITION_ROW_SIZE 16

static void forget_all(struct positions *positions)
{
    size_t cursor = 0;
    struct ring_position *entry;
    while ((entry = map_next(&positions->by_ring, &cursor)))
        free(entry);
    map_deinit(&positions->by_ring);
}

void positions_deinit(struct positions *positions)
{
    forget_all(positions);
    free(positions->staged);
    *positions = (struct positions){0};
}

static struct span ring_key(const uint64_t *ring)
{
    return span_of(ring, sizeof(*ring));
}

static struct ring_position *find(const struct positions *positions, uint64_t ring)
{
    return map_get(&positions->by_ring, ring_key(&ring));
}

/* Turns to the arena of `position`; whether that is another than before. */
static bool turn_to_arena(struct positions *positions, const struct history_position *position)
{
    if (position->arena_id == positions->arena_id)
        return false;
    forget_all(positions);
    positions->arena_id = position->arena_id;
    positions->staged_count = 0;
    return true;
}

static struct ring_position *find_or_make(
    struct positions *positions, const struct history_position *position)
{
    struct ring_position *entry = find(positions, position->ring);
    if (entry)
        return entry;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->ring = position->ring;
    entry->staged = UINT32_MAX;
    if (map_put(&positions->by_ring, ring_key(&entry->ring), entry) < 0) {
        free(entry);
        return NULL;
    }
    return entry;
}

static int reserve_staged(struct positions *positions)
{
    if (positions->staged_count < positions->staged_cap)
        return 0;
    uint32_t cap = positions->staged_cap ? positions->staged_cap * 2 : 64;
    struct history_position *staged = realloc(positions->staged, cap * sizeof(*staged));
    if (!staged)
        return -ENOMEM;
    positions->staged = staged;
    positions->staged_cap = cap;
    return 0;
}

int positions_stage(struct positions *positions, const struct history_position *position)
{
    int rc = reserve_staged(positions);
    if (rc)
        return rc;
    if (turn_to_arena(positions, position))
        positions->arena_changed = true;
    struct ring_position *entry = find_or_make(positions, position);
    if (!entry)
        return -ENOMEM;
    entry->generation = position->generation;
    entry->position = position->position;
    if (entry->staged >= positions->staged_count ||
        positions->staged[entry->staged].ring != entry->ring)
        entry->staged = positions->staged_count++;
    positions->staged[entry->staged] = *position;
    return 0;
}

void positions_committed(struct positions *positions, uint64_t batch)
{
    for (uint32_t i = 0; i < positions->staged_count; i++)
        find(positions, positions->staged[i].ring)->batch = batch;
    positions->staged_count = 0;
    positions->arena_changed = false;
}

int positions_find(const struct positions *positions, struct history_position *position)
{
    const struct ring_position *entry = find(positions, position->ring);
    if (!entry || position->arena_id != positions->arena_id ||
        position->generation != entry->generation)
        return -ENOENT;
    position->position = entry->position;
    return 0;
}

int positions_replay(
    struct positions *positions, const struct history_position *position, uint64_t batch)
{
    turn_to_arena(positions, position);
    struct ring_position *entry = find_or_make(positions, position);
    if (!entry)
        return -ENOMEM;
    entry->generation = position->generation;
    entry->position = position->position;
    entry->batch = batch;
    return 0;
}

int positions_load(struct positions *positions, const struct store_entry *row)
{
    if (row->key.len != POSITION_ROW_SIZE || row->value.len != POSITION_ROW_SIZE)
        return -EUCLEAN;
    struct history_position position = {
        .arena_id = get_u64(row->key.data),
        .ring = get_u64(row->key.data + 8),
        .generation = get_u64(row->value.data),
        .position = get_u64(row->value.data + 8),
    };
    return positions_replay(positions, &position, 0);
}

bool positions_known_by(
    const struct positions *positions, const struct history_position *position, uint64_t batch)
{
    const struct ring_position *entry = find(positions, position->ring);
    return entry && position->arena_id == positions->arena_id && entry->batch == batch;
}

void positions_move(struct positions *positions, uint64_t ring, uint64_t to)
{
    find(positions, ring)->batch = to;
}

int positions_save(struct positions *positions, struct store *store,
    const struct history_position *position, uint64_t batch)
{
    if (!positions_known_by(positions, position, batch))
        return 0;
    char key[POSITION_ROW_SIZE];
    char value[POSITION_ROW_SIZE];
    put_u64(key, position->arena_id);
    put_u64(key + 8, position->ring);
    put_u64(value, position->generation);
    put_u64(value + 8, position->position);
    return store_put(
        store, STORE_POSITIONS, span_of(key, sizeof(key)), span_of(value, sizeof(value)));
}
