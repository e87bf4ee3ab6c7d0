/* SPDX-License-Identifier: Apache-2.0 */
#include "history/store_private.h"

#include "failpoints/failpoint.h"

#include <assert.h>
#include <errno.h>
#include <sys/statvfs.h>

int store_error(struct store *store, int rc)
{
    switch (rc) {
    case MDB_SUCCESS: return 0;
    case MDB_NOTFOUND: return -ENOENT;
    case MDB_KEYEXIST: return -EEXIST;
    case MDB_MAP_FULL: store->full = true; return -ENOSPC;
    case MDB_PANIC: store->panic = true; return -EIO;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_VERSION_MISMATCH: return -EUCLEAN;
    default: return rc > 0 ? -rc : -EIO;
    }
}

static MDB_val to_val(struct span span)
{
    return (MDB_val){.mv_size = span.len, .mv_data = (void *)(uintptr_t)span.data};
}

static struct span to_span(const MDB_val *val)
{
    return span_of(val->mv_data, val->mv_size);
}

static MDB_txn *current(const struct store *store)
{
    assert(store->writer || store->reading);
    return store->writer ? store->writer : store->reader;
}

/* ---- writing */

/* LMDB calls a write that a full disk cut short EIO. */
static int name_full_disk(const struct store *store, int rc)
{
    struct statvfs disk;
    if (rc == -EIO && statvfs(store->directory, &disk) == 0 &&
        disk.f_bavail * disk.f_frsize < 1u << 20)
        return -ENOSPC;
    return rc;
}

static int write_once(struct store *store, int (*work)(struct store *, void *), void *context)
{
    store->full = false;
    store->panic = false;
    int rc = store_error(store, mdb_txn_begin(store->env, NULL, 0, &store->writer));
    if (rc)
        return rc;
    rc = work(store, context);
    MDB_txn *txn = store->writer;
    store->writer = NULL;
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    FAILPOINT(commit_written);
    return name_full_disk(store, store_error(store, mdb_txn_commit(txn)));
}

int store_write(struct store *store, int (*work)(struct store *store, void *context), void *context)
{
    assert(!store->writer && !store->reading);
    const char *what;
    bool again = true;
    for (;;) {
        int rc = store->env ? 0 : store_env_open(store, &what);
        if (rc)
            return rc;
        rc = write_once(store, work, context);
        if (rc && store->full) {
            rc = store_env_grow(store);
            if (rc)
                return rc;
        } else if (rc && store->panic && again) {
            store_env_close(store);
            again = false;
        } else {
            return rc;
        }
    }
}

int store_put(struct store *store, enum store_table table, struct span key, struct span value)
{
    MDB_val key_val = to_val(key);
    MDB_val value_val = to_val(value);
    return store_error(
        store, mdb_put(store->writer, store->tables[table], &key_val, &value_val, 0));
}

int store_append(
    struct store *store, enum store_table table, struct span key, size_t size, char **ret_value)
{
    MDB_val key_val = to_val(key);
    MDB_val value_val = {.mv_size = size};
    int rc = store_error(store, mdb_put(store->writer, store->tables[table], &key_val, &value_val,
                                    MDB_APPEND | MDB_RESERVE));
    if (rc == 0)
        *ret_value = value_val.mv_data;
    return rc;
}

int store_delete(struct store *store, enum store_table table, struct span key)
{
    MDB_val key_val = to_val(key);
    return store_error(store, mdb_del(store->writer, store->tables[table], &key_val, NULL));
}

int store_clear(struct store *store, enum store_table table)
{
    return store_error(store, mdb_drop(store->writer, store->tables[table], 0));
}

/* ---- reading */

int store_read_begin(struct store *store)
{
    assert(!store->writer && !store->reading);
    const char *what;
    store->panic = false;
    int rc = store->env ? store_error(store, mdb_txn_renew(store->reader)) : -EIO;
    if (!store->env || store->panic) {
        store_env_close(store);
        rc = store_env_open(store, &what);
        if (rc == 0)
            rc = store_error(store, mdb_txn_renew(store->reader));
    }
    store->reading = rc == 0;
    return rc;
}

void store_read_end(struct store *store)
{
    assert(store->reading);
    mdb_txn_reset(store->reader);
    store->reading = false;
}

int store_get(struct store *store, enum store_table table, struct span key, struct span *ret_value)
{
    MDB_val key_val = to_val(key);
    MDB_val value_val;
    int rc =
        store_error(store, mdb_get(current(store), store->tables[table], &key_val, &value_val));
    if (rc == 0)
        *ret_value = to_span(&value_val);
    return rc;
}

int store_seek(
    struct store *store, enum store_table table, struct span key, struct store_entry *ret_entry)
{
    MDB_cursor *cursor;
    MDB_val key_val = to_val(key);
    MDB_val value_val;
    int rc = store_error(store, mdb_cursor_open(current(store), store->tables[table], &cursor));
    if (rc)
        return rc;
    rc = store_error(
        store, mdb_cursor_get(cursor, &key_val, &value_val, key.len ? MDB_SET_RANGE : MDB_FIRST));
    mdb_cursor_close(cursor);
    if (rc == 0)
        *ret_entry = (struct store_entry){to_span(&key_val), to_span(&value_val)};
    return rc;
}

int store_each(struct store *store, enum store_table table,
    int (*callback)(void *context, const struct store_entry *entry), void *context)
{
    MDB_cursor *cursor;
    MDB_val key_val;
    MDB_val value_val;
    int rc = store_error(store, mdb_cursor_open(current(store), store->tables[table], &cursor));
    if (rc)
        return rc;
    int stop = 0;
    while (stop == 0) {
        rc = store_error(store, mdb_cursor_get(cursor, &key_val, &value_val, MDB_NEXT));
        if (rc)
            break;
        stop = callback(context, &(struct store_entry){to_span(&key_val), to_span(&value_val)});
    }
    mdb_cursor_close(cursor);
    return stop ? stop : rc == -ENOENT ? 0 : rc;
}

uint64_t store_file_bytes(const struct store *store)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (!store->env || mdb_env_info(store->env, &info) || mdb_env_stat(store->env, &stat))
        return 0;
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

bool store_is_new(const struct store *store)
{
    return store->is_new;
}

bool store_lost(const struct store *store)
{
    return store->lost;
}

bool store_host_lost(const struct store *store)
{
    return store->host_lost;
}

bool store_shown(const struct store *store)
{
    return store->shown;
}
