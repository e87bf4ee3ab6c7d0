/* SPDX-License-Identifier: Apache-2.0 */
#include "history/positions.h"

#include "base/pages.h"
#include "history/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_AHEAD 8 /* entries whose lines are under way */
/* row: key 0 u64 arena  8 u64 ring; value 0 u64 generation  8 u64 position */
#define POSITION_ROW_SIZE 16

static void forget_all(struct positions *positions)
{
    pages_free(positions->rings, positions->ring_cap, sizeof(*positions->rings));
    positions->rings = NULL;
    positions->ring_cap = 0;
}

void positions_deinit(struct positions *positions)
{
    forget_all(positions);
    free(positions->staged);
    *positions = (struct positions){0};
}

/* NULL: nothing was drained of it. */
static struct ring_position *find(const struct positions *positions, uint64_t ring)
{
    bool known = ring < positions->ring_cap && positions->rings[ring].known;
    return known ? &positions->rings[ring] : NULL;
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

static int reserve_ring(struct positions *positions, uint64_t ring)
{
    if (ring < positions->ring_cap)
        return 0;
    if (ring >= POSITIONS_RINGS)
        return -EINVAL;
    size_t cap = positions->ring_cap ? positions->ring_cap : 64;
    while (cap <= ring)
        cap *= 2;
    struct ring_position *rings = pages_new(cap, sizeof(*rings));
    if (!rings)
        return -ENOMEM;
    if (positions->ring_cap > 0)
        memcpy(rings, positions->rings, positions->ring_cap * sizeof(*rings));
    pages_free(positions->rings, positions->ring_cap, sizeof(*rings));
    positions->rings = rings;
    positions->ring_cap = cap;
    return 0;
}

/* The ring's entry, which says this position now. */
static int note(struct positions *positions, const struct history_position *position,
    struct ring_position **ret_entry)
{
    int rc = reserve_ring(positions, position->ring);
    if (rc)
        return rc;
    struct ring_position *entry = &positions->rings[position->ring];
    if (!entry->known)
        entry->staged = UINT32_MAX;
    entry->known = true;
    entry->generation = position->generation;
    entry->position = position->position;
    *ret_entry = entry;
    return 0;
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
    struct ring_position *entry;
    rc = note(positions, position, &entry);
    if (rc)
        return rc;
    if (entry->staged >= positions->staged_count ||
        positions->staged[entry->staged].ring != position->ring)
        entry->staged = positions->staged_count++;
    positions->staged[entry->staged] = *position;
    return 0;
}

void positions_committed(struct positions *positions, uint64_t batch)
{
    for (uint32_t i = 0; i < positions->staged_count; i++) {
        if (i + FETCH_AHEAD < positions->staged_count)
            positions_fetch(positions, positions->staged[i + FETCH_AHEAD].ring);
        positions->rings[positions->staged[i].ring].batch = batch;
    }
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

void positions_fetch(const struct positions *positions, uint64_t ring)
{
    if (ring < positions->ring_cap)
        __builtin_prefetch(&positions->rings[ring], 1);
}

int positions_replay(
    struct positions *positions, const struct history_position *position, uint64_t batch)
{
    turn_to_arena(positions, position);
    struct ring_position *entry;
    int rc = note(positions, position, &entry);
    if (rc)
        return rc == -EINVAL ? -EUCLEAN : rc;
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
    positions->rings[ring].batch = to;
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
