/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fold.h"

#include "base/cleanup.h"
#include "event/codec.h"
#include "history/bytes.h"

#include <errno.h>

/* A folded event is no larger than this, so that pages of them stay pages. */
#define FOLD_BYTES_MAX (32u << 10)

#define TEXT_BEGIN SPAN_LITERAL("{\"delta\":\"")
#define TEXT_END SPAN_LITERAL("\"}")
#define TEXT_END_FINAL SPAN_LITERAL("\",\"final\":true}")

/* ---- what the data says: JSON that was found valid when it was taken in */

struct scan {
    const char *at;
    const char *end;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at)
        scan->at++;
}

static bool take(struct scan *scan, const char *token)
{
    size_t len = strlen(token);
    skip_space(scan);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, token, len) != 0)
        return false;
    scan->at += len;
    return true;
}

static bool take_string(struct scan *scan, struct span *ret_text)
{
    if (!take(scan, "\""))
        return false;
    const char *start = scan->at;
    while (scan->at < scan->end && *scan->at != '"')
        scan->at += *scan->at == '\\' ? 2 : 1;
    if (scan->at >= scan->end)
        return false;
    *ret_text = span_of(start, (size_t)(scan->at++ - start));
    return true;
}

static bool take_end(struct scan *scan)
{
    if (!take(scan, "}"))
        return false;
    skip_space(scan);
    return scan->at == scan->end;
}

static bool take_final(struct scan *scan)
{
    return take(scan, ",") && take(scan, "\"final\"") && take(scan, ":") && take(scan, "true");
}

static bool scan_text(struct span data, bool final, struct span *ret_text)
{
    struct scan scan = {data.data, data.data + data.len};
    return take(&scan, "{") && take(&scan, "\"delta\"") && take(&scan, ":") &&
           take_string(&scan, ret_text) && (!final || take_final(&scan)) && take_end(&scan);
}

static bool scan_status(struct span data, struct span *ret_text)
{
    struct scan scan = {data.data, data.data + data.len};
    return take(&scan, "{") && take(&scan, "\"status\"") && take(&scan, ":") &&
           take_string(&scan, ret_text) && take_end(&scan);
}

/* ---- pieces and groups */

static bool is_final(const struct fold_piece *piece)
{
    return piece->event.flags & EVENT_FLAG_FINAL;
}

static uint64_t numbers_of(const struct event *event)
{
    return event->seq + 1 - event_first_seq(event);
}

void fold_parse(struct fold_piece *ret_piece, struct span bytes, struct span cuts)
{
    struct fold_piece piece = {.cuts = cuts};
    const struct event *event = &piece.event;
    size_t offset = 0;
    *ret_piece = (struct fold_piece){.kind = FOLD_NOTHING};
    if (event_decode_next(&piece.event, bytes, &offset) != 1 || offset != bytes.len)
        return;
    if (event->type == EVENT_PARTIAL_RESULT && event->tool_call_id.len == 0 &&
        scan_text(event->data, is_final(&piece), &piece.text) &&
        cuts.len == (numbers_of(event) - 1) * sizeof(uint32_t))
        piece.kind = FOLD_TEXT;
    else if (event->type == EVENT_AGENT_THINKING && scan_status(event->data, &piece.text))
        piece.kind = FOLD_STATUS;
    else
        return;
    *ret_piece = piece;
}

static bool same_envelope(const struct event *a, const struct event *b)
{
    return a->type == b->type && a->user_tag == b->user_tag && span_equal(a->run_id, b->run_id) &&
           span_equal(a->message_id, b->message_id) && span_equal(a->thread_id, b->thread_id) &&
           span_equal(a->request_id, b->request_id) && span_equal(a->agent, b->agent) &&
           (a->flags | EVENT_FLAG_FINAL) == (b->flags | EVENT_FLAG_FINAL);
}

bool fold_fits(const struct fold_group *group, const struct fold_piece *piece)
{
    const struct fold_piece *newest = &group->newest;
    return piece->kind != FOLD_NOTHING && piece->kind == newest->kind && !is_final(newest) &&
           event_first_seq(&piece->event) == newest->event.seq + 1 &&
           same_envelope(&piece->event, &newest->event) &&
           group->text.len + piece->text.len + group->cuts.len + piece->cuts.len <= FOLD_BYTES_MAX;
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
    buffer_append_span(&group->text, piece->text);
}

void fold_begin(struct fold_group *group, const struct fold_piece *piece)
{
    buffer_clear(&group->text);
    buffer_clear(&group->cuts);
    group->newest = *piece;
    group->first_seq = event_first_seq(&piece->event);
    if (piece->kind == FOLD_TEXT)
        add_text(group, piece);
}

void fold_add(struct fold_group *group, const struct fold_piece *piece)
{
    if (piece->kind == FOLD_TEXT) {
        add_cut(group, group->text.len);
        add_text(group, piece);
    }
    group->newest = *piece;
}

int fold_finish(const struct fold_group *group, struct buffer *out, uint32_t *ret_cuts_size)
{
    struct event event = group->newest.event;
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    event.first_seq = group->first_seq < event.seq ? group->first_seq : 0;
    if (group->newest.kind == FOLD_TEXT) {
        buffer_append_span(&data, TEXT_BEGIN);
        buffer_append_span(&data, buffer_span(&group->text));
        buffer_append_span(&data, is_final(&group->newest) ? TEXT_END_FINAL : TEXT_END);
        event.data = buffer_span(&data);
    }
    event_encode(out, &event);
    buffer_append_span(out, buffer_span(&group->cuts));
    *ret_cuts_size = (uint32_t)group->cuts.len;
    bool broken = data.broken || group->text.broken || group->cuts.broken || out->broken;
    return broken ? -ENOMEM : 0;
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
    struct span begin = TEXT_BEGIN;
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
