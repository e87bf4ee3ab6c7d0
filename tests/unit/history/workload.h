/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history-test.h"

/*
 * Commits of which one number tells everything: the nth has the nth event of the user "all", some
 * of another user, position n of a ring, message "m-<n>" and the record "<n>" of an open run, which
 * is one of "all" since its first event. The limits are for trimming to find something to do.
 */
#define WORKLOAD_MAX_BYTES 60000
#define WORKLOAD_MAX_EVENTS 60
#define WORKLOAD_JOURNAL_BYTES 4096 /* some ten commits */

/* Commits the next one, trims now and then; returns its number. */
uint64_t workload_commit(struct fixture *fixture);
/* That exactly `count` commits are there, whole. */
void workload_check(struct fixture *fixture, uint64_t count);
