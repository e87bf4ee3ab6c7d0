/* SPDX-License-Identifier: Apache-2.0 */
#include "history/staging.h"

#include <errno.h>
#include <stdlib.h>

/* A batch's memory is given back when it was far above the usual. */
#define STAGING_KEEP (4u << 20)

void staging_deinit(struct staging *staging)
{
    buffer_deinit(&staging->data);
    free(staging->entries);
    free(staging->sections);
    free(staging->streams);
    *staging = (struct staging){0};
}

void staging_clear(struct staging *staging)
{
    if (staging->data.cap > STAGING_KEEP) {
        staging_deinit(staging);
        return;
    }
    buffer_clear(&staging->data);
    staging->entry_count = 0;
    staging->section_count = 0;
    staging->names_size = 0;
}

static int reserve_entry(struct staging *staging)
{
    if (staging->entry_count < staging->entry_cap)
        return 0;
    uint32_t cap = staging->entry_cap ? staging->entry_cap * 2 : 1024;
    struct batch_entry *entries = realloc(staging->entries, cap * sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    staging->entries = entries;
    staging->entry_cap = cap;
    return 0;
}

static int reserve_section(struct staging *staging)
{
    if (staging->section_count < staging->section_cap)
        return 0;
    uint32_t cap = staging->section_cap ? staging->section_cap * 2 : 256;
    struct batch_source *sections = realloc(staging->sections, cap * sizeof(*sections));
    if (!sections)
        return -ENOMEM;
    staging->sections = sections;
    struct history_stream **streams = realloc(staging->streams, cap * sizeof(void *));
    if (!streams)
        return -ENOMEM;
    staging->streams = streams;
    staging->section_cap = cap;
    return 0;
}

static bool fits(const struct staging *staging, const struct history_stream *stream, size_t len)
{
    if (staging->section_count >= BATCH_SECTIONS_MAX || len > BATCH_BYTES_MAX)
        return false;
    struct batch_input input = {0};
    staging_describe(staging, &input);
    return batch_size(&input) + len + BATCH_EVENT_SIZE + BATCH_SECTION_SIZE + stream->user_len <=
           BATCH_BYTES_MAX;
}

static void open_section(struct staging *staging, struct history_stream *stream)
{
    stream->staged_section = staging->section_count++;
    staging->streams[stream->staged_section] = stream;
    staging->sections[stream->staged_section] = (struct batch_source){
        .user_id = stream_user(stream),
        .first_seq = stream->head + 1,
    };
    staging->names_size += (uint32_t)stream->user_len;
}

int staging_append(struct staging *staging, struct history_stream *stream, struct span encoded)
{
    if (!fits(staging, stream, encoded.len))
        return -ENOBUFS;
    int rc = reserve_entry(staging);
    if (rc == 0)
        rc = reserve_section(staging);
    if (rc)
        return rc;
    if (encoded.len && !buffer_reserve(&staging->data, encoded.len)) {
        staging->data.broken = false; /* nothing is missing from it */
        return -ENOMEM;
    }
    if (stream->head == stream->committed_head)
        open_section(staging, stream);
    buffer_append_span(&staging->data, encoded);
    struct batch_source *section = &staging->sections[stream->staged_section];
    section->count++;
    section->bytes += (uint32_t)encoded.len;
    staging->entries[staging->entry_count++] =
        (struct batch_entry){stream->staged_section, (uint32_t)encoded.len};
    stream->head++;
    return 0;
}

void staging_describe(const struct staging *staging, struct batch_input *ret_input)
{
    ret_input->sections = staging->sections;
    ret_input->section_count = staging->section_count;
    ret_input->events = staging->entries;
    ret_input->event_count = staging->entry_count;
    ret_input->data = staging->data.data;
    ret_input->data_size = (uint32_t)staging->data.len;
    ret_input->names_size = staging->names_size;
}
