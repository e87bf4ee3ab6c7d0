/* SPDX-License-Identifier: Apache-2.0 */
#include "backlog.h"

#include "event/codec.h"
#include "event/fold.h"

#include <errno.h>

struct header {
    uint64_t prev;
    uint32_t len;
    bool is_event;
};

void backlog_init(struct backlog *backlog, size_t mark)
{
    *backlog = (struct backlog){.mark = mark, .fold_at = mark};
}

void backlog_deinit(struct backlog *backlog)
{
    buffer_deinit(&backlog->bytes);
}

/* ---- in and out */

static void append_item(struct buffer *out, const struct backlog_item *item)
{
    struct header header;
    memset(&header, 0, sizeof(header));
    header.prev = item->prev;
    header.len = (uint32_t)item->bytes.len;
    header.is_event = item->is_event;
    buffer_append(out, &header, sizeof(header));
    buffer_append_span(out, item->bytes);
}

/* The part that was taken goes when it is the larger one, so each byte is moved once on average. */
static void compact(struct backlog *backlog)
{
    if (backlog->start < backlog->bytes.len - backlog->start)
        return;
    buffer_consume(&backlog->bytes, backlog->start);
    backlog->start = 0;
}

static int push(struct backlog *backlog, const struct backlog_item *item)
{
    compact(backlog);
    size_t before = backlog->bytes.len;
    append_item(&backlog->bytes, item);
    if (!buffer_error(&backlog->bytes))
        return 0;
    backlog->bytes.len = before;
    backlog->bytes.broken = false;
    return -ENOMEM;
}

int backlog_push_event(struct backlog *backlog, struct span event, uint64_t prev)
{
    return push(backlog, &(struct backlog_item){.is_event = true, .bytes = event, .prev = prev});
}

int backlog_push_frame(struct backlog *backlog, struct span frame)
{
    return push(backlog, &(struct backlog_item){.bytes = frame});
}

static bool item_at(struct backlog_item *ret_item, const struct backlog *backlog, size_t *at)
{
    struct header header;
    if (*at == backlog->bytes.len)
        return false;
    memcpy(&header, backlog->bytes.data + *at, sizeof(header));
    *ret_item = (struct backlog_item){.is_event = header.is_event,
        .bytes = span_of(backlog->bytes.data + *at + sizeof(header), header.len),
        .prev = header.prev};
    *at += sizeof(header) + header.len;
    return true;
}

bool backlog_take(struct backlog_item *ret_item, struct backlog *backlog)
{
    return item_at(ret_item, backlog, &backlog->start);
}

/* ---- folding */

/* Items that go together, on their way from the old bytes into the new ones. */
struct folding {
    struct buffer out;
    struct buffer text;
    struct buffer event;
    struct backlog_item first;
    struct foldable newest;
    uint64_t first_seq;
    size_t count; /* in the group; 0: there is none */
    size_t folded;
};

static void put_group(struct folding *folding)
{
    struct backlog_item item = folding->first;
    if (folding->count > 1) {
        buffer_clear(&folding->event);
        if (foldable_encode(
                &folding->event, &folding->newest, folding->first_seq, buffer_span(&folding->text)))
            folding->out.broken = true;
        item.bytes = buffer_span(&folding->event);
        folding->folded += folding->count - 1;
    }
    if (folding->count)
        append_item(&folding->out, &item);
    folding->count = 0;
}

static bool joins(const struct folding *folding, const struct foldable *next)
{
    return folding->count && foldable_joins(&folding->newest, next) &&
           folding->text.len + next->text.len <= BACKLOG_FOLD_BYTES;
}

static void add(
    struct folding *folding, const struct backlog_item *item, const struct foldable *next)
{
    if (!joins(folding, next)) {
        put_group(folding);
        buffer_clear(&folding->text);
        folding->first = *item;
        folding->first_seq = event_first_seq(&next->event);
    }
    if (next->kind == FOLD_TEXT)
        buffer_append_span(&folding->text, next->text);
    folding->newest = *next;
    folding->count++;
}

static void fold_item(struct folding *folding, const struct backlog_item *item)
{
    struct event event;
    struct foldable next = {.kind = FOLD_NOTHING};
    size_t offset = 0;
    if (item->is_event && event_decode_next(&event, item->bytes, &offset) > 0)
        foldable_parse(&next, &event);
    if (next.kind != FOLD_NOTHING) {
        add(folding, item, &next);
        return;
    }
    put_group(folding);
    append_item(&folding->out, item);
}

/* Without memory for it all stays as it is. */
static size_t fold(struct backlog *backlog)
{
    struct folding folding = {0};
    struct backlog_item item;
    size_t at = backlog->start;
    while (item_at(&item, backlog, &at))
        fold_item(&folding, &item);
    put_group(&folding);
    bool whole = !buffer_error(&folding.out) && !folding.text.broken && !folding.event.broken;
    if (whole && folding.folded) {
        struct buffer old = backlog->bytes;
        backlog->bytes = folding.out;
        backlog->start = 0;
        folding.out = old;
    }
    buffer_deinit(&folding.out);
    buffer_deinit(&folding.text);
    buffer_deinit(&folding.event);
    return whole ? folding.folded : 0;
}

/*
 * What was folded is not looked at again before as much was added as there is, or a sixteenth of it
 * when nothing more fits: so each byte costs a few looks, whatever the client does.
 */
size_t backlog_fold(struct backlog *backlog, bool anyway)
{
    size_t size = backlog_size(backlog);
    size_t since = anyway && backlog->fold_at > backlog->mark
                       ? backlog->fold_at / 2 + backlog->fold_at / 32
                       : backlog->fold_at;
    if (size < since)
        return 0;
    size_t folded = fold(backlog);
    size = backlog_size(backlog);
    backlog->fold_at = size > backlog->mark / 2 ? 2 * size : backlog->mark;
    return folded;
}
