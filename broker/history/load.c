/* SPDX-License-Identifier: Apache-2.0 */
#include "history/bytes.h"
#include "history/trim.h"

#include <errno.h>
#include <stdio.h>

/*
 * Opening reads every batch's front, oldest first, and no event. Rows of `streams` and `positions`
 * come before: they are what trimmed batches said, so whatever a retained batch says is newer.
 */

struct load {
    struct history *history;
    const char *what; /* the sentence, should it fail */
};

static int load_stream(void *context, const struct store_entry *row)
{
    struct load *load = context;
    return streams_load(&load->history->streams, row);
}

static int load_position(void *context, const struct store_entry *row)
{
    struct load *load = context;
    return positions_load(&load->history->positions, row);
}

/*
 * A stream's retained numbers run on without holes. While batches are read, committed_head is the
 * newest number that was met in one, and head what the stream's row says. The row says too how far
 * the floor is up, but for what left the batches since. What is below it is dead.
 */
static int load_floor(struct history_stream *stream, const struct batch_section *section)
{
    if (section->first_seq >= stream->floor) {
        stream->floor = section->first_seq;
        stream->cut_bytes = 0;
        stream->cut_events = 0;
    }
    return stream->cut_bytes > batch_section_bytes(section) || stream->cut_events >= section->count
               ? -EUCLEAN
               : 0;
}

static int load_section(struct history *history, struct history_stream *stream,
    const struct batch_section *section, uint64_t place, struct retained_batch *retained)
{
    bool oldest = index_empty(&stream->index);
    if (oldest && section->last_seq < stream->floor) {
        retained->dead += section->size;
        return 0;
    }
    if (!oldest && section->first_seq != stream->committed_head + 1) {
        if (section->first_seq <= stream->committed_head || !damage_any(&history->damage))
            return -EUCLEAN;
        history->damage.lost += section->first_seq - stream->committed_head - 1;
    }
    int rc = oldest ? load_floor(stream, section) : 0;
    if (rc == 0)
        rc = index_reserve(&stream->index);
    if (rc)
        return rc;
    index_push(&stream->index, &(struct index_entry){section->first_seq, place});
    stream->committed_head = section->last_seq;
    stream->bytes += batch_section_bytes(section) - (oldest ? stream->cut_bytes : 0);
    stream->events += section->count - (oldest ? stream->cut_events : 0);
    retained->dead += oldest ? stream->cut_bytes : 0;
    retained->sections++;
    return 0;
}

/* A row may be older than the stream's newest batch, and never newer. */
static int settle_stream(struct history *history, struct history_stream *stream)
{
    if (index_empty(&stream->index)) {
        stream->committed_head = stream->head;
        stream->floor = stream->head + 1;
        stream->cut_bytes = 0;
        stream->cut_events = 0;
    } else if (stream->committed_head < stream->head) {
        if (!damage_any(&history->damage))
            return -EUCLEAN;
        history->damage.lost += stream->head - stream->committed_head;
        stream->committed_head = stream->head;
    }
    stream->head = stream->committed_head;
    stream->kept_head = stream->committed_head;
    stream->shown_head = stream->committed_head;
    history->events += stream->events;
    history->numbers += stream->committed_head + 1 - stream->floor;
    floors_feed(history, stream);
    return 0;
}

static int settle_streams(struct history *history)
{
    size_t cursor = 0;
    struct history_stream *stream;
    while ((stream = map_next(&history->streams.by_user, &cursor))) {
        int rc = settle_stream(history, stream);
        if (rc)
            return rc;
    }
    return 0;
}

/*
 * Sections are many, and each touches memory that is nowhere near: the map, the stream, the end of
 * its index. So they are looked up a block at a time, each step for all of the block, and memory
 * that the next step needs is on its way meanwhile.
 */
#define BLOCK 64

struct block {
    struct batch_section sections[BLOCK];
    uint64_t hashes[BLOCK];
    struct history_stream *streams[BLOCK];
    uint32_t count;
};

