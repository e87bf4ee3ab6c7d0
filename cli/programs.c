/* SPDX-License-Identifier: Apache-2.0 */
#include "programs.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
    const char *name;
    const char *build_folder; /* from the folder of this program, in a build tree */
};

static const struct place places[PROGRAM_COUNT] = {
    [PROGRAM_BROKER] = {"ringside-broker", "../broker"},
    [PROGRAM_WORKER] = {"ringside-worker", "../agent-worker"},
    [PROGRAM_GATEWAY] = {"ringside-gateway", "../gateway"},
};

const char *program_name(enum program_index program)
{
    return places[program].name;
}

/* The folder this program was started from. */
static int own_folder(char ret_path[PATHS_MAX])
{
    ssize_t len = readlink("/proc/self/exe", ret_path, PATHS_MAX - 1);
    if (len < 0)
        return -errno;
    ret_path[len] = '\0';
    char *slash = strrchr(ret_path, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    return 0;
}

static int join(char ret_path[PATHS_MAX], const char *folder, const char *sub, const char *name)
{
    int len = snprintf(ret_path, PATHS_MAX, "%s%s%s/%s", folder, *sub ? "/" : "", sub, name);
    return len < 0 || len >= PATHS_MAX ? -ENAMETOOLONG : 0;
}

int program_find_tool(char ret_path[PATHS_MAX], const char *name, const char *build_folder)
{
    char folder[PATHS_MAX], built[PATHS_MAX];
    int rc = own_folder(folder);
    if (rc == 0)
        rc = join(built, folder, build_folder, name);
    if (rc == 0)
        rc = join(ret_path, folder, "", name);
    if (rc)
        return rc;
    if (access(ret_path, X_OK) == 0)
        return 0;
    _cleanup_free_ char *real = access(built, X_OK) == 0 ? realpath(built, NULL) : NULL;
    if (!real)
        return -ENOENT;
    int len = snprintf(ret_path, PATHS_MAX, "%s", real);
    return len < 0 || len >= PATHS_MAX ? -ENAMETOOLONG : 0;
}

int program_find(char ret_path[PATHS_MAX], enum program_index program)
{
    return program_find_tool(ret_path, places[program].name, places[program].build_folder);
}
