/* SPDX-License-Identifier: Apache-2.0 */
#include "history/damage.h"

#include "history/bytes.h"
#include "history/private.h"

#include <errno.h>

#define META_DAMAGED SPAN_LITERAL("damaged")

void damage_deinit(struct damage *damage)
{
    buffer_deinit(&damage->batches);
    buffer_deinit(&damage->settled);
}

int damage_load(struct damage *damage, struct store *store)
{
    struct span value;
    int rc = store_get(store, STORE_META, META_DAMAGED, &value);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    if (value.len < sizeof(uint64_t) || value.len % sizeof(uint64_t))
        return -EUCLEAN;
    damage->bytes = get_u64(value.data);
    for (size_t at = sizeof(uint64_t); at < value.len; at += sizeof(uint64_t)) {
        uint64_t number = get_u64(value.data + at);
        buffer_append(&damage->settled, &number, sizeof(number));
    }
    return buffer_error(&damage->settled);
}

int damage_note(struct damage *damage, const struct damaged_batch *batch)
{
    buffer_append(&damage->batches, batch, sizeof(*batch));
    return buffer_error(&damage->batches);
}

size_t damage_count(const struct damage *damage)
{
    return damage->batches.len / sizeof(struct damaged_batch);
}

bool damage_any(const struct damage *damage)
{
    return damage->batches.len || damage->settled.len;
}

static const struct damaged_batch *batch_at(const struct damage *damage, size_t index)
{
    return (const struct damaged_batch *)(const void *)damage->batches.data + index;
}

static bool is_settled(const struct damage *damage, uint64_t number)
{
    for (size_t at = 0; at < damage->settled.len; at += sizeof(number)) {
        if (memcmp(damage->settled.data + at, &number, sizeof(number)) == 0)
            return true;
    }
    return false;
}

static uint64_t unsettled_bytes(const struct damage *damage, uint64_t above)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < damage_count(damage); i++) {
        const struct damaged_batch *batch = batch_at(damage, i);
        if (batch->number > above && !is_settled(damage, batch->number))
            bytes += batch->size;
    }
    return bytes;
}

/* Behind its head a stream may have lost as many numbers as later batches have bytes. */
static void move_head(struct history *history, struct history_stream *stream)
{
    const struct index_entry *newest = index_back(&stream->index);
    uint64_t lost = unsettled_bytes(&history->damage, newest ? index_batch(newest) : 0);
    stream->committed_head += lost;
    stream->kept_head += lost;
    stream->shown_head += lost;
    stream->head += lost;
    if (newest) {
        history->damage.lost += lost;
        history->numbers += lost;
    } else {
        stream->floor = stream->committed_head + 1;
    }
}

static void move_heads(struct history *history)
{
    size_t cursor = 0;
    struct history_stream *stream;
    while ((stream = map_next(&history->streams.by_user, &cursor)))
        move_head(history, stream);
    history->damage.bytes += unsettled_bytes(&history->damage, 0);
}

static int save_heads(struct history *history)
{
    size_t cursor = 0;
    const struct history_stream *stream;
    while ((stream = map_next(&history->streams.by_user, &cursor))) {
        const struct index_entry *newest = index_back(&stream->index);
        const struct damaged_batch *last =
            batch_at(&history->damage, damage_count(&history->damage) - 1);
        if (newest && index_batch(newest) > last->number)
            continue;
        struct stream_row row = streams_row(stream);
        int rc = streams_save(history->store, &row);
        if (rc)
            return rc;
    }
    return 0;
}

static int save_settled(struct store *store, const struct damage *damage)
{
    char number[sizeof(uint64_t)];
    struct buffer value = BUFFER_INIT;
    put_u64(number, damage->bytes);
    buffer_append(&value, number, sizeof(number));
    for (size_t i = 0; i < damage_count(damage); i++) {
        put_u64(number, batch_at(damage, i)->number);
        buffer_append(&value, number, sizeof(number));
    }
    int rc = buffer_error(&value);
    if (rc == 0)
        rc = store_put(store, STORE_META, META_DAMAGED, buffer_span(&value));
    buffer_deinit(&value);
    return rc;
}

static int drop_expired(struct history *history)
{
    for (size_t i = 0; i < damage_count(&history->damage); i++) {
        const struct damaged_batch *batch = batch_at(&history->damage, i);
        int rc =
            batch->number > history->batches.horizon
                ? 0
                : store_delete(history->store, STORE_BATCHES, store_number_key(&batch->number));
        if (rc)
            return rc;
    }
    return 0;
}

static int settle_work(struct store *store, void *context)
{
    struct history *history = context;
    int rc = save_heads(history);
    if (rc == 0)
        rc = save_settled(store, &history->damage);
    return rc ? rc : drop_expired(history);
}

static bool anything_to_do(const struct history *history)
{
    const struct damage *damage = &history->damage;
    bool expired = damage_count(damage) && batch_at(damage, 0)->number <= history->batches.horizon;
    return expired || unsettled_bytes(damage, 0) > 0;
}

/* Without room it is done at the next opening, which comes to the same. */
int damage_settle(struct history *history)
{
    int rc = 0;
    if (anything_to_do(history)) {
        move_heads(history);
        rc = store_write(history->store, settle_work, history);
        if (rc == 0)
            rc = history_sync(history);
    }
    history->streams.first_head = history->damage.bytes;
    return history_is_full(rc) ? 0 : rc;
}
