/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/backup.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "history/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const state_names[BACKUP_STATES] = {
    [BACKUP_NONE] = "none",
    [BACKUP_RUNNING] = "running",
    [BACKUP_DONE] = "done",
    [BACKUP_FAILED] = "failed",
};

void backup_init(struct backup *backup, const struct backup_options *options)
{
    *backup = (struct backup){.options = *options, .output = -1};
}

void backup_deinit(struct backup *backup)
{
    if (backup->state != BACKUP_RUNNING)
        return;
    kill(backup->pid, SIGKILL); /* what it began is removed by the next backup */
    ev_child_stop(backup->options.loop, &backup->child);
    close(backup->output);
    backup->state = BACKUP_NONE;
}

/* ---- the end of the process */

/* What it said on its standard output: the sentence why not. */
static void take_reason(struct backup *backup, int status)
{
    ssize_t len = read(backup->output, backup->reason, sizeof(backup->reason) - 1);
    backup->reason[len > 0 ? strcspn(backup->reason, "\n") : 0] = '\0';
    if (backup->reason[0])
        return;
    snprintf(backup->reason, sizeof(backup->reason), "the copying process ended with %s %d",
        WIFSIGNALED(status) ? "signal" : "status",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void end(struct backup *backup, int status)
{
    bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    backup->state = done ? BACKUP_DONE : BACKUP_FAILED;
    backup->ended_ms = clock_monotonic_ms();
    if (done) {
        backup->options.counters->backups_made++;
        log_info("backup", "history was copied to %s", backup->target);
    } else {
        take_reason(backup, status);
        backup->options.counters->backups_failed++;
        log_error("backup", "no copy of the history: %s", backup->reason);
    }
    close(backup->output);
    history_forget_copiers(backup->options.history);
}

static void on_child(struct ev_loop *loop, ev_child *watcher, int events)
{
    (void)events;
    ev_child_stop(loop, watcher);
    end(watcher->data, watcher->rstatus);
}

/* ---- its beginning */

static int spawn(struct backup *backup, int output)
{
    char *argv[] = {(char[]){"ringside-broker"}, (char[]){"--copy-history"},
        (char *)(uintptr_t)backup->options.directory, (char[]){"--to"}, backup->target, NULL};
    const char *program = backup->options.program ? backup->options.program : "/proc/self/exe";
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        return -rc;
    rc = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn(&backup->pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

static int start(struct backup *backup)
{
    int ends[2];
    (void)history_settle(backup->options.history); /* a full one is copied as it is */
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    int rc = spawn(backup, ends[1]);
    close(ends[1]);
    if (rc) {
        close(ends[0]);
        return rc;
    }
    backup->output = ends[0];
    backup->state = BACKUP_RUNNING;
    backup->started_ms = clock_monotonic_ms();
    ev_child_init(&backup->child, on_child, backup->pid, 0);
    backup->child.data = backup;
    ev_child_start(backup->options.loop, &backup->child);
    log_info("backup", "copying the history to %s", backup->target);
    return 0;
}

int backup_start(struct backup *backup, struct span target)
{
    if (backup->state == BACKUP_RUNNING)
        return -EBUSY;
    if (target.len == 0 || target.data[0] != '/' || memchr(target.data, '\0', target.len) ||
        target.len + sizeof(HISTORY_COPY_PARTIAL) > sizeof(backup->target))
        return -EINVAL;
    while (target.len > 1 && target.data[target.len - 1] == '/')
        target.len--;
    memcpy(backup->target, target.data, target.len);
    backup->target[target.len] = '\0';
    backup->reason[0] = '\0';
    return start(backup);
}

/* ---- how it stands */

static uint64_t copied_bytes(const struct backup *backup)
{
    char path[PATHS_MAX + 32];
    struct stat status;
    snprintf(path, sizeof(path), "%s%s/data.mdb", backup->target,
        backup->state == BACKUP_RUNNING ? HISTORY_COPY_PARTIAL : "");
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

void backup_append(const struct backup *backup, struct buffer *out)
{
    bool running = backup->state == BACKUP_RUNNING;
    buffer_append_char(out, '{');
    json_append_member(out, "state", span_of_string(state_names[backup->state]));
    if (backup->state != BACKUP_NONE) {
        struct history_usage usage;
        history_usage(backup->options.history, &usage);
        json_append_member(out, "path", span_of_string(backup->target));
        json_append_member_uint(out, "bytes", copied_bytes(backup));
        json_append_member_uint(out, "of_at_most", usage.bytes);
        json_append_member_uint(out, "elapsed_ms",
            (running ? clock_monotonic_ms() : backup->ended_ms) - backup->started_ms);
    }
    if (backup->state == BACKUP_FAILED)
        json_append_member(out, "reason", span_of_string(backup->reason));
    buffer_append_char(out, '}');
}
