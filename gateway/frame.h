/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

/*
 * One WebSocket frame, header and all, ready for the socket. It never changes after it was made,
 * so the sessions of a user share it by reference. Loop thread only: the count is plain.
 */
struct frame {
    uint32_t refs;
    uint32_t header;   /* bytes of WebSocket header; the payload follows */
    size_t len;        /* of it all */
    size_t prev_start; /* where the digits of "prev" stand in `bytes`; 0 when it is no event */
    size_t prev_end;
    unsigned char bytes[];
};

enum frame_opcode {
    FRAME_TEXT = 0x1,
    FRAME_CLOSE = 0x8,
    FRAME_PING = 0x9,
};

/* The longest header of an unmasked frame. */
#define FRAME_HEADER_MAX 10

/* Each returns one reference, or NULL when memory is out. */
struct frame *frame_new(enum frame_opcode opcode, struct span payload);
/* `scratch` is cleared and used; it saves an allocation a frame. */
struct frame *frame_new_event(struct buffer *scratch, const struct event *event, uint64_t prev);
/* The same event on a view where something else comes before it. */
struct frame *frame_new_with_prev(const struct frame *frame, uint64_t prev);

/* A Close frame; `reason` is cut to what fits (FRAME_REASON_MAX bytes). */
struct frame *frame_new_close(int code, const char *reason);
#define FRAME_REASON_MAX 123

struct frame *frame_ref(struct frame *frame);
/* Takes NULL. */
void frame_unref(struct frame *frame);
void frame_unrefp(struct frame **frame);

static inline struct span frame_payload(const struct frame *frame)
{
    return span_of(frame->bytes + frame->header, frame->len - frame->header);
}
