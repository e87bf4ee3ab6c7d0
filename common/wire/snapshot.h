/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * The runs of a SNAPSHOT, one behind the other: each the thread it belongs to, for whoever shows
 * only some threads, and one JSON object, which is opaque here.
 */
struct wire_snapshot_run {
    struct span thread_id;
    struct span body;
};

void wire_snapshot_append(struct buffer *out, const struct wire_snapshot_run *run);
/* Steps through them: start with *offset = 0. 1: one was read; 0: the end; -EBADMSG. */
int wire_snapshot_next(struct wire_snapshot_run *ret_run, struct span runs, size_t *offset);
