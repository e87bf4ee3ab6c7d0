/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/batches.h"
#include "history/damage.h"
#include "history/format.h"
#include "history/merge.h"
#include "history/positions.h"
#include "history/records.h"
#include "history/staging.h"

/*
 * The state behind history.h. What is staged is in `staging`, `positions` and `records`; `streams`
 * and `positions` mirror in memory what the retained batches say. Memory follows the store: it is
 * changed after a commit succeeded, never before.
 */
struct history {
    struct store *store;
    struct streams streams;
    struct positions positions;
    struct staging staging;
    struct records records;
    enum history_sync sync;
    uint64_t max_bytes;
    uint64_t max_age_ms;
    uint64_t max_events_per_user;
    uint64_t max_bytes_per_user;
    uint64_t keep_records_ms;
    uint64_t fold_after_ms; /* 0: never */
    uint64_t folded_to;     /* batches up to there were met by folding */
    uint64_t next_batch;
    uint64_t last_rewriting;
    struct batches batches;
    struct list_link over; /* struct history_stream.over_link: with something to give up */
    struct merging merging;
    struct damage damage;
    struct buffer wasteful; /* u64: numbers of batches to be rewritten, each once */
    uint64_t events;        /* retained */
    uint64_t numbers;       /* of those: more than events when some are folded */
    uint64_t commits;
    uint64_t synced;
    uint64_t synced_next; /* once the sync that was begun is through */
    bool epoch_unsaved;   /* begun at opening, when there was no room to write it */
};

/* Names in the table `meta`. */
#define META_FORMAT SPAN_LITERAL("format")
#define META_EPOCH SPAN_LITERAL("epoch")
#define META_LAST_BATCH SPAN_LITERAL("last_batch")
#define META_HORIZON SPAN_LITERAL("horizon")
#define META_FOLDED SPAN_LITERAL("folded")

/* Inside a write. */
int history_save_epoch(struct store *store, const char *store_epoch);
/* The section that an entry of the index names, found to be it. -EIO when it is not. */
int history_find_section(struct batch_section *ret_section, struct batch *ret_batch,
    struct store *store, const struct index_entry *entry);
/* Rebuilds memory from the store that was just opened. -EUCLEAN, … with a sentence. */
int history_load(struct history *history, char ret_reason[HISTORY_REASON_SIZE]);
