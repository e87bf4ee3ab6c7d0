/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/history.h"

/*
 * A copy of the store in `directory` as one moment has it, whether or not a process has it open and
 * goes on writing; compact, synced. `target` must not exist, or be an empty directory. It is made
 * beside its place, as HISTORY_COPY_PARTIAL, and moved there when it is whole; what an earlier try
 * left there is removed. Reads and writes the whole store: for a process of its own. Pages that the
 * store frees meanwhile are used again only after it.
 *
 * A copy is an older state than what clients were shown, so it begins a new epoch when it is
 * opened: its `state` says so before there is anything else.
 */
#define HISTORY_COPY_PARTIAL ".partial" /* behind the target's path */
int history_copy(const char *directory, const char *target, char ret_reason[HISTORY_REASON_SIZE]);
/* For the process that has the store open, after a copying process died: what it still reads
 * nobody needs. */
void history_forget_copiers(struct history *history);
