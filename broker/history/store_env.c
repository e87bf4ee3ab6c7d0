/* SPDX-License-Identifier: Apache-2.0 */
#include "history/store_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

/*
 * What the loss of power does to the store, by policy of the process that lost it:
 *
 * always    LMDB syncs data, then the page that names it: every acknowledged commit is there.
 * interval  LMDB does not sync, and the kernel writes pages in any order: what is on disk may be
 *           neither the old tree nor the new. So at each sync the pages that name the tree (the
 *           first two) are copied to the state file, and a reader is kept at that state, which
 *           forbids LMDB to write over its pages until the next sync has moved both. After a
 *           loss of power the copied pages are put back: the store is exactly as at that sync.
 * never     No sync, hence no such state: what the disk has is probed, and used or refused.
 *
 * The order within a sync, and who does what of it, is in store_sync.c. Commits go on meanwhile.
 * Whatever changes the environment or the state file waits for a sync under way (store_sync_wait).
 *
 * Under `interval` and `never` commits may be gone then, and numbers given to clients with them:
 * `lost` stays set, in the state file, until the caller has made a new epoch durable.
 */
#define STORE_MAP_DEFAULT ((size_t)4 << 30)
#define STORE_MAP_LEAST ((size_t)1 << 20)
#define STORE_MAP_MOST ((size_t)1 << 46)

const char *const store_table_names[STORE_TABLE_COUNT] = {
    [STORE_META] = "meta",
    [STORE_BATCHES] = "batches",
    [STORE_LEDGER] = "ledger",
    [STORE_STREAMS] = "streams",
    [STORE_POSITIONS] = "positions",
    [STORE_OPEN_RUNS] = "open_runs",
    [STORE_CLOSED_RUNS] = "closed_runs",
    [STORE_MESSAGES] = "messages",
};

/* ---- growing */

int store_env_grow(struct store *store)
{
    if (store->map_bytes > STORE_MAP_MOST / 2)
        return -ENOSPC;
    int rc = 0;
    store_sync_wait(store);
    if (store->pin) {
        /* The reader must let go, so it has to be at the newest state. */
        rc = store_sync(store);
        if (rc)
            return rc;
        mdb_txn_reset(store->pin);
    }
    rc = store_error(store, mdb_env_set_mapsize(store->env, store->map_bytes * 2));
    if (rc) {
        /* Without a map LMDB must not be used; the next use opens it as it was. */
        store_env_close(store);
        return rc;
    }
    store->map_bytes *= 2;
    return store->pin ? store_error(store, mdb_txn_renew(store->pin)) : 0;
}

/* ---- opening */

static int open_tables(struct store *store, MDB_txn *txn, unsigned flags)
{
    for (int i = 0; i < STORE_TABLE_COUNT; i++) {
        bool numbered = i == STORE_BATCHES || i == STORE_LEDGER;
        int rc = mdb_dbi_open(
            txn, store_table_names[i], flags | (numbered ? MDB_INTEGERKEY : 0), &store->tables[i]);
        if (rc)
            return store_error(store, rc == MDB_NOTFOUND ? MDB_INVALID : rc);
    }
    return 0;
}

/* A store without any table was being made when its maker died. */
static int open_or_make_tables(struct store *store)
{
    MDB_txn *txn;
    MDB_stat stat;
    int rc = store_error(store, mdb_env_stat(store->env, &stat));
    if (rc)
        return rc;
    store->is_new = stat.ms_entries == 0;
    unsigned begin = store->is_new ? 0 : MDB_RDONLY;
    rc = store_error(store, mdb_txn_begin(store->env, NULL, begin, &txn));
    if (rc)
        return rc;
    rc = open_tables(store, txn, store->is_new ? MDB_CREATE : 0);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return store_error(store, mdb_txn_commit(txn));
}

/* LMDB reads its map wherever its tree points; behind the end of the file that is SIGBUS. The
 * last pages may rightly be missing, when they were allocated and freed in one transaction. */
static int check_size(struct store *store)
{
    struct stat status;
    if (stat(store->data_path, &status) < 0)
        return -errno;
    if (store_file_bytes(store) <= (uint64_t)status.st_size)
        return 0;
    return store_probe(store->directory);
}

static int sync_directory(const struct store *store)
{
    _cleanup_close_ int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int open_checked(struct store *store, const char **ret_what)
{
    *ret_what = "the data file is not a store";
    int rc = store_error(store, mdb_env_create(&store->env));
    if (rc)
        return rc;
    mdb_env_set_mapsize(store->env, store->map_bytes);
    mdb_env_set_maxdbs(store->env, STORE_TABLE_COUNT);
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    flags |= store->sync == HISTORY_SYNC_ALWAYS ? 0 : MDB_NOSYNC;
    rc = store_error(store, mdb_env_open(store->env, store->directory, flags, 0600));
    if (rc)
        return rc;
    *ret_what = "the data file is shorter than its contents";
    rc = check_size(store);
    if (rc)
        return rc;
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    store->map_bytes = info.me_mapsize;
    *ret_what = "the state of the store cannot be made durable";
    rc = store_sync_now(store, STORE_SYNC_STATE);
    if (rc)
        return rc;
    *ret_what = "the tables of the store cannot be opened";
    rc = open_or_make_tables(store);
    if (rc == 0 && store->is_new)
        rc = sync_directory(store);
    if (rc)
        return rc;
    return store_error(store, mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader));
}

