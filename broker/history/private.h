/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/batches.h"
#include "history/damage.h"
#include "history/format.h"
#include "history/journal.h"
#include "history/merge.h"
#include "history/positions.h"
#include "history/records.h"
#include "history/staging.h"

/*
 * The state behind history.h. What is staged is in `staging`, `positions` and `records`, and stays
 * there when it was committed to the journal, until a batch is written; `streams` and `positions`
 * mirror in memory what the retained batches say. Memory follows the store: it is changed after a
 * commit succeeded, never before.
 */
struct history {
    struct store *store;
    struct streams streams;
    struct positions positions;
    struct staging staging;
    struct records records;
    struct journal journal;
    struct buffer opened; /* the sections of the next frame; empty between the calls */
    struct buffer notes;  /* of the next frame */
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
    uint64_t stored; /* of the commits: those that batches have */
    uint64_t synced;
    uint64_t synced_next; /* once the sync that was begun is through */
    bool epoch_unsaved;   /* begun at opening, when there was no room to write it */
    bool uncommitted;     /* something was staged since the last commit */
    bool journals;        /* commits may go to the journal */
    bool store_due;       /* no more of them, until the next batch is written */
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
/* ---- journaling.c */

/* Takes the journal's commits in again. To be called once, when the store is loaded. */
int journaling_open(struct history *history, const struct history_options *options);
/* For the next commit, if that is one for the journal. */
void journaling_note(struct history *history, const struct frame_note *note);
/* Commits what is staged to the journal. On failure it is for the store. */
int journaling_commit(struct history *history);
/* A batch was written. */
void journaling_stored(struct history *history);

/* Rebuilds memory from the store that was just opened. -EUCLEAN, … with a sentence. */
int history_load(struct history *history, char ret_reason[HISTORY_REASON_SIZE]);
