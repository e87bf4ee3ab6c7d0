/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include "event/frame.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define FINAL_FRAGMENT 0x80

/* RFC 6455, section 5.2: 7 bits of length, or 126 and 16 bits, or 127 and 64 bits. */
static uint32_t put_header(unsigned char *at, enum frame_opcode opcode, size_t len)
{
    unsigned wide = len < 126 ? 0 : len < 65536 ? 2 : 8;
    at[0] = (unsigned char)(FINAL_FRAGMENT | opcode);
    at[1] = (unsigned char)(wide == 0 ? len : wide == 2 ? 126 : 127);
    for (unsigned i = 0; i < wide; i++)
        at[2 + i] = (unsigned char)((uint64_t)len >> (8 * (wide - 1 - i)));
    return 2 + wide;
}

/* Room for the frame; the payload is the caller's to write behind the header. */
static struct frame *frame_alloc(enum frame_opcode opcode, size_t payload_len)
{
    struct frame *frame = malloc(sizeof(*frame) + FRAME_HEADER_MAX + payload_len);
    if (!frame)
        return NULL;
    uint32_t header = put_header(frame->bytes, opcode, payload_len);
    frame->refs = 1;
    frame->header = header;
    frame->len = header + payload_len;
    frame->prev_start = 0;
    frame->prev_end = 0;
    return frame;
}

struct frame *frame_new(enum frame_opcode opcode, struct span payload)
{
    struct frame *frame = frame_alloc(opcode, payload.len);
    if (frame && payload.len)
        memcpy(frame->bytes + frame->header, payload.data, payload.len);
    return frame;
}

struct frame *frame_new_event(struct buffer *scratch, const struct event *event, uint64_t prev)
{
    struct event_frame_span span;
    buffer_clear(scratch);
    event_frame_append(scratch, event, prev, &span);
    if (buffer_error(scratch))
        return NULL;
    struct frame *frame = frame_new(FRAME_TEXT, buffer_span(scratch));
    if (frame) {
        frame->prev_start = frame->header + span.prev_start;
        frame->prev_end = frame->header + span.prev_end;
    }
    return frame;
}

struct frame *frame_new_with_prev(const struct frame *frame, uint64_t prev)
{
    char digits[24];
    assert(frame->prev_end > frame->prev_start);
    size_t width = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)prev);
    size_t before = frame->prev_start - frame->header;
    size_t after = frame->len - frame->prev_end;
    struct frame *copy = frame_alloc(FRAME_TEXT, before + width + after);
    if (!copy)
        return NULL;
    unsigned char *at = copy->bytes + copy->header;
    memcpy(at, frame->bytes + frame->header, before);
    memcpy(at + before, digits, width);
    memcpy(at + before + width, frame->bytes + frame->prev_end, after);
    copy->prev_start = copy->header + before;
    copy->prev_end = copy->prev_start + width;
    return copy;
}

struct frame *frame_new_close(int code, const char *reason)
{
    char payload[2 + FRAME_REASON_MAX];
    size_t len = strnlen(reason, FRAME_REASON_MAX);
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    memcpy(payload + 2, reason, len);
    return frame_new(FRAME_CLOSE, span_of(payload, 2 + len));
}

struct frame *frame_ref(struct frame *frame)
{
    frame->refs++;
    return frame;
}

void frame_unref(struct frame *frame)
{
    if (!frame)
        return;
    assert(frame->refs > 0);
    if (--frame->refs == 0)
        free(frame);
}

void frame_unrefp(struct frame **frame)
{
    frame_unref(*frame);
}
