/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fold.h"
#include "history/rewrite.h"

#include <errno.h>
#include <stdlib.h>

/* For each source of the order: the events that are being gathered, and what was taken in all. */
struct source_fold {
    struct fold_group group;
    struct section_event first; /* of the group, which stays as it is when it stays alone */
    uint32_t pieces;
    uint32_t taken_events;
    uint64_t taken_bytes;
};

struct stream_change {
    struct history_stream *stream;
    int64_t bytes;
    uint32_t events;
};

static struct source_fold *fold_at(const struct rewriting *rewriting, uint32_t section)
{
    return (struct source_fold *)(void *)rewriting->folds.data + section;
}

static uint32_t fold_count(const struct rewriting *rewriting)
{
    return (uint32_t)(rewriting->folds.len / sizeof(struct source_fold));
}

void rewrite_fold_forget(struct rewriting *rewriting)
{
    for (uint32_t i = 0; i < fold_count(rewriting); i++)
        fold_group_deinit(&fold_at(rewriting, i)->group);
    buffer_clear(&rewriting->folds);
    void **blobs = (void *)rewriting->blobs.data;
    for (size_t i = 0; i < rewriting->blobs.len / sizeof(void *); i++)
        free(blobs[i]);
    buffer_clear(&rewriting->blobs);
}

/* ---- gathering */

static int put_folded(struct rewriting *rewriting, uint32_t section, struct source_fold *fold)
{
    struct buffer bytes = BUFFER_INIT;
    struct section_event event = {.first_seq = fold->group.first_seq};
    int rc = fold_finish(&fold->group, &bytes, &event.cuts_size);
    buffer_append(&rewriting->blobs, &bytes.data, sizeof(void *));
    if (rc || rewriting->blobs.broken) {
        buffer_deinit(&bytes);
        return -ENOMEM;
    }
    event.last_seq = fold->group.newest.is.event.seq;
    event.numbers = (uint32_t)(event.last_seq + 1 - event.first_seq);
    event.bytes = buffer_span(&bytes); /* freed with the blobs */
    event.check = batch_event_check(event.bytes, event.numbers);
    rewriting->folded++;
    return rewrite_put(rewriting, section, &event);
}

static int flush(struct rewriting *rewriting, uint32_t section, struct source_fold *fold)
{
    uint32_t pieces = fold->pieces;
    fold->pieces = 0;
    if (pieces == 0)
        return 0;
    return pieces == 1 ? rewrite_put(rewriting, section, &fold->first)
                       : put_folded(rewriting, section, fold);
}

static int reserve_fold(struct rewriting *rewriting, uint32_t section)
{
    static const struct source_fold none;
    while (fold_count(rewriting) <= section) {
        buffer_append(&rewriting->folds, &none, sizeof(none));
        if (buffer_error(&rewriting->folds))
            return -ENOMEM;
    }
    return 0;
}

int rewrite_fold(
    struct rewriting *rewriting, uint32_t section, const struct section_event *event, bool may_fold)
{
    int rc = reserve_fold(rewriting, section);
    if (rc)
        return rc;
    struct source_fold *fold = fold_at(rewriting, section);
    struct fold_piece piece = {.is.kind = FOLD_NOTHING};
    size_t len = event->bytes.len - event->cuts_size;
    fold->taken_events++;
    fold->taken_bytes += event->bytes.len;
    if (may_fold && section_event_intact(event))
        fold_parse(&piece, span_of(event->bytes.data, len),
            span_of(event->bytes.data + len, event->cuts_size));
    if (fold->pieces && fold_fits(&fold->group, &piece)) {
        fold_add(&fold->group, &piece);
        fold->pieces++;
        return 0;
    }
    rc = flush(rewriting, section, fold);
    if (rc || piece.is.kind == FOLD_NOTHING)
        return rc ? rc : rewrite_put(rewriting, section, event);
    fold_begin(&fold->group, &piece);
    fold->first = *event;
    fold->pieces = 1;
    return 0;
}

/* ---- the end of an order */

int rewrite_fold_finish(struct rewriting *rewriting)
{
    struct history_stream *const *streams = (const void *)rewriting->streams.data;
    for (uint32_t i = 0; i < fold_count(rewriting); i++) {
        struct source_fold *fold = fold_at(rewriting, i);
        int rc = flush(rewriting, i, fold);
        if (rc)
            return rc;
        const struct batch_source *source =
            (const struct batch_source *)(const void *)rewriting->sources.data + i;
        struct stream_change change = {.stream = streams[i],
            .bytes = (int64_t)fold->taken_bytes - source->bytes,
            .events = fold->taken_events - source->count};
        if (change.events)
            buffer_append(&rewriting->changes, &change, sizeof(change));
    }
    return buffer_error(&rewriting->changes);
}

void rewrite_fold_apply(const struct rewriting *rewriting)
{
    const struct stream_change *changes = (const void *)rewriting->changes.data;
    for (size_t i = 0; i < rewriting->changes.len / sizeof(*changes); i++) {
        changes[i].stream->bytes -= (uint64_t)changes[i].bytes;
        changes[i].stream->events -= changes[i].events;
        rewriting->history->events -= changes[i].events;
    }
}
