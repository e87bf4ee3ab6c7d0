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
};

/* Whether the section was read to its end: 1, else 0 or -errno. */
static int read_entry(struct walk *walk, const struct index_entry *entry, bool first)
{
    struct batch batch;
    struct batch_section section;
    int rc = history_find_section(&section, &batch, walk->stream->store, entry);
    if (rc)
        return rc;
    size_t used = walk->out->len - walk->start;
    struct section_read read = {
        .after = walk->last,
        .max_bytes = walk->max_bytes > used ? walk->max_bytes - used : 0,
        .at_least_one = first,
        .last = walk->last,
    };
    if (!span_equal(section.user_id, stream_user(walk->stream)) || walk->last >= section.last_seq)
        return -EIO;
    size_t len = walk->out->len;
    int count = section_read(walk->out, &batch, &section, &read);
    if (count < 0 || walk->out->broken) {
        walk->out->len = len;
        return count < 0 ? -EIO : -ENOMEM;
    }
    walk->last = read.last;
    return read.last == section.last_seq;
}

static int read_entries(struct walk *walk, uint64_t after)
{
    const struct index *index = &walk->stream->index;
    int more = 1;
    for (uint32_t slot = index_find(index, after + 1); more == 1 && slot < index->end; slot++)
        more = read_entry(walk, &index->entries[slot], walk->last == after);
    return more < 0 ? more : 0;
}

/* What was read before something went wrong is handed over; the next call meets it first. */
int history_read(const struct history_stream *stream, uint64_t after, size_t max_bytes,
    struct buffer *out, uint64_t *ret_last)
{
    if (after >= stream->shown_head) {
        *ret_last = after;
        return 0;
    }
    if (after >= stream->committed_head) {
        *ret_last = staging_read(stream->staging, stream, after, max_bytes, out);
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
    if (rc && walk.last == after)
        return rc;
    *ret_last = walk.last;
    return 0;
}
