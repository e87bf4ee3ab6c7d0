/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker-test.h"

#include <sys/types.h>

/*
 * A process of its own that is attached to the fixture's arena and emits what it is told to. What
 * it was told is done when the call returns.
 */
struct child {
    pid_t pid;
    int orders;
    int answers;
    uint32_t index; /* in the arena's process table */
    uint32_t incarnation;
};

void child_start(struct child *ret_child, struct fixture *f);
/* Emits into the user's ring, as the emitter library does. */
void child_emit(struct child *child, const char *user, struct event event);
/* The same, with what the ring said. */
int child_try(struct child *child, const char *user, struct event event);
/* The same, but claims the room only: nothing behind it can be read until child_commit. */
void child_claim(struct child *child, const char *user, struct event event);
void child_commit(struct child *child);
/* SIGKILL: dead when it returns, and a zombie until child_reap. */
void child_kill(struct child *child);
void child_reap(struct child *child);
/* Makes it exit by itself with this status; as child_kill. */
void child_leave(struct child *child, int status);
/* Both, for the end of a test. */
void child_stop(struct child *child);