static int take_block(
    struct history *history, struct block *block, const struct batch *batch, uint32_t first)
{
    uint32_t left = batch->sections - first;
    block->count = left < BLOCK ? left : BLOCK;
    for (uint32_t i = 0; i < block->count; i++) {
        if (batch_section_at(&block->sections[i], batch, first + i))
            return -EUCLEAN;
        block->hashes[i] = map_hash(block->sections[i].user_id);
        map_prefetch(&history->streams.by_user, block->hashes[i]);
    }
    for (uint32_t i = 0; i < block->count; i++) {
        block->streams[i] = map_peek(&history->streams.by_user, block->hashes[i]);
        if (block->streams[i])
            streams_prefetch(block->streams[i]);
    }
    return 0;
}

static int find_streams(struct history *history, struct block *block)
{
    for (uint32_t i = 0; i < block->count; i++) {
        struct span user_id = block->sections[i].user_id;
        struct history_stream **stream = &block->streams[i];
        if (!*stream || !span_equal(stream_user(*stream), user_id))
            *stream = streams_get(&history->streams, user_id);
        if (!*stream)
            return user_id.len > IDENTIFIER_MAX ? -EUCLEAN : -ENOMEM;
        index_prefetch_end(&(*stream)->index);
    }
    return 0;
}

static int load_sections(
    struct history *history, const struct batch *batch, struct retained_batch *retained)
{
    struct block block;
    for (uint32_t first = 0; first < batch->sections; first += block.count) {
        int rc = take_block(history, &block, batch, first);
        if (rc == 0)
            rc = find_streams(history, &block);
        for (uint32_t i = 0; rc == 0 && i < block.count; i++)
            rc = load_section(history, block.streams[i], &block.sections[i],
                index_place(batch->number, first + i), retained);
        if (rc)
            return rc;
    }
    return 0;
}

static int load_contents(
    struct history *history, const struct batch *batch, struct retained_batch *retained)
{
    int rc = load_sections(history, batch, retained);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < batch->positions; i++) {
        struct history_position position;
        batch_position_at(&position, batch, i);
        rc = positions_replay(&history->positions, &position, batch->number);
        if (rc)
            return rc;
    }
    return 0;
}

static int load_batch(void *context, const struct store_entry *entry)
{
    struct load *load = context;
    struct history *history = load->history;
    struct batch batch;
    uint64_t number;
    if (entry->key.len != sizeof(number))
        return -EUCLEAN;
    memcpy(&number, entry->key.data, sizeof(number));
    if (number == 0 || number > INDEX_BATCH_MAX)
        return -EUCLEAN;
    if (history->next_batch <= number)
        history->next_batch = number + 1;
    if (batch_open(&batch, entry->value) || batch_check_front(&batch) || batch.number != number ||
        batch.first > number)
        return damage_note(&history->damage, &(struct damaged_batch){number, entry->value.len});
    struct retained_batch retained = {.number = number,
        .first = batch.first,
        .time_ms = batch.time_ms,
        .size = (uint32_t)entry->value.len};
    int rc = batches_reserve(&history->batches);
    if (rc == 0)
        rc = load_contents(history, &batch, &retained);
    if (rc == 0)
        batches_push(&history->batches, &retained);
    return rc;
}

/* A number that is 0 until it was written. */
static int load_number(struct store *store, struct span name, uint64_t *ret_number)
{
    struct span value;
    int rc = store_get(store, STORE_META, name, &value);
    if (rc == 0 && value.len == sizeof(uint64_t))
        *ret_number = get_u64(value.data);
    else if (rc != -ENOENT)
        return rc ? rc : -EUCLEAN;
    return 0;
}

static const char *other_format(uint32_t format)
{
    static _Thread_local char text[128];
    snprintf(text, sizeof(text),
        "it is of version %u, this program has version %u: open it with the release that wrote it",
        format, HISTORY_FORMAT);
    return text;
}

