/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/state_file.h"

/*
 * The tables on disk and their transactions: the only file that knows LMDB. One thread; a sync
 * that was begun has its own, which the store waits for where it must.
 *
 * Writing happens inside `store_write`, which runs a function between begin and commit, and runs
 * it again after it gave the store more address space or opened it anew; so the function must not
 * change anything but the store. Reading happens there too, or between `store_read_begin` and
 * `store_read_end`; spans that were read live until then.
 */
enum store_table {
    STORE_META,        /* name -> value */
    STORE_BATCHES,     /* batch number -> batch.h */
    STORE_LEDGER,      /* batch number -> records.c: which records this batch wrote */
    STORE_STREAMS,     /* user -> streams.c */
    STORE_POSITIONS,   /* arena, ring -> positions.c */
    STORE_OPEN_RUNS,   /* run -> records.c */
    STORE_CLOSED_RUNS, /* run -> records.c */
    STORE_MESSAGES,    /* user, NUL, message -> records.c */
    STORE_TABLE_COUNT,
};

struct store;

struct store_options {
    const char *directory;
    enum history_sync sync;
    uint64_t map_bytes;
};

/*
 * Locks, repairs what the loss of power left (see store.c) and opens. *ret_store is usable until
 * `store_close`. -EBUSY, -EUCLEAN, -errno with a sentence in `ret_reason`.
 */
int store_open(struct store **ret_store, const struct store_options *options,
    char ret_reason[HISTORY_REASON_SIZE]);
/* Syncs and, when that succeeded and the store was found good (`clean`), marks it as cleanly
 * closed; unlocks. Takes NULL. */
void store_close(struct store *store, bool clean);
/* Whether the store was just made. */
bool store_is_new(const struct store *store);
/* Commits may be missing that an earlier process had acknowledged. True until settled. */
bool store_lost(const struct store *store);
/* And it is the host that went down: what only its kernel knew is gone. */
bool store_host_lost(const struct store *store);
/* Notes durably, without needing room, whether numbers were shown that are not committed. A store
 * opened with the note has lost commits. */
int store_note_shown(struct store *store, bool shown);
bool store_shown(const struct store *store);
/* Everything so far is durable, a new epoch included: the loss is told. */
int store_settle_loss(struct store *store);

/* Commits when `work` returns 0; its failure, or the commit's, is returned and nothing changed. */
int store_write(
    struct store *store, int (*work)(struct store *store, void *context), void *context);
/* Makes all commits durable. Once it failed it fails for ever: what the kernel dropped cannot be
 * told any more. */
int store_sync(struct store *store);
/* The same for the commits so far, on a thread of its own: `notify_fd` (an eventfd, or -1) counts
 * up once when it is through. -EBUSY: one was begun and not ended; or why none was begun. */
int store_sync_begin(struct store *store, int notify_fd);
/* What the sync that was begun came to; waits for it. Until then later commits keep out of the way
 * of what is synced. */
int store_sync_end(struct store *store);

int store_read_begin(struct store *store);
void store_read_end(struct store *store);

/* 0, -ENOENT, -errno. */
int store_get(struct store *store, enum store_table table, struct span key, struct span *ret_value);
/* The first entry at or above `key` (empty: the first of all). 0, -ENOENT, -errno. */
struct store_entry {
    struct span key;
    struct span value;
};
int store_seek(
    struct store *store, enum store_table table, struct span key, struct store_entry *ret_entry);
/* Calls back for each entry in order of key; stops at the first result that is not 0. */
int store_each(struct store *store, enum store_table table,
    int (*callback)(void *context, const struct store_entry *entry), void *context);

/* ---- inside store_write only */

int store_put(struct store *store, enum store_table table, struct span key, struct span value);
/* Room for a value behind the last key of the table; to be filled before anything else is done. */
int store_append(
    struct store *store, enum store_table table, struct span key, size_t size, char **ret_value);
/* -ENOENT when there was none. */
int store_delete(struct store *store, enum store_table table, struct span key);
int store_clear(struct store *store, enum store_table table);

/* Readers in processes that died keep no pages any more. */
void store_forget_readers(struct store *store);
/* Bytes of the file that are or were in use. */
uint64_t store_file_bytes(const struct store *store);

/* A batch number as a key; `*memory` must live as long. */
static inline struct span store_number_key(const uint64_t *memory)
{
    return (struct span){(const char *)memory, sizeof(*memory)};
}
