/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/batch.h"
#include "history/streams.h"

/*
 * The events of the batch being staged, in order of arrival, sorted into sections only when the
 * batch is written. A stream that has staged events is the one at `streams[staged_section]`.
 * Pure: memory only.
 *
 * Those that are shown are linked, each to the next one of its section, so that a stream's can be
 * read in order: those that the journal has, which are the first ones, and all while commits fail
 * and the rest is shown, too. No other batch pays for that.
 */
struct staging_link {
    uint32_t offset; /* in `data` */
    uint32_t next;   /* entry of the same section */
};

struct staging_chain {
    uint32_t first;
    uint32_t last;
};

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
    uint32_t taken; /* bytes of `data` that are these entries' */

    struct staging_link *links;   /* of the first `linked` entries */
    struct staging_chain *chains; /* of the first `chained` sections */
    uint32_t linked;
    uint32_t chained;
    uint32_t linked_bytes;

    uint32_t shown; /* entries of `linked` */
    uint32_t kept;  /* entries, as the next two: what the journal has */
    uint32_t kept_bytes;
    uint32_t kept_sections;
};

void staging_deinit(struct staging *staging);
/* Empties it and keeps the memory. */
void staging_clear(struct staging *staging);
/* What was appended to `data` is the stream's next event. -ENOMEM, or -ENOBUFS when a batch cannot
 * hold more; then nothing changed. */
int staging_take(struct span *ret_encoded, struct staging *staging, struct history_stream *stream);
/* Takes out what was appended to `data` and is no event. */
void staging_drop(struct staging *staging);
/* Makes all that is staged ready to be shown, without showing it. -ENOMEM: nothing new. */
int staging_link(struct staging *staging);
/* What was linked is in the journal, and readable. Cannot fail. */
void staging_keep(struct staging *staging);
/* Makes all that is staged readable, and moves shown_head of its streams. -ENOMEM: nothing new. */
int staging_show(struct staging *staging);
/* Appends the stream's shown events above `after`, which is not below its committed head and below
 * its shown head, as history_read does; returns the last one's number. */
struct staging_wish {
    uint64_t after;
    size_t max_bytes;
    bool at_least_one;
};
uint64_t staging_read(const struct staging *staging, const struct history_stream *stream,
    const struct staging_wish *wish, struct buffer *out);
/* Of the stream's events, which has some staged. */
uint32_t staging_bytes(const struct staging *staging, const struct history_stream *stream);
/* What batch_write takes, without number, time and positions; borrowed. */
void staging_describe(const struct staging *staging, struct batch_input *ret_input);
