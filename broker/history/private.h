/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/positions.h"
#include "history/records.h"
#include "history/staging.h"

/*
 * The state behind history.h. What is staged is in `staging`, `positions` and `records`; `streams`
 * and `positions` mirror in memory what the retained batches say. Memory follows the store: it is
 * changed after a commit succeeded, never before.
 */
struct retained_batch {
    uint64_t number;
    uint64_t time_ms;
    uint64_t size;
};

struct history {
    struct store *store;
    struct streams streams;
    struct positions positions;
    struct staging staging;
    struct records records;
    enum history_sync sync;
    uint64_t max_bytes;
    uint64_t max_age_ms;
    uint64_t next_batch;
    struct retained_batch oldest; /* when batches > 0 */
    uint64_t batches;             /* retained, as are the next two */
    uint64_t bytes;
    uint64_t events;
    uint64_t commits;
    uint64_t synced;
    bool epoch_unsaved; /* begun at opening, when there was no room to write it */
};

/* Names in the table `meta`. */
#define META_FORMAT SPAN_LITERAL("format")
#define META_EPOCH SPAN_LITERAL("epoch")
#define META_LAST_BATCH SPAN_LITERAL("last_batch")
#define HISTORY_FORMAT 1

/* Inside a write. */
int history_save_epoch(struct store *store, const char *store_epoch);
/* Rebuilds memory from the store that was just opened. -EUCLEAN, … with a sentence. */
int history_load(struct history *history, char ret_reason[HISTORY_REASON_SIZE]);
