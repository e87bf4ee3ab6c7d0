/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the torture: how each is to end, and how it did. */
#pragma once

#include <sys/types.h>

#include "torture.h"

struct child {
    pid_t pid; /* 0: none */
    bool is_reader;
    bool stopped;
    bool killed;      /* from outside, not by itself at its step */
    const char *step; /* where it is to die or to stop, "-": nowhere */
    int64_t kill_at;  /* 0: never */
    int64_t wake_at;  /* when stopped */
    uint32_t number;  /* a writer's first thread's */
};

struct child_job {
    const char *program;
    const char *mode; /* "write" or "read" */
    const char *directory;
    const char *step;
    uint32_t count;
    int signal_number;    /* at the step */
    const char *extra[3]; /* further arguments */
    int fd;               /* what it gets as TORTURE_FD */
};

/* Starts it; aborts when the system cannot. */
void child_start(struct child *child, const struct child_job *job);
void child_kill(struct child *child);
/* It is stopped once waitpid says so. */
void child_stop(const struct child *child);
void child_wake(struct child *child);
