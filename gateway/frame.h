/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

#include <stdint.h>

/*
 * Frames, whole and ready for the socket. All formats carry the same objects; what is said to a
 * client is written as JSON and put into its format here, once for all who share the format. Pure;
 * errors are the buffer's.
 *
 *   JSON     a WebSocket text frame (`ringside.v1`)
 *   MSGPACK  a WebSocket binary frame (`ringside.v1.msgpack`)
 *   SSE      a Server-Sent Event: `id: <epoch>.<seq>`, `event: <type>`, `data: <the JSON>`
 */
enum frame_format {
    FRAME_JSON,
    FRAME_MSGPACK,
    FRAME_SSE,
    FRAME_FORMATS,
};

/* An event and what differs by view: what comes before it, and the epoch its number belongs to. */
struct frame_event {
    const struct event *event;
    uint64_t prev;
    const char *epoch;
};

void frame_append_event(
    struct buffer *out, enum frame_format format, const struct frame_event *event);
/* A control frame or reply: `json` is its object. */
void frame_append_control(struct buffer *out, enum frame_format format, struct span json);
/* What a client must answer, or in a format without answers what only keeps the way open. */
void frame_append_ping(struct buffer *out, enum frame_format format);
/* The answer to a WebSocket's ping. */
void frame_append_pong(struct buffer *out, struct span payload);
/* A WebSocket Close frame; `reason` is cut to FRAME_REASON_MAX bytes. `code` 0: without both. */
void frame_append_close(struct buffer *out, int code, const char *reason);
#define FRAME_REASON_MAX 123

/*
 * How many bytes of the WebSocket frame in which `bytes` ends are missing: 0 when it ends with a
 * frame. It begins with one. `whole` is all there is of the frames.
 */
size_t frame_missing(struct span whole, size_t bytes);
