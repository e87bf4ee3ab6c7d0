/* SPDX-License-Identifier: Apache-2.0 */
#include "children.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *plain(const char *text)
{
    return (char *)(uintptr_t)text; /* posix_spawn changes nothing in it */
}

void child_start(struct child *child, const struct child_job *job)
{
    char count[16], signal_number[16];
    char *argv[] = {plain(job->program), plain(job->mode), plain(job->directory), plain(job->step),
        count, signal_number, plain(job->extra[0]), plain(job->extra[1]), plain(job->extra[2]),
        NULL};
    posix_spawn_file_actions_t actions;

    snprintf(count, sizeof count, "%u", (unsigned)job->count);
    snprintf(signal_number, sizeof signal_number, "%d", job->signal_number);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, job->fd, TORTURE_FD);
    errno = posix_spawn(&child->pid, job->program, &actions, NULL, argv, environ);
    if (errno != 0) {
        perror(job->program);
        abort();
    }
    posix_spawn_file_actions_destroy(&actions);
    child->step = job->step;
}

void child_kill(struct child *child)
{
    kill(child->pid, SIGKILL);
    child->killed = true;
}

void child_stop(const struct child *child)
{
    kill(child->pid, SIGSTOP);
}

void child_wake(struct child *child)
{
    kill(child->pid, SIGCONT);
    child->stopped = false;
}
