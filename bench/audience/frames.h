/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket frames as a client reads and writes them (RFC 6455), with no more work than it takes.
 */
#pragma once

#include <stdint.h>

#include "base/buffer.h"

enum frame_kind {
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
};

struct ws_frame {
    enum frame_kind kind;
    struct span payload; /* into the bytes read */
};

/* The frame that begins at `*at`, which moves behind it. 1; 0 while it is not all there; -EPROTO
 * for one that no server may send, or a fragment, which none of them needs to. */
int frames_next(struct ws_frame *ret_frame, struct span bytes, size_t *at);
/* A whole frame, masked with zeroes, as is allowed and costs nothing. */
void frames_append(struct buffer *out, enum frame_kind kind, struct span payload);
