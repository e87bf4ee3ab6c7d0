/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/paths.h"
#include "history/store.h"

#include <lmdb.h>
#include <pthread.h>

/* One sync; store_sync.c says who may touch what of the store meanwhile. */
struct store_syncing {
    bool begun;   /* by store_sync_begin, and not ended */
    bool running; /* in `thread`, not joined */
    pthread_t thread;
    int notify_fd;
    bool saves; /* a new slot, too */
    struct state_slot slot;
    bool data_failed; /* said by who did the work, as `rc` */
    int rc;
    int rc_begun; /* of the one that was begun, once it is through */
};

/* For store.c (transactions), store_env.c (opening, growing) and store_sync.c only. */
struct store {
    MDB_env *env; /* NULL: closed by a fatal error; the next use opens it anew */
    MDB_dbi tables[STORE_TABLE_COUNT];
    MDB_txn *writer;   /* inside store_write */
    MDB_txn *reader;   /* reset unless `reading` */
    MDB_txn *pin;      /* keeps the anchored state's pages; NULL without anchor */
    MDB_txn *next_pin; /* at the state that a sync makes durable; reset otherwise */
    struct store_syncing syncing;
    struct state_file state;
    char directory[PATHS_MAX];
    char data_path[PATHS_MAX];
    enum history_sync sync;
    size_t map_bytes;
    bool is_new;
    bool lost;
    bool host_lost;
    bool shown;
    bool sync_failed;
    bool reading;
    bool full;  /* the transaction ran out of address space */
    bool panic; /* LMDB wants to be closed and opened */
};

extern const char *const store_table_names[STORE_TABLE_COUNT];

/* LMDB's result as -errno; notes `full` and `panic`. */
int store_error(struct store *store, int rc);
/* Opens `store->env` and its tables, with the newest state synced and, where the policy has it,
 * anchored. `what` is a static sentence on failure. */
int store_env_open(struct store *store, const char **ret_what);
void store_env_close(struct store *store);
/* Waits for a sync under way, if any, and takes over what it did. First of all to be called by what
 * opens, closes or grows the environment or writes the state file. */
void store_sync_wait(struct store *store);
enum store_sync_kind {
    STORE_SYNC_DATA,  /* and the anchor, where the policy has one */
    STORE_SYNC_STATE, /* and the state as it is now, under each policy */
    STORE_SYNC_CLEAN, /* and that the store was closed cleanly */
};
/* Syncs, on this thread. */
int store_sync_now(struct store *store, enum store_sync_kind kind);
/* Doubles the address space. No transaction may be open. */
int store_env_grow(struct store *store);

/* Whether every page of the store in `directory` can be walked, tried in a process of its own,
 * since LMDB trusts its pages. -EUCLEAN when not. */
int store_probe(const char *directory);
