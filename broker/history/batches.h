/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The retained batches in memory, in order of number, and what of each still lives. Pure; zeroed is
 * empty. Batches come at the newest end and may leave anywhere: one that left keeps its row, with
 * size 0, until rows that left outnumber the others.
 *
 * Batches up to the *horizon* are beyond the store's limits: what they still hold is *carried*,
 * because a run that wrote it is open.
 */
struct retained_batch {
    uint64_t number;
    uint64_t first; /* of the batches it was made of */
    uint64_t time_ms;
    uint32_t size;
    uint32_t dead;     /* bytes of events and tables that are below their streams' floors */
    uint32_t sections; /* with a living event */
    bool queued;       /* waits to be rewritten */
};

struct batches {
    struct retained_batch *rows;
    size_t start;
    size_t end;
    size_t cap;
    uint64_t count;
    uint64_t bytes; /* of them all */
    uint64_t dead;
    uint64_t carried; /* bytes up to the horizon */
    uint64_t horizon;
};

void batches_deinit(struct batches *batches);
/* Makes sure that the next push needs no memory. 0 or -ENOMEM. */
int batches_reserve(struct batches *batches);
/* `number` is above all others. */
void batches_push(struct batches *batches, const struct retained_batch *batch);
/* NULL when it is not there. Rows are valid until the next push or remove. */
struct retained_batch *batches_find(const struct batches *batches, uint64_t number);
/* The oldest one with at least this number; NULL when there is none. */
struct retained_batch *batches_at_least(const struct batches *batches, uint64_t number);
void batches_remove(struct batches *batches, struct retained_batch *batch);
/* It was rewritten: it is as `now` says, with the same number and time. */
void batches_rewritten(
    struct batches *batches, struct retained_batch *batch, const struct retained_batch *now);
/* So many bytes more are dead. Whether too much of it is: then it is to be rewritten. */
bool batches_bury(struct batches *batches, struct retained_batch *batch, uint32_t bytes);
/* Moves it up; batches up to there are carried from now on. */
void batches_set_horizon(struct batches *batches, uint64_t horizon);

static inline bool batches_wasteful(const struct retained_batch *batch)
{
    return batch->sections == 0 || batch->dead >= batch->size / 2;
}
