/* SPDX-License-Identifier: Apache-2.0 */
#include "history/store_private.h"

#include "base/cleanup.h"
#include "history/batch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * LMDB follows what its pages say, so pages that a loss of power left half written can make it
 * read anywhere. Only such a store is probed: a child walks all of it, and what kills the child
 * does not kill the broker. Open descriptors are shared with the child, its end closes only its
 * own.
 */
#define PROBE_CPU_SECONDS 600

/* Nothing that the broker has registered for its own end or its own crashes may run here. */
static void probe_end(int rc)
{
    syscall(SYS_exit_group, rc ? 1 : 0);
}

static void probe_take_crashes(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU};
    for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
        signal(crashes[i], SIG_DFL);
    struct rlimit no_core = {0, 0};
    struct rlimit cpu = {PROBE_CPU_SECONDS, PROBE_CPU_SECONDS};
    setrlimit(RLIMIT_CORE, &no_core);
    setrlimit(RLIMIT_CPU, &cpu);
}

static void probe_failed(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    probe_end(-EUCLEAN);
}

static int probe_free_list(const MDB_val *value, size_t last_page)
{
    size_t count;
    if (value->mv_size < sizeof(count) || value->mv_size % sizeof(count))
        return -EUCLEAN;
    memcpy(&count, value->mv_data, sizeof(count));
    if (count >= value->mv_size / sizeof(count))
        return -EUCLEAN;
    for (size_t i = 1; i <= count; i++) {
        size_t page;
        memcpy(&page, (const char *)value->mv_data + i * sizeof(page), sizeof(page));
        if (page < 2 || page > last_page)
            return -EUCLEAN;
    }
    return 0;
}

static int probe_value(const char *table, const MDB_val *value, size_t last_page)
{
    struct batch batch;
    if (!table)
        return probe_free_list(value, last_page);
    if (strcmp(table, "batches") == 0)
        return batch_open(&batch, span_of(value->mv_data, value->mv_size)) ||
               batch_check_front(&batch);
    return value->mv_size ? (*(volatile const char *)value->mv_data, 0) : 0;
}

/* `table` NULL: LMDB's list of free pages, its table 0. */
static int probe_table(MDB_txn *txn, const char *table)
{
    MDB_dbi dbi = 0;
    MDB_cursor *cursor;
    MDB_envinfo info;
    mdb_env_info(mdb_txn_env(txn), &info);
    if (table && mdb_dbi_open(txn, table, 0, &dbi) != MDB_SUCCESS)
        return -EUCLEAN;
    if (mdb_cursor_open(txn, dbi, &cursor) != MDB_SUCCESS)
        return -EUCLEAN;
    MDB_val key;
    MDB_val value;
    int rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        if (probe_value(table, &value, info.me_last_pgno) != 0)
            return -EUCLEAN;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : -EUCLEAN;
}

static int probe_all(MDB_env *env, const char *directory)
{
    MDB_txn *txn;
    if (mdb_env_set_maxdbs(env, STORE_TABLE_COUNT) ||
        mdb_env_open(env, directory, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600) ||
        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn))
        return -EUCLEAN;
    int rc = probe_table(txn, NULL);
    MDB_stat stat;
    if (mdb_env_stat(env, &stat) || stat.ms_entries == 0)
        return rc; /* its maker died before there were tables */
    for (int i = 0; rc == 0 && i < STORE_TABLE_COUNT; i++)
        rc = probe_table(txn, store_table_names[i]);
    return rc;
}

static void probe_child(const char *directory)
{
    MDB_env *env;
    probe_take_crashes();
    if (mdb_env_create(&env) != MDB_SUCCESS)
        probe_end(-ENOMEM);
    mdb_env_set_assert(env, probe_failed);
    probe_end(probe_all(env, directory));
}

int store_probe(const char *directory)
{
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child == 0)
        probe_child(directory);
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EUCLEAN;
}
