/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include "transcode.h"

#include "base/json_member.h"
#include "event/frame.h"

#include <assert.h>
#include <endian.h>

#define FINAL_FRAGMENT 0x80

enum frame_opcode {
    OPCODE_TEXT = 0x1,
    OPCODE_BINARY = 0x2,
    OPCODE_CLOSE = 0x8,
    OPCODE_PING = 0x9,
    OPCODE_PONG = 0xa,
};

/* ---- WebSocket framing: RFC 6455, section 5.2: 7 bits of length, or 126 and 16, or 127 and 64 */

#define HEADER_USUAL 4

static unsigned wide_of(size_t len)
{
    return len < 126 ? 0 : len < 65536 ? 2 : 8;
}

/* Leaves room for the header that nearly every frame has. Returns where the frame begins. */
static size_t begin_frame(struct buffer *out)
{
    size_t start = out->len;
    buffer_append(out, "    ", HEADER_USUAL);
    return start;
}

/* The payload ends here: moves it when the room for the header is another. */
static void end_frame(struct buffer *out, size_t start, enum frame_opcode opcode)
{
    if (buffer_error(out))
        return;
    size_t len = out->len - start - HEADER_USUAL;
    unsigned wide = wide_of(len);
    if (2 + wide > HEADER_USUAL && !buffer_reserve(out, 2 + wide - HEADER_USUAL))
        return;
    char *at = out->data + start;
    if (2 + wide != HEADER_USUAL)
        memmove(at + 2 + wide, at + HEADER_USUAL, len);
    out->len = start + 2 + wide + len;
    at[0] = (char)(FINAL_FRAGMENT | opcode);
    at[1] = (char)(wide == 0 ? len : wide == 2 ? 126 : 127);
    for (unsigned i = 0; i < wide; i++)
        at[2 + i] = (char)((uint64_t)len >> (8 * (wide - 1 - i)));
}

static size_t frame_size(const unsigned char *at)
{
    unsigned wide = at[1] < 126 ? 0 : at[1] == 126 ? 2 : 8;
    uint64_t len = wide ? 0 : at[1];
    for (unsigned i = 0; i < wide; i++)
        len = len << 8 | at[2 + i];
    return 2 + wide + (size_t)len;
}

size_t frame_missing(struct span whole, size_t bytes)
{
    size_t end = 0;
    while (end < bytes)
        end += frame_size((const unsigned char *)whole.data + end);
    assert(end <= whole.len);
    return end - bytes;
}

/* ---- Server-Sent Events: lines, of which the data's may not be broken */

/* JSON has line ends only where white space may stand. */
static void flatten(struct buffer *out, size_t start)
{
    for (size_t i = start; i < out->len; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    }
}

static void append_sse_event(struct buffer *out, const struct frame_event *event)
{
    buffer_printf(out, "id: %s.%llu\nevent: %s\ndata: ", event->epoch,
        (unsigned long long)event->event->seq, event_type_name(event->event->type));
    size_t start = out->len;
    event_frame_append(out, event->event, event->prev);
    flatten(out, start);
    buffer_append(out, "\n\n", 2);
}

static struct span member_text(struct span json, const char *name)
{
    return json_member_inside(json_member_value(json, name));
}

/*
 * Where a live view begins, for a client that is cut off before its first event: a block without
 * data is no event, and its id counts all the same.
 */
static void append_sse_position(struct buffer *out, struct span welcome)
{
    if (span_is(member_text(welcome, "resume"), "live"))
        buffer_printf(out, "id: %.*s.%.*s\n\n", SPAN_ARG(member_text(welcome, "epoch")),
            SPAN_ARG(json_member_value(welcome, "head")));
}

static void append_sse_control(struct buffer *out, struct span json)
{
    struct span type = member_text(json, "type");
    if (span_is(type, "going_away"))
        buffer_printf(
            out, "retry: %.*s\n", SPAN_ARG(json_member_value(json, "reconnect_after_ms")));
    if (type.len)
        buffer_printf(out, "event: %.*s\n", SPAN_ARG(type));
    buffer_append_string(out, "data: ");
    size_t start = out->len;
    buffer_append_span(out, json);
    flatten(out, start);
    buffer_append(out, "\n\n", 2);
    if (span_is(type, "welcome"))
        append_sse_position(out, json);
}

/* ---- MessagePack */

/* Names, and the longest numbers and headers. */
#define ENVELOPE_MAX 400

