/* SPDX-License-Identifier: Apache-2.0 */
#include "history/private.h"
#include "history/section.h"

#include <errno.h>

/* What the index says of a batch is checked against the batch. */
int history_find_section(struct batch_section *ret_section, struct batch *ret_batch,
    struct store *store, const struct index_entry *entry)
{
    uint64_t number = index_batch(entry);
    struct span bytes;
    int rc = store_get(store, STORE_BATCHES, store_number_key(&number), &bytes);
    if (rc)
        return rc == -ENOENT ? -EIO : rc;
    if (batch_open(ret_batch, bytes) || ret_batch->number != number ||
        batch_section_at(ret_section, ret_batch, index_section(entry)) ||
        ret_section->first_seq != entry->first_seq)
        return -EIO;
    return 0;
}

struct walk {
    const struct history_stream *stream;
    struct buffer *out;
    size_t start; /* of out->len */
    size_t max_bytes;
    uint64_t last; /* the newest number read */
    uint64_t gone; /* numbers up to here are lost, when above `last` */
};

/* The last number before the entry behind this one. */
static uint64_t last_before_next(const struct history_stream *stream, uint32_t slot)
{
    const struct index *index = &stream->index;
    return slot + 1 < index->end ? index->entries[slot + 1].first_seq - 1 : stream->committed_head;
}

/* Whether the section was read to its end: 1, else 0 or -errno. */
static int read_section(
    struct walk *walk, const struct batch *batch, const struct batch_section *section, bool first)
{
    size_t used = walk->out->len - walk->start;
    struct section_read read = {
        .after = walk->last,
        .max_bytes = walk->max_bytes > used ? walk->max_bytes - used : 0,
        .at_least_one = first,
        .last = walk->last,
    };
    int count = section_read(walk->out, batch, section, &read);
    if (walk->out->broken)
        return -ENOMEM;
    walk->last = read.last;
    if (count < 0)
        walk->gone = read.damaged;
    return count >= 0 && read.last == section->last_seq;
}

/* What cannot be read any more is gone: an event, the rest of a section, or a batch that was set
 * aside and with it all up to the next entry. */
static int read_entry(struct walk *walk, uint32_t slot, bool first)
{
    struct batch batch;
    struct batch_section section;
    const struct history_stream *stream = walk->stream;
    int rc = history_find_section(&section, &batch, stream->store, &stream->index.entries[slot]);
    if (rc && rc != -EIO)
        return rc;
    if (rc || !span_equal(section.user_id, stream_user(stream)) || walk->last >= section.last_seq) {
        walk->gone = last_before_next(stream, slot);
        return 0;
    }
    size_t len = walk->out->len;
    rc = read_section(walk, &batch, &section, first);
    if (rc < 0)
        walk->out->len = len;
    if (rc == 1)
        walk->gone = last_before_next(stream, slot);
    return rc == 1 && walk->gone > walk->last ? 0 : rc;
}

static int read_entries(struct walk *walk, uint64_t after)
{
    const struct index *index = &walk->stream->index;
    int more = 1;
    if (index_empty(index) || index_front(index)->first_seq > after + 1) {
        walk->gone =
            index_empty(index) ? walk->stream->committed_head : index_front(index)->first_seq - 1;
        return 0;
    }
    for (uint32_t slot = index_find(index, after + 1); more == 1 && slot < index->end; slot++)
        more = read_entry(walk, slot, walk->last == after);
    return more < 0 ? more : 0;
}

/* What was read before something is gone, or went wrong, is handed over; the next call meets it
 * first. */
static int end_walk(const struct walk *walk, uint64_t after, int rc, uint64_t *ret_last)
{
    if (walk->last > after) {
        *ret_last = walk->last;
        return 0;
    }
    if (rc == 0 && walk->gone > after) {
        *ret_last = walk->gone;
        return -ENODATA;
    }
    *ret_last = after;
    return rc;
}

/* What is staged follows what was read to the end of the batches. */
static void read_on(const struct walk *walk, uint64_t *last)
{
    const struct history_stream *stream = walk->stream;
    size_t used = walk->out->len - walk->start;
    if (*last != stream->committed_head || *last == stream->shown_head || used >= walk->max_bytes)
        return;
    const struct staging_wish wish = {.after = *last, .max_bytes = walk->max_bytes - used};
    *last = staging_read(stream->staging, stream, &wish, walk->out);
}

int history_read(const struct history_stream *stream, uint64_t after, size_t max_bytes,
    struct buffer *out, uint64_t *ret_last)
{
    if (after >= stream->shown_head) {
        *ret_last = after;
        return 0;
    }
    if (after >= stream->committed_head) {
        const struct staging_wish wish = {after, max_bytes, .at_least_one = true};
        *ret_last = staging_read(stream->staging, stream, &wish, out);
        return buffer_error(out);
    }
    if (after + 1 < stream->floor)
        return -ERANGE;
    int rc = store_read_begin(stream->store);
    if (rc)
        return rc;
    struct walk walk = {
        .stream = stream,
        .out = out,
        .start = out->len,
        .max_bytes = max_bytes,
        .last = after,
    };
    rc = read_entries(&walk, after);
    store_read_end(stream->store);
    rc = end_walk(&walk, after, rc, ret_last);
    if (rc == 0)
        read_on(&walk, ret_last);
    return rc ? rc : buffer_error(out);
}
