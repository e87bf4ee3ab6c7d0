/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for the reader's positions.
 *
 * waiter: load `progress`; store `progress_wanted`; look at the position; futex wait on `progress`
 * reader: store the position; exchange `progress_wanted`; if it was set: add to `progress`, wake
 * all
 *
 * All sequentially consistent: either the waiter sees the position or the reader sees the wish. A
 * wish taken for another waiter changes `progress`, so that the futex does not sleep. A waiter that
 * dies leaves nothing behind; a reader that dies between exchange and wake is why a wait never
 * sleeps longer than PROGRESS_SLICE_MS without looking again.
 */
#pragma once

#include "ring/mapping.h"

#define PROGRESS_SLICE_MS 100

/* > 0: as wished, 0: not yet, < 0: an error that ends the wait. */
typedef int (*progress_fn)(void *userdata);

/* Waits until fn says so; 0, -ETIMEDOUT or fn's error. timeout_ms < 0: for ever. */
int progress_wait(struct arena *arena, progress_fn fn, void *userdata, int timeout_ms);
/* The reader's side, after a position moved. */
void progress_notify(struct arena *arena);
