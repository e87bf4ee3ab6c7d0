/* SPDX-License-Identifier: Apache-2.0 */
#include "history/staging.h"

#include <errno.h>
#include <stdlib.h>

/* A batch's memory is given back when it was far above the usual. */
#define STAGING_KEEP (16u << 20)

void staging_deinit(struct staging *staging)
{
    buffer_deinit(&staging->data);
    free(staging->entries);
    free(staging->sections);
    free(staging->streams);
    free(staging->links);
    free(staging->chains);
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
    staging->taken = 0;
    staging->linked = 0;
    staging->chained = 0;
    staging->linked_bytes = 0;
    staging->shown = 0;
    staging->kept = 0;
    staging->kept_bytes = 0;
    staging->kept_sections = 0;
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

static bool fits(const struct staging *staging, const struct history_stream *stream)
{
    if (staging->section_count >= BATCH_SECTIONS_MAX || staging->data.len > BATCH_BYTES_MAX)
        return false;
    struct batch_input input = {0};
    staging_describe(staging, &input);
    return batch_size(&input) + BATCH_EVENT_SIZE + BATCH_SECTION_SIZE + stream->user_len <=
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

int staging_take(struct span *ret_encoded, struct staging *staging, struct history_stream *stream)
{
    uint32_t len = (uint32_t)(staging->data.len - staging->taken);
    int rc = buffer_error(&staging->data);
    if (!rc && !fits(staging, stream))
        rc = -ENOBUFS;
    if (!rc)
        rc = reserve_entry(staging);
    if (!rc)
        rc = reserve_section(staging);
    if (rc)
        return rc;
    if (stream->head == stream->committed_head)
        open_section(staging, stream);
    struct span encoded = span_of(staging->data.data + staging->taken, len);
    struct batch_source *section = &staging->sections[stream->staged_section];
    section->count++;
    section->bytes += len;
    staging->entries[staging->entry_count++] =
        (struct batch_entry){stream->staged_section, len, batch_event_check(encoded, 1)};
    staging->taken += len;
    stream->head++;
    *ret_encoded = encoded;
    return 0;
}

void staging_drop(struct staging *staging)
{
    staging->data.len = staging->taken;
    staging->data.broken = false; /* nothing is missing from it */
}

uint32_t staging_bytes(const struct staging *staging, const struct history_stream *stream)
{
    return staging->sections[stream->staged_section].bytes;
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

/* ---- showing */

static int reserve_links(struct staging *staging)
{
    struct staging_link *links = realloc(staging->links, staging->entry_cap * sizeof(*links));
    if (!links)
        return -ENOMEM;
    staging->links = links;
    struct staging_chain *chains = realloc(staging->chains, staging->section_cap * sizeof(*chains));
    if (!chains)
        return -ENOMEM;
    staging->chains = chains;
    return 0;
}

/* Sections were opened in the order of their first entries. */
static void link_entry(struct staging *staging, uint32_t entry)
{
    uint32_t section = staging->entries[entry].section;
    struct staging_chain *chain = &staging->chains[section];
    staging->links[entry].offset = staging->linked_bytes;
    if (section == staging->chained) {
        staging->chained++;
        chain->first = entry;
    } else {
        staging->links[chain->last].next = entry;
    }
    chain->last = entry;
    staging->linked_bytes += staging->entries[entry].len;
}

int staging_link(struct staging *staging)
{
    if (staging->linked == staging->entry_count)
        return 0;
    int rc = reserve_links(staging);
    for (; rc == 0 && staging->linked < staging->entry_count; staging->linked++)
        link_entry(staging, staging->linked);
    return rc;
}

static void show_linked(struct staging *staging)
{
    for (; staging->shown < staging->linked; staging->shown++)
        staging->streams[staging->entries[staging->shown].section]->shown_head++;
}

int staging_show(struct staging *staging)
{
    int rc = staging_link(staging);
    if (rc == 0)
        show_linked(staging);
    return rc;
}

void staging_keep(struct staging *staging)
{
    show_linked(staging);
    for (; staging->kept < staging->linked; staging->kept++)
        staging->streams[staging->entries[staging->kept].section]->kept_head++;
    staging->kept_bytes = staging->linked_bytes;
    staging->kept_sections = staging->chained;
}

uint64_t staging_read(const struct staging *staging, const struct history_stream *stream,
    const struct staging_wish *wish, struct buffer *out)
{
    size_t start = out->len;
    uint32_t entry = staging->chains[stream->staged_section].first;
    for (uint64_t seq = stream->committed_head; seq < wish->after; seq++)
        entry = staging->links[entry].next;
    uint64_t last = wish->after;
    bool free_of_charge = wish->at_least_one;
    for (; last < stream->shown_head; last++) {
        uint32_t len = staging->entries[entry].len;
        if (!free_of_charge && out->len - start + len > wish->max_bytes)
            break;
        buffer_append(out, staging->data.data + staging->links[entry].offset, len);
        entry = staging->links[entry].next;
        free_of_charge = false;
    }
    return last;
}
