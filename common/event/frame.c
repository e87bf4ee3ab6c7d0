/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every event of every user passes here once, so the envelope is written at a cursor, with room for
 * all of it made before: a copy a piece, and no look at what is there already.
 */
#include "event/frame.h"

#include "base/json.h"
#include "base/json_scan.h"

#include <endian.h>

/* Names, quotes, commas and the longest numbers. */
#define ENVELOPE_MAX 400

static char *put(char *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_span(char *at, struct span text)
{
    return text.len ? put(at, text.data, text.len) : at;
}

/*
 * The eight digits of a number below 10^8, the first in the lowest byte, each of its value: halves
 * of four, then pairs, then digits, all of a width at once. The multipliers divide by 100 and by 10
 * whatever the lanes can hold.
 */
static uint64_t digits_of(uint64_t number)
{
    uint64_t lanes = number / 10000 | number % 10000 << 32;
    uint64_t upper = (lanes * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
    lanes = upper | (lanes - upper * 100) << 16;
    upper = (lanes * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return upper | (lanes - upper * 10) << 8;
}

static char *put_eight(char *at, uint64_t number)
{
    uint64_t text = htole64(digits_of(number) | UINT64_C(0x3030303030303030));
    return put(at, &text, sizeof(text));
}

/* The same without zeros before it; writes eight bytes and counts those that it has. */
static char *put_few(char *at, uint64_t number)
{
    uint64_t digits = digits_of(number);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) / 8;
    uint64_t text = htole64((digits | UINT64_C(0x3030303030303030)) >> 8 * zeros);
    memcpy(at, &text, sizeof(text));
    return at + sizeof(text) - zeros;
}

#define EIGHT UINT64_C(100000000)

static char *put_uint(char *at, uint64_t number)
{
    if (number < EIGHT)
        return put_few(at, number);
    if (number < EIGHT * EIGHT)
        return put_eight(put_few(at, number / EIGHT), number % EIGHT);
    at = put_few(at, number / EIGHT / EIGHT);
    return put_eight(put_eight(at, number / EIGHT % EIGHT), number % EIGHT);
}

/* `before` is all from the last value's end to this one's first quote. */
static char *put_text(char *at, struct span before, struct span text)
{
    if (!text.len)
        return at;
    at = put_span(at, before);
    at = put_span(at, text);
    return PUT(at, "\"");
}

static char *put_envelope(char *at, const struct event *event, uint64_t prev)
{
    at = PUT(at, "{\"type\":\"");
    at = put_span(at, span_of_string(event_type_name(event->type)));
    at = put_uint(PUT(at, "\",\"seq\":"), event->seq);
    at = put_uint(PUT(at, ",\"prev\":"), prev);
    if (event->first_seq)
        at = put_uint(PUT(at, ",\"first_seq\":"), event->first_seq);
    at = put_uint(PUT(at, ",\"timestamp\":"), event->timestamp);
    at = put_text(at, SPAN_LITERAL(",\"thread_id\":\""), event->thread_id);
    at = put_text(at, SPAN_LITERAL(",\"run_id\":\""), event->run_id);
    at = put_text(at, SPAN_LITERAL(",\"request_id\":\""), event->request_id);
    at = put_text(at, SPAN_LITERAL(",\"agent\":\""), event->agent);
    at = put_text(at, SPAN_LITERAL(",\"message_id\":\""), event->message_id);
    at = put_text(at, SPAN_LITERAL(",\"tool_call_id\":\""), event->tool_call_id);
    if (event->flags & EVENT_FLAG_SYNTHETIC)
        at = PUT(at, ",\"synthetic\":true");
    return PUT(at, ",\"data\":");
}

#define IDS 6

/* Identifiers as they are let in need no escapes, but that is not for this place to rely on. */
static bool escape_ids(struct event *event, struct buffer *escaped)
{
    struct span *const ids[IDS] = {&event->thread_id, &event->run_id, &event->request_id,
        &event->agent, &event->message_id, &event->tool_call_id};
    size_t ends[IDS];
    for (int i = 0; i < IDS; i++) {
        json_append_string(escaped, *ids[i]);
        ends[i] = escaped->len;
    }
    for (int i = IDS - 1; i >= 0 && !buffer_error(escaped); i--) {
        size_t start = i ? ends[i - 1] : 0;
        *ids[i] = span_of(escaped->data + start + 1, ends[i] - start - 2);
    }
    return !buffer_error(escaped);
}

static bool is_plain(struct span text)
{
    return json_plain_length(text) == text.len;
}

static bool ids_are_plain(const struct event *event)
{
    return is_plain(event->thread_id) && is_plain(event->run_id) && is_plain(event->request_id) &&
           is_plain(event->agent) && is_plain(event->message_id) && is_plain(event->tool_call_id);
}

static void append(struct buffer *out, const struct event *event, uint64_t prev)
{
    struct span data = event->data.len ? event->data : SPAN_LITERAL("{}");
    size_t ids = event->thread_id.len + event->run_id.len + event->request_id.len +
                 event->agent.len + event->message_id.len + event->tool_call_id.len;
    char *at = buffer_reserve(out, ENVELOPE_MAX + ids + data.len + 1);
    if (!at)
        return;
    char *end = put_envelope(at, event, prev);
    end = put_span(end, data);
    end = PUT(end, "}");
    out->len += (size_t)(end - at);
}

void event_frame_append(struct buffer *out, const struct event *event, uint64_t prev)
{
    if (ids_are_plain(event)) {
        append(out, event, prev);
        return;
    }
    struct event escaped = *event;
    struct buffer bytes = BUFFER_INIT;
    if (escape_ids(&escaped, &bytes))
        append(out, &escaped, prev);
    else
        out->broken = true;
    buffer_deinit(&bytes);
}
