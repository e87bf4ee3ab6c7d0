/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/list.h"
#include "ring/arena.h"
#include "ring/process.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The processes that write into the arena, and their deaths. Each is watched by a pidfd, which is
 * readable the moment the process is dead; the arena's lock decides. What the dead process had in
 * flight is taken back by process_reap.
 */
struct process_death {
    uint32_t index;
    uint64_t incarnation;
    int signal;    /* 0: unknown or not killed by one */
    int exit_code; /* -1: unknown or killed */
};

struct processes_events {
    /* Nothing more is written by it; what it had committed is still to be drained. */
    void (*on_death)(void *context, const struct process_death *death);
};

struct processes;

/* Borrows everything for its life. */
int processes_new(struct processes **ret_processes, struct ev_loop *loop, struct arena *arena,
    const struct processes_events *events, void *context);
void processes_free(struct processes *processes);
/*
 * Takes note of arrivals and reaps the dead. `force` looks at the whole table, else only when the
 * arena says there is news or a watched process died.
 */
void processes_turn(struct processes *processes, bool force);
/* The incarnation that holds this index, looked up when new; false when nobody does. */
bool processes_incarnation(struct processes *processes, uint32_t index, uint64_t *ret_incarnation);
/* Whether the process with this index says of itself that it is `pid`. */
bool processes_has_pid(const struct processes *processes, uint32_t index, uint64_t pid);
/*
 * Gives a living process up, in two steps: processes_fence stops it (process_fence, whose errors
 * these are), what it had committed can be drained, and processes_disown says that this is over. It
 * lives on, unless it is killed.
 */
int processes_fence(struct processes *processes, uint32_t index, uint64_t incarnation);
void processes_disown(struct processes *processes, uint32_t index, uint64_t incarnation);
/* Whether that was done with this process, by this broker or one before it. */
bool processes_fenced(const struct processes *processes, uint32_t index, uint64_t incarnation);
/* Whether this broker has reported its death. */
bool processes_buried(const struct processes *processes, uint32_t index, uint64_t incarnation);
/* Sends SIGKILL to that very process; its death is reported as any other's. -ESRCH: it is not there
 * any more, or cannot be told apart from others; -EPERM: it is this one. */
int processes_kill(struct processes *processes, uint32_t index, uint64_t incarnation);
/* Whether this very process is still alive, by the kernel's word. */
bool processes_alive(struct processes *processes, uint32_t index, uint64_t incarnation);
