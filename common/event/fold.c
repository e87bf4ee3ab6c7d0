/* SPDX-License-Identifier: Apache-2.0 */
#include "event/fold.h"

#include "base/cleanup.h"
#include "event/codec.h"

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

/* ---- events */

static bool is_final(const struct event *event)
{
    return event->flags & EVENT_FLAG_FINAL;
}

void foldable_parse(struct foldable *ret_foldable, const struct event *event)
{
    struct foldable foldable = {.kind = FOLD_NOTHING, .event = *event};
    if (event->type == EVENT_PARTIAL_RESULT && event->tool_call_id.len == 0 &&
        scan_text(event->data, is_final(event), &foldable.text))
        foldable.kind = FOLD_TEXT;
    else if (event->type == EVENT_AGENT_THINKING && scan_status(event->data, &foldable.text))
        foldable.kind = FOLD_STATUS;
    *ret_foldable = foldable;
}

static bool same_envelope(const struct event *a, const struct event *b)
{
    return a->type == b->type && a->user_tag == b->user_tag && span_equal(a->run_id, b->run_id) &&
           span_equal(a->message_id, b->message_id) && span_equal(a->thread_id, b->thread_id) &&
           span_equal(a->request_id, b->request_id) && span_equal(a->agent, b->agent) &&
           (a->flags | EVENT_FLAG_FINAL) == (b->flags | EVENT_FLAG_FINAL);
}

bool foldable_joins(const struct foldable *newest, const struct foldable *next)
{
    return next->kind != FOLD_NOTHING && next->kind == newest->kind && !is_final(&newest->event) &&
           same_envelope(&next->event, &newest->event);
}

int foldable_encode(
    struct buffer *out, const struct foldable *newest, uint64_t first_seq, struct span text)
{
    struct event event = newest->event;
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    event.first_seq = first_seq < event.seq ? first_seq : 0;
    if (newest->kind == FOLD_TEXT) {
        buffer_append_span(&data, FOLD_TEXT_BEGIN);
        buffer_append_span(&data, text);
        buffer_append_span(&data, is_final(&event) ? TEXT_END_FINAL : TEXT_END);
        event.data = buffer_span(&data);
    }
    event_encode(out, &event);
    return buffer_error(&data) ? buffer_error(&data) : buffer_error(out);
}
