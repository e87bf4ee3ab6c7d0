/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/paths.h"
#include "history/store.h"

#include <lmdb.h>

/* For store.c (transactions) and store_env.c (opening, syncing, growing) only. */
struct store {
    MDB_env *env; /* NULL: closed by a fatal error; the next use opens it anew */
    MDB_dbi tables[STORE_TABLE_COUNT];
    MDB_txn *writer; /* inside store_write */
    MDB_txn *reader; /* reset unless `reading` */
    MDB_txn *pin;    /* keeps the anchored state's pages; NULL without anchor */
    struct state_file state;
    char directory[PATHS_MAX];
    char data_path[PATHS_MAX];
    enum history_sync sync;
    size_t map_bytes;
    bool is_new;
    bool lost;
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
/* Doubles the address space. No transaction may be open. */
int store_env_grow(struct store *store);

/* Whether every page of the store in `directory` can be walked, tried in a process of its own,
 * since LMDB trusts its pages. -EUCLEAN when not. */
int store_probe(const char *directory);
