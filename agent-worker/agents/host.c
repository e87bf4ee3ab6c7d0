/* SPDX-License-Identifier: Apache-2.0 */
#include "agents/host.h"

#include "base/clock.h"
#include "base/paths.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK_MS 10000
#define SAID_MAX 4096

int host_find(char **ret_path, const char *name)
{
    char path[PATHS_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (len < 0)
        return -errno;
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash || asprintf(ret_path, "%.*s/%s", (int)(slash - path), path, name) < 0)
        return -ENOMEM;
    if (access(*ret_path, X_OK) == 0)
        return 0;
    int rc = -errno;
    free(*ret_path);
    *ret_path = NULL;
    return rc;
}

/* ---- judging */

static int left_ms(uint64_t until)
{
    uint64_t now = clock_monotonic_ms();
    return now < until ? (int)(until - now) : 0;
}

/* -ETIMEDOUT, or 0 when `fd` is ready. */
static int wait_for(int fd, short events, uint64_t until)
{
    struct pollfd watched = {.fd = fd, .events = events};
    int rc;
    do
        rc = poll(&watched, 1, left_ms(until));
    while (rc < 0 && errno == EINTR);
    return rc > 0 ? 0 : rc == 0 ? -ETIMEDOUT : -errno;
}

/* A program that does not want to know the settings closes its end. */
static int give(struct child *child, struct span settings, uint64_t until)
{
    int rc = 0;
    while (settings.len && !(rc = wait_for(child->in, POLLOUT, until))) {
        ssize_t wrote = write(child->in, settings.data, settings.len);
        if (wrote < 0 && errno == EPIPE)
            break;
        if (wrote > 0)
            settings = span_of(settings.data + wrote, settings.len - (size_t)wrote);
    }
    close(child->in);
    child->in = -1;
    return rc;
}

static int listen_to(const struct child *child, struct buffer *ret_said, uint64_t until)
{
    int rc;
    while (!(rc = wait_for(child->out, POLLIN, until))) {
        char chunk[1024];
        ssize_t got = read(child->out, chunk, sizeof(chunk));
        if (got == 0)
            return 0;
        if (got > 0 && ret_said->len < SAID_MAX)
            buffer_append(ret_said, chunk, (size_t)got);
    }
    return rc;
}

static int judge(struct child *child, int rc, uint64_t until)
{
    struct child_exit end;
    if (!rc)
        rc = wait_for(child->pid_fd, POLLIN, until);
    if (rc)
        child_signal(child, SIGKILL);
    while (child_reap(&end, child) == -EAGAIN)
        (void)wait_for(child->pid_fd, POLLIN, UINT64_MAX);
    child_close(child);
    return rc ? rc : end.code || end.by_signal ? -ENOEXEC : 0;
}

int host_check(const struct program *program, struct span settings, struct buffer *ret_said)
{
    uint64_t until = clock_monotonic_ms() + CHECK_MS;
    struct child child = CHILD_NONE;
    int rc = child_spawn(&child, program);
    if (rc < 0)
        return rc;
    rc = give(&child, settings, until);
    if (!rc)
        rc = listen_to(&child, ret_said, until);
    return judge(&child, rc, until);
}