int store_env_open(struct store *store, const char **ret_what)
{
    int rc = open_checked(store, ret_what);
    if (rc) {
        store_env_close(store);
        return rc;
    }
    mdb_txn_reset(store->reader);
    return 0;
}

void store_env_close(struct store *store)
{
    store_sync_wait(store);
    mdb_txn_abort(store->reader);
    mdb_txn_abort(store->pin);
    mdb_txn_abort(store->next_pin);
    store->reader = NULL;
    store->pin = NULL;
    store->next_pin = NULL;
    mdb_env_close(store->env);
    store->env = NULL;
}

/* ---- after a loss of power */

static int put_pages_back(const struct store *store)
{
    const struct state_slot *slot = &store->state.slot;
    _cleanup_close_ int fd = open(store->data_path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t done = pwrite(fd, slot->pages, slot->pages_size, 0);
    if (done != (ssize_t)slot->pages_size)
        return done < 0 ? -errno : -EIO;
    return fdatasync(fd) < 0 ? -errno : 0;
}

/* A host that does not tell its boots is taken to have been started anew each time. */
static bool other_boot(const struct state_slot *slot)
{
    char now[STATE_BOOT_ID_SIZE];
    state_boot_id(now);
    return now[0] == '\0' || strcmp(now, slot->boot_id) != 0;
}

static int repair(struct store *store, const char **ret_what)
{
    const struct state_slot *slot = &store->state.slot;
    struct stat status;
    bool exists = stat(store->data_path, &status) == 0 && status.st_size > 0;
    store->lost = slot->lost || slot->shown;
    *ret_what = "its data file is missing";
    if (!exists)
        return slot->turn ? -EUCLEAN : 0;
    if (slot->turn && (slot->clean || !other_boot(slot)))
        return 0;
    if (slot->turn && slot->sync == HISTORY_SYNC_ALWAYS)
        return 0;
    store->lost = true;
    store->host_lost = true;
    *ret_what = "the last synced state cannot be put back";
    if (slot->pages_size)
        return put_pages_back(store);
    *ret_what = "it was damaged when the host went down without a sync";
    return store_probe(store->directory);
}

/* ---- the store */

__attribute__((format(printf, 2, 3))) static void explain(
    char ret_reason[HISTORY_REASON_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ret_reason, HISTORY_REASON_SIZE, format, args);
    va_end(args);
}

static int prepare(
    struct store *store, const struct store_options *options, char ret_reason[HISTORY_REASON_SIZE])
{
    char state_path[PATHS_MAX];
    size_t map_bytes = options->map_bytes ? options->map_bytes : STORE_MAP_DEFAULT;
    store->sync = options->sync;
    store->map_bytes = map_bytes < STORE_MAP_LEAST ? STORE_MAP_LEAST : map_bytes;
    int rc = paths_join(store->directory, options->directory, "");
    if (rc == 0)
        rc = paths_join(store->data_path, options->directory, "data.mdb");
    if (rc == 0)
        rc = paths_join(state_path, options->directory, "state");
    if (rc == 0)
        rc = paths_make_dir(options->directory);
    if (rc == 0)
        rc = state_file_open(&store->state, state_path);
    if (rc == -EBUSY)
        explain(ret_reason, "%.150s is open in another process", options->directory);
    else if (rc)
        explain(ret_reason, "%.150s cannot be used: %s", options->directory, strerror(-rc));
    return rc;
}

int store_open(struct store **ret_store, const struct store_options *options,
    char ret_reason[HISTORY_REASON_SIZE])
{
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->state.fd = -1;
    const char *what = "";
    int rc = prepare(store, options, ret_reason);
    if (rc == 0) {
        rc = repair(store, &what);
        if (rc == 0)
            rc = store_env_open(store, &what);
        if (rc)
            explain(ret_reason, "%s (%s)", what, strerror(-rc));
    }
    if (rc) {
        state_file_close(&store->state);
        free(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

void store_close(struct store *store, bool clean)
{
    if (!store)
        return;
    if (clean && store->env) /* when it fails the next start treats it as not clean */
        (void)store_sync_now(store, STORE_SYNC_CLEAN);
    store_env_close(store);
    state_file_close(&store->state);
    free(store);
}
