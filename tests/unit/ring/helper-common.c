/* SPDX-License-Identifier: Apache-2.0 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void helper_need(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

void helper_start(struct helper *ret_helper, const char *path, const struct helper_job *job)
{
    char count[16], writer[16], first[24], last[24];
    char *argv[] = {(char *)(uintptr_t)path, (char *)(uintptr_t)job->mode,
        (char *)(uintptr_t)job->directory, (char *)(uintptr_t)job->step, count, writer, first, last,
        NULL};
    posix_spawn_file_actions_t actions;
    int report[2], e;

    snprintf(count, sizeof count, "%" PRIu32, job->count);
    snprintf(writer, sizeof writer, "%" PRIu32, job->writer);
    snprintf(first, sizeof first, "%" PRIu64, job->first);
    snprintf(last, sizeof last, "%" PRIu64, job->last);
    helper_need(pipe2(report, O_CLOEXEC) == 0, "pipe2");
    posix_spawn_file_actions_init(&actions);
    if (report[1] == 3) { /* dup2 onto itself would keep it close-on-exec */
        helper_need((e = fcntl(3, F_DUPFD_CLOEXEC, 4)) >= 0, "fcntl");
        close(3);
        report[1] = e;
    }
    posix_spawn_file_actions_adddup2(&actions, report[1], 3);
    e = posix_spawn(&ret_helper->pid, path, &actions, NULL, argv, environ);
    errno = e;
    helper_need(e == 0, path);
    posix_spawn_file_actions_destroy(&actions);
    close(report[1]);
    helper_need(fcntl(report[0], F_SETFL, O_NONBLOCK) == 0, "fcntl");
    ret_helper->report = report[0];
}

int helper_ended(struct helper *h, int *ret_status)
{
    pid_t r = waitpid(h->pid, ret_status, WNOHANG);

    helper_need(r >= 0, "waitpid");
    return r == h->pid;
}

void helper_kill(struct helper *h)
{
    kill(h->pid, SIGKILL);
    helper_need(waitpid(h->pid, NULL, 0) == h->pid, "waitpid");
    close(h->report);
}

uint32_t helper_length(uint32_t writer, uint64_t seq)
{
    return (uint32_t)((seq * 2654435761u + writer * 40503u) >> 5) % HELPER_PAYLOAD_MAX;
}

static uint8_t helper_byte(uint64_t seq, uint32_t i)
{
    return (uint8_t)(seq * 31 + i * 7 + 1);
}

void helper_fill(struct helper_payload *payload, uint32_t writer, uint64_t seq)
{
    uint8_t *bytes = (uint8_t *)(payload + 1);

    payload->writer = writer;
    payload->seq = seq;
    payload->length = helper_length(writer, seq);
    for (uint32_t i = 0; i < payload->length; i++)
        bytes[i] = helper_byte(seq, i);
}

int helper_intact(const struct helper_payload *payload, uint32_t payload_length)
{
    const uint8_t *bytes = (const uint8_t *)(payload + 1);

    if (payload_length < sizeof *payload || payload->length != payload_length - sizeof *payload ||
        payload->length != helper_length(payload->writer, payload->seq))
        return 0;
    for (uint32_t i = 0; i < payload->length; i++)
        if (bytes[i] != helper_byte(payload->seq, i))
            return 0;
    return 1;
}
