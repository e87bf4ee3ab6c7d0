/* SPDX-License-Identifier: Apache-2.0 */
#include "history/bytes.h"
#include "history/private.h"

#include <errno.h>

/*
 * Trimming takes whole batches, oldest first. In the transaction that deletes a batch, what only
 * this batch still knows is saved: the heads of the streams that it empties, and the positions of
 * rings not drained since. So numbers and positions outlive the events.
 *
 * Closed runs and messages have a life of their own: until their batch is trimmed, and a day at
 * least (or max_age when that is longer), so that a repeated request is still recognised.
 */
#define TRIM_BATCHES 32
#define TRIM_SECTIONS 8192
#define TRIM_PAGES 32
#define RECORDS_KEEP_MS (24u * 60 * 60 * 1000)

struct popped_section {
    struct history_stream *stream;
    uint64_t bytes;
};

struct trim {
    struct history *history;
    uint64_t now_ms;
    /* filled by the transaction, applied to memory after it */
    struct buffer popped; /* struct popped_section */
    uint64_t batches;
    uint64_t bytes;
    uint64_t events;
    struct retained_batch oldest;
    bool more;
};

static bool over_limit(const struct trim *trim, const struct retained_batch *batch)
{
    const struct history *history = trim->history;
    if (history->max_bytes && history->bytes - trim->bytes > history->max_bytes)
        return true;
    return history->max_age_ms && batch->time_ms <= trim->now_ms &&
           trim->now_ms - batch->time_ms >= history->max_age_ms;
}

static int save_streams(struct trim *trim, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->sections; i++) {
        struct batch_section section;
        if (batch_section_at(&section, batch, i))
            return -EIO;
        struct history_stream *stream = streams_find(&trim->history->streams, section.user_id);
        if (!stream)
            return -EIO;
        struct popped_section popped = {stream, batch_section_bytes(&section)};
        buffer_append(&trim->popped, &popped, sizeof(popped));
        trim->events += section.count;
        uint64_t last = section.first_seq + section.count - 1;
        if (last != stream->committed_head)
            continue;
        int rc = streams_save(trim->history->store, stream, last, stream->suffix);
        if (rc)
            return rc;
    }
    return buffer_error(&trim->popped);
}

static int save_positions(struct trim *trim, const struct batch *batch)
{
    struct history *history = trim->history;
    for (uint32_t i = 0; i < batch->positions; i++) {
        struct history_position position;
        batch_position_at(&position, batch, i);
        int rc = positions_save(&history->positions, history->store, &position, batch->number);
        if (rc)
            return rc;
    }
    return 0;
}

static int delete_batch(struct trim *trim, const struct batch *batch)
{
    char last[sizeof(uint64_t)];
    put_u64(last, batch->number);
    struct store *store = trim->history->store;
    int rc = save_streams(trim, batch);
    if (rc == 0)
        rc = save_positions(trim, batch);
    if (rc == 0)
        rc = store_put(store, STORE_META, META_LAST_BATCH, span_of(last, sizeof(last)));
    if (rc)
        return rc;
    trim->batches++;
    trim->bytes += batch->bytes.len;
    return store_delete(store, STORE_BATCHES, store_number_key(&batch->number));
}

/* Until nothing is over the limits, or this call has done its share. */
static int delete_batches(struct trim *trim)
{
    for (;;) {
        struct store_entry entry;
        struct batch batch;
        int rc = store_seek(trim->history->store, STORE_BATCHES, SPAN_EMPTY, &entry);
        if (rc)
            return rc == -ENOENT ? 0 : rc;
        if (batch_open(&batch, entry.value))
            return -EIO;
        trim->oldest = (struct retained_batch){batch.number, batch.time_ms, entry.value.len};
        if (!over_limit(trim, &trim->oldest))
            return 0;
        if (trim->batches >= TRIM_BATCHES ||
            trim->popped.len >= TRIM_SECTIONS * sizeof(struct popped_section)) {
            trim->more = true;
            return 0;
        }
        rc = delete_batch(trim, &batch);
        if (rc)
            return rc;
    }
}

/* 1 when the oldest ledger page is to be dropped, else 0 or -errno. */
static int page_expired(const struct trim *trim)
{
    const struct history *history = trim->history;
    uint64_t keep_ms =
        history->max_age_ms > RECORDS_KEEP_MS ? history->max_age_ms : RECORDS_KEEP_MS;
    bool any_left = history->batches > trim->batches;
    struct ledger_page page;
    int rc = records_oldest_page(&page, history->store);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    if (any_left && page.batch >= (trim->batches ? trim->oldest.number : history->oldest.number))
        return 0;
    return page.time_ms <= trim->now_ms && trim->now_ms - page.time_ms >= keep_ms;
}

static int drop_records(struct trim *trim)
{
    for (int i = 0; i < TRIM_PAGES; i++) {
        int rc = page_expired(trim);
        if (rc == 1)
            rc = records_drop_oldest_page(trim->history->store);
        else
            return rc;
        if (rc)
            return rc;
    }
    trim->more = true;
    return 0;
}

static int trim_work(struct store *store, void *context)
{
    (void)store;
    struct trim *trim = context;
    buffer_clear(&trim->popped);
    trim->batches = 0;
    trim->bytes = 0;
    trim->events = 0;
    trim->more = false;
    int rc = delete_batches(trim);
    return rc ? rc : drop_records(trim);
}

static void apply(const struct trim *trim)
{
    struct history *history = trim->history;
    const struct popped_section *popped = (const void *)trim->popped.data;
    for (size_t i = 0; i < trim->popped.len / sizeof(*popped); i++) {
        index_pop_front(&popped[i].stream->index);
        popped[i].stream->bytes -= popped[i].bytes;
    }
    history->batches -= trim->batches;
    history->bytes -= trim->bytes;
    history->events -= trim->events;
    if (trim->batches)
        history->oldest = trim->oldest;
}

/* Most calls find nothing to do and write nothing. */
static int anything_to_do(const struct trim *trim)
{
    struct history *history = trim->history;
    if (history->batches && over_limit(trim, &history->oldest))
        return 1;
    int rc = store_read_begin(history->store);
    if (rc)
        return rc;
    rc = page_expired(trim);
    store_read_end(history->store);
    return rc;
}

int history_trim(struct history *history, uint64_t now_ms)
{
    struct trim trim = {.history = history, .now_ms = now_ms};
    int rc = anything_to_do(&trim);
    if (rc != 1)
        return rc;
    rc = store_write(history->store, trim_work, &trim);
    if (rc == 0)
        apply(&trim);
    buffer_deinit(&trim.popped);
    return rc ? rc : trim.more;
}
