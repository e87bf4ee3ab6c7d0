/* SPDX-License-Identifier: Apache-2.0 */
#include "history/copy.h"

#include "base/cleanup.h"
#include "history/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const file_names[] = {"state", "data.mdb", "lock.mdb"};

static int join(char ret_path[PATHS_MAX], const char *directory, const char *name)
{
    return paths_join(ret_path, directory, name);
}

/* Only what a copy has is removed: a directory of something else stays as it is. */
static void remove_copy(const char *directory)
{
    char path[PATHS_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(file_names); i++) {
        if (join(path, directory, file_names[i]) == 0)
            (void)unlink(path);
    }
    (void)rmdir(directory);
}

static int sync_path(const char *path, int flags)
{
    _cleanup_close_ int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_state(const char *directory)
{
    char path[PATHS_MAX];
    struct state_file state;
    struct state_slot slot = {.sync = HISTORY_SYNC_ALWAYS, .clean = true, .lost = true};
    int rc = join(path, directory, "state");
    if (rc == 0)
        rc = state_file_open(&state, path);
    if (rc)
        return rc;
    state_boot_id(slot.boot_id);
    rc = state_file_save(&state, &slot);
    state_file_close(&state);
    return rc;
}

static int copy_data(const char *directory, const char *partial)
{
    MDB_env *env;
    char path[PATHS_MAX];
    int rc = mdb_env_create(&env);
    if (rc)
        return -ENOMEM;
    rc = mdb_env_open(env, directory, MDB_RDONLY | MDB_NOTLS, 0600);
    if (rc == 0)
        rc = mdb_env_copy2(env, partial, MDB_CP_COMPACT);
    mdb_env_close(env);
    if (rc)
        return rc > 0 ? -rc : -EUCLEAN;
    rc = join(path, partial, "data.mdb");
    return rc ? rc : sync_path(path, 0);
}

static int sync_parent(const char *path)
{
    char parent[PATHS_MAX];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return sync_path(".", O_DIRECTORY);
    slash[slash == parent] = '\0';
    return sync_path(parent, O_DIRECTORY);
}

static int put_in_place(const char *partial, const char *target)
{
    int rc = sync_path(partial, O_DIRECTORY);
    if (rc)
        return rc;
    return rename(partial, target) < 0 ? -errno : sync_parent(target);
}

static int copy_into(const char *directory, const char *partial, const char *target)
{
    int rc = mkdir(partial, 0700) < 0 ? -errno : 0;
    if (rc == 0)
        rc = write_state(partial);
    if (rc == 0)
        rc = copy_data(directory, partial);
    return rc ? rc : put_in_place(partial, target);
}

/* Before the work of copying, not after it. */
static int check_target(const char *target)
{
    return rmdir(target) < 0 && errno != ENOENT ? -errno : 0;
}

int history_copy(const char *directory, const char *target, char ret_reason[HISTORY_REASON_SIZE])
{
    char partial[PATHS_MAX];
    int len = snprintf(partial, sizeof(partial), "%s" HISTORY_COPY_PARTIAL, target);
    int rc = len >= (int)sizeof(partial) ? -ENAMETOOLONG : check_target(target);
    if (rc) {
        snprintf(ret_reason, HISTORY_REASON_SIZE, "%.150s is not free for a copy: %s", target,
            strerror(-rc));
        return rc;
    }
    remove_copy(partial);
    rc = copy_into(directory, partial, target);
    if (rc == 0)
        return 0;
    remove_copy(partial);
    snprintf(ret_reason, HISTORY_REASON_SIZE, "%.80s cannot be copied to %.80s: %s", directory,
        target, strerror(-rc));
    return rc;
}

void store_forget_readers(struct store *store)
{
    int dead;
    if (store->env)
        mdb_reader_check(store->env, &dead);
}
