/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runs/run.h"

/*
 * Which runs each process has, so that the end of one costs as much as it had, not as much as there
 * is. A run is in the list of its process from when it is placed there until it ends or is taken
 * back; two processes that had an index one after the other share its list for a moment.
 */
#define HOLDERS_MAX 4096 /* entries of an arena's table of processes, at most */

struct holders {
    struct list_link runs[HOLDERS_MAX]; /* struct run.holder_link */
    uint32_t own[HOLDERS_MAX];          /* of those, the ones it began of itself */
};

void holders_init(struct holders *holders);
/* The run is placed with `process`, an index in the arena in use. */
void holders_add(struct holders *holders, struct run *run);
/* A run that is in no list is left alone. */
void holders_remove(struct holders *holders, struct run *run);
/* The process's oldest run that it has not let go of, or NULL. */
struct run *holders_first(const struct holders *holders, uint32_t process);
