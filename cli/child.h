/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <ev.h>
#include <sys/types.h>

/*
 * One process of the node: started, heard when it is ready, reaped. No policy: when to start, stop
 * or start again is the node's (node.h). Loop thread only, on the default loop, since libev reaps
 * children there.
 *
 * A child leads a process group of its own, so that a Ctrl-C at the terminal reaches only us, and
 * is killed by the kernel when we are gone, however we went.
 */
struct child;

struct child_events {
    /* It wrote its ready line, given without the newline. */
    void (*on_ready)(void *context, struct child *child, struct span line);
    /* It ended; `status` as from waitpid. It may be started again, now or later. */
    void (*on_ended)(void *context, struct child *child, int status);
};

struct child {
    char name[32]; /* "worker-2", for people */
    struct ev_loop *loop;
    const struct child_events *events; /* borrowed */
    void *context;
    const char *image; /* what is run, when not argv[0]; borrowed */
    pid_t pid;         /* 0 when there is no process */
    bool ready;
    int ready_fd; /* our end of its ready pipe, or -1 */
    ev_io ready_watch;
    ev_child end_watch;
    char line[64];
    size_t line_len;
};

/* Strings of `name` are copied; `events` and `context` are borrowed. */
void child_init(struct child *child, const char *name, struct ev_loop *loop,
    const struct child_events *events, void *context);
/* Forgets the process, which must have ended. */
void child_deinit(struct child *child);
/* argv[0] is the program's path. -errno when it could not even be forked. */
int child_start(struct child *child, char *const argv[]);
/* Nothing happens when there is no process. SIGKILL goes to its whole group. */
void child_signal(const struct child *child, int signal_number);

/* "ended with status 1", "was killed by signal 9 (Killed)". */
#define CHILD_END_SIZE 64
void child_describe_end(char ret_text[CHILD_END_SIZE], int status);