static char *put(char *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_number(char *at, uint64_t number)
{
    uint32_t narrow = htobe32((uint32_t)number);
    uint64_t wide = htobe64(number);
    if (number < 0x80) {
        *at++ = (char)number;
        return at;
    }
    bool fits = number <= UINT32_MAX;
    *at++ = (char)(fits ? 0xce : 0xcf);
    return fits ? put(at, &narrow, sizeof(narrow)) : put(at, &wide, sizeof(wide));
}

/* `name` has its header. Identifiers are of less than 256 bytes. */
static char *put_text(char *at, struct span name, struct span text)
{
    if (!text.len)
        return at;
    at = put(at, name.data, name.len);
    if (text.len >= 32)
        *at++ = (char)0xd9;
    *at++ = (char)(text.len < 32 ? 0xa0 | text.len : text.len);
    return put(at, text.data, text.len);
}

static size_t count_members(const struct event *event)
{
    bool synthetic = event->flags & EVENT_FLAG_SYNTHETIC;
    return 5 + (event->first_seq > 0) + (event->thread_id.len > 0) + (event->run_id.len > 0) +
           (event->request_id.len > 0) + (event->agent.len > 0) + (event->message_id.len > 0) +
           (event->tool_call_id.len > 0) + synthetic;
}

/* The members of the JSON, in its order; at most 13, so the map's header is a byte. */
static char *put_envelope(char *at, const struct event *event, uint64_t prev)
{
    *at++ = (char)(0x80 | count_members(event));
    at = put_text(at, SPAN_LITERAL("\xa4type"), span_of_string(event_type_name(event->type)));
    at = put_number(PUT(at, "\xa3seq"), event->seq);
    at = put_number(PUT(at, "\xa4prev"), prev);
    if (event->first_seq)
        at = put_number(PUT(at, "\xa9"
                                "first_seq"),
            event->first_seq);
    at = put_number(PUT(at, "\xa9timestamp"), event->timestamp);
    at = put_text(at, SPAN_LITERAL("\xa9thread_id"), event->thread_id);
    at = put_text(at, SPAN_LITERAL("\xa6run_id"), event->run_id);
    at = put_text(at, SPAN_LITERAL("\xaarequest_id"), event->request_id);
    at = put_text(at,
        SPAN_LITERAL("\xa5"
                     "agent"),
        event->agent);
    at = put_text(at, SPAN_LITERAL("\xaamessage_id"), event->message_id);
    at = put_text(at, SPAN_LITERAL("\xactool_call_id"), event->tool_call_id);
    if (event->flags & EVENT_FLAG_SYNTHETIC)
        at = PUT(at, "\xa9synthetic\xc3");
    return PUT(at, "\xa4"
                   "data");
}

/* Room is made once, as for the JSON (event/frame.c). */
static void append_envelope(struct buffer *out, const struct event *event, uint64_t prev)
{
    char *at = buffer_reserve(out, ENVELOPE_MAX + 6 * IDENTIFIER_MAX);
    if (at)
        out->len += (size_t)(put_envelope(at, event, prev) - at);
}

/* What was found valid where it came in cannot fail here but for memory. */
static void append_object(struct buffer *out, struct span json)
{
    if (transcode_to_msgpack(out, json) < 0)
        out->broken = true;
}

static void append_msgpack_event(struct buffer *out, const struct frame_event *event)
{
    struct span data = event->event->data;
    size_t start = begin_frame(out);
    append_envelope(out, event->event, event->prev);
    append_object(out, data.len ? data : SPAN_LITERAL("{}"));
    end_frame(out, start, OPCODE_BINARY);
}

static void append_msgpack_control(struct buffer *out, struct span json)
{
    size_t start = begin_frame(out);
    append_object(out, json);
    end_frame(out, start, OPCODE_BINARY);
}

/* ---- JSON */

static void append_json_event(struct buffer *out, const struct frame_event *event)
{
    size_t start = begin_frame(out);
    event_frame_append(out, event->event, event->prev);
    end_frame(out, start, OPCODE_TEXT);
}

static void append_json_control(struct buffer *out, struct span json)
{
    size_t start = begin_frame(out);
    buffer_append_span(out, json);
    end_frame(out, start, OPCODE_TEXT);
}

/* ---- each kind, in each format */

void frame_append_event(
    struct buffer *out, enum frame_format format, const struct frame_event *event)
{
    switch (format) {
    case FRAME_MSGPACK: append_msgpack_event(out, event); break;
    case FRAME_SSE: append_sse_event(out, event); break;
    default: append_json_event(out, event);
    }
}

void frame_append_control(struct buffer *out, enum frame_format format, struct span json)
{
    switch (format) {
    case FRAME_MSGPACK: append_msgpack_control(out, json); break;
    case FRAME_SSE: append_sse_control(out, json); break;
    default: append_json_control(out, json);
    }
}

void frame_append_ping(struct buffer *out, enum frame_format format)
{
    if (format == FRAME_SSE) {
        buffer_append_string(out, ":\n\n");
        return;
    }
    end_frame(out, begin_frame(out), OPCODE_PING);
}

void frame_append_pong(struct buffer *out, struct span payload)
{
    size_t start = begin_frame(out);
    buffer_append_span(out, payload);
    end_frame(out, start, OPCODE_PONG);
}

void frame_append_close(struct buffer *out, int code, const char *reason)
{
    size_t start = begin_frame(out);
    if (code) {
        buffer_append_char(out, (char)(code >> 8));
        buffer_append_char(out, (char)code);
        buffer_append(out, reason, strnlen(reason, FRAME_REASON_MAX));
    }
    end_frame(out, start, OPCODE_CLOSE);
}
