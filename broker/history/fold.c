/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fold.h"

#include "base/cleanup.h"
#include "event/codec.h"
#include "history/bytes.h"

#include <errno.h>

/* A folded event is no larger than this, so that pages of them stay pages. */
#define FOLD_BYTES_MAX (32u << 10)

/* ---- pieces and groups */

static uint64_t numbers_of(const struct event *event)
{
    return event->seq + 1 - event_first_seq(event);
}

void fold_parse(struct fold_piece *ret_piece, struct span bytes, struct span cuts)
{
    struct event event;
    size_t offset = 0;
    *ret_piece = (struct fold_piece){.is.kind = FOLD_NOTHING, .cuts = cuts};
    if (event_decode_next(&event, bytes, &offset) != 1 || offset != bytes.len)
        return;
    foldable_parse(&ret_piece->is, &event);
    if (ret_piece->is.kind == FOLD_TEXT && cuts.len != (numbers_of(&event) - 1) * sizeof(uint32_t))
        ret_piece->is.kind = FOLD_NOTHING;
}

bool fold_fits(const struct fold_group *group, const struct fold_piece *piece)
{
    const struct foldable *newest = &group->newest.is;
    size_t size = group->text.len + piece->is.text.len + group->cuts.len + piece->cuts.len;
    return foldable_joins(newest, &piece->is) &&
           event_first_seq(&piece->is.event) == newest->event.seq + 1 && size <= FOLD_BYTES_MAX;
}

static void add_cut(struct fold_group *group, size_t at)
{
    char cut[sizeof(uint32_t)];
    put_u32(cut, (uint32_t)at);
    buffer_append(&group->cuts, cut, sizeof(cut));
}

static void add_text(struct fold_group *group, const struct fold_piece *piece)
{
    for (size_t i = 0; i < piece->cuts.len; i += sizeof(uint32_t))
        add_cut(group, group->text.len + get_u32(piece->cuts.data + i));
    buffer_append_span(&group->text, piece->is.text);
}

void fold_begin(struct fold_group *group, const struct fold_piece *piece)
{
    buffer_clear(&group->text);
    buffer_clear(&group->cuts);
    group->newest = *piece;
    group->first_seq = event_first_seq(&piece->is.event);
    if (piece->is.kind == FOLD_TEXT)
        add_text(group, piece);
}

void fold_add(struct fold_group *group, const struct fold_piece *piece)
{
    if (piece->is.kind == FOLD_TEXT) {
        add_cut(group, group->text.len);
        add_text(group, piece);
    }
    group->newest = *piece;
}

int fold_finish(const struct fold_group *group, struct buffer *out, uint32_t *ret_cuts_size)
{
    int rc = foldable_encode(out, &group->newest.is, group->first_seq, buffer_span(&group->text));
    buffer_append_span(out, buffer_span(&group->cuts));
    *ret_cuts_size = (uint32_t)group->cuts.len;
    return rc || group->text.broken || group->cuts.broken || out->broken ? -ENOMEM : 0;
}

void fold_group_deinit(struct fold_group *group)
{
    buffer_deinit(&group->text);
    buffer_deinit(&group->cuts);
}

/* ---- what is behind a cursor */

/* `data` without the first `skip` bytes of its text. */
static int append_text_from(struct buffer *out, struct span data, size_t skip)
{
    struct span begin = FOLD_TEXT_BEGIN;
    if (data.len < begin.len + skip || memcmp(data.data, begin.data, begin.len) != 0)
        return -EBADMSG;
    buffer_append_span(out, begin);
    buffer_append(out, data.data + begin.len + skip, data.len - begin.len - skip);
    return buffer_error(out);
}

int fold_append_rest(struct buffer *out, struct span bytes, struct span cuts, uint64_t from)
{
    struct event event;
    size_t offset = 0;
    if (event_decode_next(&event, bytes, &offset) != 1 || offset != bytes.len ||
        from <= event_first_seq(&event) || from > event.seq)
        return -EBADMSG;
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    if (cuts.len) {
        uint64_t which = from - event.first_seq - 1;
        if (cuts.len != (event.seq - event.first_seq) * sizeof(uint32_t))
            return -EBADMSG;
        int rc = append_text_from(&data, event.data, get_u32(cuts.data + which * sizeof(uint32_t)));
        if (rc)
            return rc;
        event.data = buffer_span(&data);
    }
    event.first_seq = from < event.seq ? from : 0;
    event_encode(out, &event);
    return 0;
}
