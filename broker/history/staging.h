/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/batch.h"
#include "history/streams.h"

/*
 * The events of the batch being staged, in order of arrival, sorted into sections only when the
 * batch is written. A stream that has staged events is the one at `streams[staged_section]`.
 * Pure: memory only.
 */
struct staging {
    struct buffer data;
    struct batch_entry *entries;
    struct batch_source *sections;
    struct history_stream **streams; /* of each section; borrowed */
    uint32_t entry_count;
    uint32_t entry_cap;
    uint32_t section_count;
    uint32_t section_cap;
    uint32_t names_size;
};

void staging_deinit(struct staging *staging);
/* Empties it and keeps the memory. */
void staging_clear(struct staging *staging);
/* -ENOMEM, or -ENOBUFS when a batch cannot hold more; then nothing changed. */
int staging_append(struct staging *staging, struct history_stream *stream, struct span encoded);
/* What batch_write takes, without number, time and positions; borrowed. */
void staging_describe(const struct staging *staging, struct batch_input *ret_input);
