/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/paths.h"
#include "history/copy.h"
#include "metrics/counters.h"

#include <ev.h>
#include <sys/types.h>

/*
 * A backup of the history while the broker serves. The copying is done by a process of its own,
 * this program started again with --copy-history, so that no turn waits for it; it dies with the
 * broker. One at a time.
 */
enum backup_state {
    BACKUP_NONE,
    BACKUP_RUNNING,
    BACKUP_DONE,
    BACKUP_FAILED,
    BACKUP_STATES,
};

struct backup_options {
    struct ev_loop *loop; /* the default one; borrowed, as all here */
    struct history *history;
    struct counters *counters;
    const char *directory; /* of the history */
    const char *program;   /* what is started; NULL: this program's own file */
};

struct backup {
    struct backup_options options;
    enum backup_state state;
    char target[PATHS_MAX];
    char reason[HISTORY_REASON_SIZE]; /* when failed */
    pid_t pid;
    int output;
    ev_child child;
    uint64_t started_ms;
    uint64_t ended_ms;
};

void backup_init(struct backup *backup, const struct backup_options *options);
void backup_deinit(struct backup *backup);
/* -EINVAL: `target` is no absolute path that fits; -EBUSY: one is running; -errno. */
int backup_start(struct backup *backup, struct span target);
/* Appends how it stands, as a JSON object. */
void backup_append(const struct backup *backup, struct buffer *out);
