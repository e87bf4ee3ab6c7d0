/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fill(char ret_path[PATHS_MAX], const char *text, const char *tail)
{
    int len = snprintf(ret_path, PATHS_MAX, "%s%s", text, tail);
    return len < 0 || len >= PATHS_MAX ? -ENAMETOOLONG : 0;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* Root creates the system's own places; others use them where they were given them. */
static bool usable(const char *path)
{
    return geteuid() == 0 || access(path, W_OK) == 0;
}

int paths_run_dir(char ret_path[PATHS_MAX], const char *configured)
{
    const char *base = configured && configured[0] ? configured : environment("RINGSIDE_RUN_DIR");
    if (base)
        return fill(ret_path, base, "");
    if (usable("/run/ringside"))
        return fill(ret_path, "/run/ringside", "");
    base = environment("XDG_RUNTIME_DIR");
    if (base)
        return fill(ret_path, base, "/ringside");
    char tail[32];
    snprintf(tail, sizeof(tail), "%u", (unsigned)geteuid());
    return fill(ret_path, "/tmp/ringside-", tail);
}

int paths_data_dir(char ret_path[PATHS_MAX], const char *configured)
{
    const char *base = configured && configured[0] ? configured : environment("RINGSIDE_DATA_DIR");
    if (base)
        return fill(ret_path, base, "");
    if (usable("/var/lib/ringside"))
        return fill(ret_path, "/var/lib/ringside", "");
    base = environment("HOME");
    return fill(ret_path, base ? base : "/tmp", "/.local/share/ringside");
}

int paths_arena_dir(char ret_path[PATHS_MAX], const char *node)
{
    return fill(ret_path, "/dev/shm/ringside-", node);
}

int paths_join(char ret_path[PATHS_MAX], const char *dir, const char *name)
{
    int len = snprintf(ret_path, PATHS_MAX, "%s/%s", dir, name);
    return len < 0 || len >= PATHS_MAX ? -ENAMETOOLONG : 0;
}

static int make_one(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    return -errno;
}

int paths_make_dir(const char *path)
{
    char partial[PATHS_MAX];
    int rc = fill(partial, path, "");
    if (rc)
        return rc;
    for (char *slash = strchr(partial + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = make_one(partial);
        if (rc && rc != -EROFS && rc != -EACCES)
            return rc;
        *slash = '/';
    }
    rc = make_one(partial);
    if (rc)
        return rc;
    struct stat status;
    if (stat(partial, &status) < 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        return -ENOTDIR;
    return status.st_uid == geteuid() ? 0 : -EPERM;
}
