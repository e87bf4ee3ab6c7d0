/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * Child processes: always a program and its arguments, never a shell. A child
 *   - leads a process group of its own, so that it can be ended with everything it started;
 *   - is killed by the kernel when this process dies, however it dies;
 *   - starts with default signals, none blocked, and no descriptors but 0, 1 and 2.
 * The leader stays unreaped until child_reap, which is what keeps the number of its group from
 * being given to somebody else while it can still be signalled.
 */
struct program {
    char *path; /* absolute */
    char *const *argv;
    char *const *environment;
    const char *directory;
    uint64_t memory_max; /* bytes of data a process of it may have, 0 for no limit */
    uint64_t cpu_max_ms; /* of a process of it, 0 for no limit; beyond it gets SIGXCPU */
};

/* All members -1 (or 0 for pid) when there is no child. */
struct child {
    pid_t pid;
    int pid_fd; /* readable once it has exited */
    int in;     /* our ends of its stdin, stdout and stderr: non-blocking */
    int out;
    int err;
};

#define CHILD_NONE ((struct child){.pid = 0, .pid_fd = -1, .in = -1, .out = -1, .err = -1})

/*
 * Starts `program`; waits until it has been executed, so that a program that cannot be executed
 * is -ENOENT, -EACCES, … here. From the thread that lives as long as the process.
 */
int child_spawn(struct child *ret_child, const struct program *program);
/* Signals the whole group; nothing when there is no child. */
void child_signal(const struct child *child, int signal);

struct child_exit {
    int code; /* exit status, or the signal */
    bool by_signal;
};

/*
 * Takes the exit status of a child that has exited, after killing what is left of its group, and
 * forgets its number; the descriptors stay. -EAGAIN: it has not exited.
 */
int child_reap(struct child_exit *ret_exit, struct child *child);
/* Closes the descriptors. The process must have been reaped. */
void child_close(struct child *child);
