/* SPDX-License-Identifier: Apache-2.0 */
#include "folders.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LOCK_FILE "up.lock"
/* __SO_ACCEPTCON among the flags of /proc/net/unix. */
#define LISTENING 0x10000u

static int explain(char ret_why[FOLDERS_WHY_SIZE], int rc, const char *path, const char *hint)
{
    snprintf(
        ret_why, FOLDERS_WHY_SIZE, "%.511s: %s%s", path, rc == -EPERM ? "" : strerror(-rc), hint);
    return rc;
}

static int make_absolute(char path[PATHS_MAX])
{
    if (path[0] == '/')
        return 0;
    char given[PATHS_MAX];
    _cleanup_free_ char *here = getcwd(NULL, 0);
    if (!here)
        return -errno;
    memcpy(given, path, PATHS_MAX);
    return paths_join(path, here, given);
}

int folders_find(
    struct folders *ret_folders, const struct config *config, char ret_why[FOLDERS_WHY_SIZE])
{
    int rc = paths_run_dir(ret_folders->run_dir, config->node_run_dir);
    if (rc == 0)
        rc = make_absolute(ret_folders->run_dir);
    if (rc)
        return explain(ret_why, rc, "run directory", "; choose another with --node-run-dir");
    rc = paths_data_dir(ret_folders->data_dir, config->node_data_dir);
    if (rc == 0)
        rc = make_absolute(ret_folders->data_dir);
    if (rc)
        return explain(ret_why, rc, "data directory", "; choose another with --node-data-dir");
    return 0;
}

int folders_check(const char *path, char ret_why[FOLDERS_WHY_SIZE])
{
    struct stat status;
    if (stat(path, &status) < 0)
        return explain(ret_why, -errno, path, "");
    if (!S_ISDIR(status.st_mode))
        return explain(ret_why, -ENOTDIR, path, "");
    if (status.st_uid != geteuid())
        return explain(ret_why, -EPERM, path, "belongs to another user");
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        return explain(ret_why, -EPERM, path, "others may write it; chmod 700 it");
    if (access(path, R_OK | W_OK | X_OK) < 0)
        return explain(ret_why, -errno, path, "");
    return 0;
}

static int prepare(const char *path, const char *flag, char ret_why[FOLDERS_WHY_SIZE])
{
    char hint[160];
    snprintf(hint, sizeof(hint),
        "; it must be a folder of this user's own: make it so, or choose another with --%s", flag);
    int rc = paths_make_dir(path);
    if (rc == -EPERM)
        return explain(ret_why, rc, path, "belongs to another user");
    if (rc)
        return explain(ret_why, rc, path, hint);
    return folders_check(path, ret_why);
}

int folders_prepare(const struct folders *folders, char ret_why[FOLDERS_WHY_SIZE])
{
    int rc = prepare(folders->run_dir, "node-run-dir", ret_why);
    return rc ? rc : prepare(folders->data_dir, "node-data-dir", ret_why);
}

/* ---- the lock */

static int read_pid(int fd)
{
    char text[16] = "";
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    return len > 0 ? (int)strtol(text, NULL, 10) : 0;
}

static void write_pid(int fd)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    /* Only for messages: the lock itself does not need it. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) < 0)
        (void)ftruncate(fd, 0);
}

int folders_lock(const struct folders *folders, char ret_why[FOLDERS_WHY_SIZE])
{
    char path[PATHS_MAX];
    int rc = paths_join(path, folders->run_dir, LOCK_FILE);
    if (rc)
        return explain(ret_why, rc, folders->run_dir, "; choose a shorter run directory");
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return explain(ret_why, -errno, path, "");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
        if (rc != -EBUSY)
            return explain(ret_why, rc, path, "");
        snprintf(ret_why, FOLDERS_WHY_SIZE,
            "a node is running already in %.511s (ringside up, pid %d); stop it with `kill %d`, or "
            "start this one elsewhere with RINGSIDE_RUN_DIR, RINGSIDE_DATA_DIR and --node-name",
            folders->run_dir, read_pid(fd), read_pid(fd));
        return rc;
    }
    write_pid(fd);
    return steal_fd(&fd);
}

bool folders_locked(const struct folders *folders, int *ret_pid)
{
    char path[PATHS_MAX];
    if (paths_join(path, folders->run_dir, LOCK_FILE) < 0)
        return false;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
        return false;
    *ret_pid = read_pid(fd);
    return errno == EWOULDBLOCK;
}

/* ---- sockets */

/* Whether a line of /proc/net/unix is a listener bound to `path`. */
static bool is_listener(char *line, const char *path)
{
    /* Num RefCount Protocol Flags Type St Inode Path */
    char *rest = line, *field = NULL;
    unsigned long flags = 0;
    for (int i = 0; i < 7 && (field = strsep(&rest, " ")); i += *field != '\0') {
        if (i == 3 && *field)
            flags = strtoul(field, NULL, 16);
    }
    return rest && (flags & LISTENING) && strcmp(rest, path) == 0;
}

/*
 * Whether the kernel lists a listener bound to `path`. Asked before connecting, since a listener
 * of nng that is connected to and left without a greeting stops accepting.
 */
static bool is_listened_on(const char *path)
{
    char line[PATHS_MAX + 128];
    FILE *list = fopen("/proc/net/unix", "re");
    bool found = false;
    while (list && !found && fgets(line, sizeof(line), list)) {
        line[strcspn(line, "\n")] = '\0';
        found = is_listener(line, path);
    }
    if (list)
        fclose(list);
    return found;
}

enum socket_state folders_probe_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    if (lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode) ||
        strlen(path) >= sizeof(address.sun_path))
        return SOCKET_NONE;
    if (is_listened_on(path))
        return SOCKET_ANSWERED;
    /* Nobody, or a path under another name: a refusal proves which. */
    strcpy(address.sun_path, path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return SOCKET_NONE;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
        return SOCKET_ANSWERED;
    return errno == ECONNREFUSED ? SOCKET_STALE : SOCKET_NONE;
}

static bool is_socket_name(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, ".ipc") == 0;
}

unsigned folders_each_stale(
    const char *run_dir, void (*handle)(void *context, const char *path), void *context)
{
    unsigned count = 0;
    char path[PATHS_MAX];
    DIR *folder = opendir(run_dir);
    if (!folder)
        return 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (!is_socket_name(entry->d_name) || paths_join(path, run_dir, entry->d_name) < 0 ||
            folders_probe_socket(path) != SOCKET_STALE)
            continue;
        handle(context, path);
        count++;
    }
    closedir(folder);
    return count;
}
