/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/store.h"

#include <stddef.h>

/*
 * How far each ring was drained: of one arena, and of each ring its newest generation. An arena
 * that is gone is never read again, so the first position of another arena retires all of the
 * former's; so does a ring's new generation.
 *
 * A ring's number is its place in the table: they are dense, and a turn asks for many of them.
 *
 * Positions travel in batches. Only when a batch is trimmed are those it alone still knows saved
 * to the table `positions`.
 */
#define POSITIONS_RINGS (UINT64_C(1) << 23) /* more than an arena has */

struct ring_position {
    uint64_t generation;
    uint64_t position; /* newest, staged included */
    uint64_t batch;    /* the newest committed batch that has it; 0: none */
    uint32_t staged;   /* its place in `staged`, when that place names this ring */
    bool known;        /* else nothing was drained of it */
};

struct positions {
    struct ring_position *rings;
    size_t ring_cap;    /* a power of two, or 0 */
    uint64_t arena_id;  /* of those in `rings`; 0: none yet */
    bool arena_changed; /* since the last commit */
    struct history_position *staged;
    uint32_t staged_count;
    uint32_t staged_cap;
};

void positions_deinit(struct positions *positions);
/* -ENOMEM; -EINVAL: there is no such ring. */
int positions_stage(struct positions *positions, const struct history_position *position);
/* The batch with what was staged was committed. */
void positions_committed(struct positions *positions, uint64_t batch);
/* -ENOENT. */
int positions_find(const struct positions *positions, struct history_position *position);
/* Gets what is known of the ring into the cache. */
void positions_fetch(const struct positions *positions, uint64_t ring);
/* At opening: a position as a batch (its number) or a row (0) has it, oldest first. -ENOMEM,
 * -EUCLEAN. */
int positions_replay(
    struct positions *positions, const struct history_position *position, uint64_t batch);

/* Whether this batch is the newest that tells this ring's position. */
bool positions_known_by(
    const struct positions *positions, const struct history_position *position, uint64_t batch);
/* What the newest batch of this ring tells is told by batch `to` now. */
void positions_move(struct positions *positions, uint64_t ring, uint64_t to);

int positions_load(struct positions *positions, const struct store_entry *row);
/* Inside a write: saves what only this batch, which is being trimmed, still knows. */
int positions_save(struct positions *positions, struct store *store,
    const struct history_position *position, uint64_t batch);