static int load_meta(struct load *load)
{
    struct history *history = load->history;
    struct span value;
    load->what = "it is no history";
    int rc = store_get(history->store, STORE_META, META_FORMAT, &value);
    if (rc)
        return rc == -ENOENT ? -EUCLEAN : rc;
    load->what = "its format is damaged";
    if (value.len != sizeof(uint32_t))
        return -EUCLEAN;
    load->what = other_format(get_u32(value.data));
    if (get_u32(value.data) != HISTORY_FORMAT)
        return -EUCLEAN;
    load->what = "its epoch is damaged";
    rc = store_get(history->store, STORE_META, META_EPOCH, &value);
    if (rc || !streams_epoch_valid(value, STREAM_EPOCH_STORE_LEN))
        return rc && rc != -ENOENT ? rc : -EUCLEAN;
    memcpy(history->streams.store_epoch, value.data, value.len);
    load->what = "its count of batches is damaged";
    uint64_t last_batch = 0;
    rc = load_number(history->store, META_LAST_BATCH, &last_batch);
    if (rc == 0)
        rc = load_number(history->store, META_HORIZON, &history->batches.horizon);
    if (rc == 0)
        rc = load_number(history->store, META_FOLDED, &history->folded_to);
    history->next_batch = last_batch + 1;
    return rc;
}

/* The dead of an earlier life that were not yet put away. */
static void queue_wasteful(struct history *history)
{
    struct retained_batch *batch = batches_at_least(&history->batches, 0);
    for (; batch; batch = batches_at_least(&history->batches, batch->number + 1)) {
        if (batch->dead && batches_wasteful(batch))
            trim_queue_wasteful(history, batch);
    }
}

static int load_tables(struct load *load)
{
    struct store *store = load->history->store;
    int rc = load_meta(load);
    if (rc)
        return rc;
    load->what = "what it says about a user is damaged";
    rc = store_each(store, STORE_STREAMS, load_stream, load);
    if (rc)
        return rc;
    load->what = "what it says about a ring is damaged";
    rc = store_each(store, STORE_POSITIONS, load_position, load);
    if (rc)
        return rc;
    load->what = "a batch of events is damaged";
    rc = damage_load(&load->history->damage, store);
    if (rc == 0)
        rc = store_each(store, STORE_BATCHES, load_batch, load);
    if (rc == 0)
        rc = settle_streams(load->history);
    if (rc == 0)
        queue_wasteful(load->history);
    return rc;
}

/* ---- the epoch of the store */

int history_save_epoch(struct store *store, const char *store_epoch)
{
    char format[sizeof(uint32_t)];
    put_u32(format, HISTORY_FORMAT);
    int rc = store_put(store, STORE_META, META_FORMAT, span_of(format, sizeof(format)));
    return rc ? rc : store_put(store, STORE_META, META_EPOCH, span_of_string(store_epoch));
}

static int save_epoch(struct store *store, void *context)
{
    return history_save_epoch(store, context);
}

/* A full disk must not keep a broker from its streams: the epoch goes with the first commit, and
 * the loss counts as not settled until then. */
static int renew_store_epoch(struct history *history)
{
    char epoch[STREAM_EPOCH_STORE_LEN + 1];
    streams_make_epoch(epoch, STREAM_EPOCH_STORE_LEN);
    int rc = store_write(history->store, save_epoch, epoch);
    history->epoch_unsaved = history_is_full(rc) && !store_is_new(history->store);
    if (rc == 0)
        rc = store_settle_loss(history->store);
    if (rc && !history->epoch_unsaved)
        return rc;
    streams_set_epoch(&history->streams, epoch);
    return 0;
}

static int load_all(struct load *load)
{
    struct store *store = load->history->store;
    if (store_is_new(store)) {
        load->what = "a new store cannot be written";
        load->history->next_batch = 1;
        return renew_store_epoch(load->history);
    }
    load->what = "it cannot be read";
    int rc = store_read_begin(store);
    if (rc)
        return rc;
    rc = load_tables(load);
    store_read_end(store);
    if (rc)
        return rc;
    load->what = "what became of damaged batches cannot be written";
    rc = damage_settle(load->history);
    if (rc || !store_lost(store))
        return rc;
    load->what = "a new epoch cannot be written";
    return renew_store_epoch(load->history);
}

int history_load(struct history *history, char ret_reason[HISTORY_REASON_SIZE])
{
    struct load load = {.history = history};
    int rc = load_all(&load);
    if (rc)
        snprintf(ret_reason, HISTORY_REASON_SIZE, "%s (%s)", load.what, strerror(-rc));
    return rc;
}
