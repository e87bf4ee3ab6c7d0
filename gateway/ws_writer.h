/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <sys/uio.h>

/*
 * What goes to a WebSocket's socket, in whole frames whatever the kernel takes. Parts are the
 * owner's, and gone once they were put; what must go before the next of them stands in `own`: the
 * answer to the handshake, the rest of a frame that the kernel took in part, pongs, the Close
 * frame.
 *
 * Pings are answered in order. While the socket takes nothing only the last is kept to be answered
 * (RFC 6455, section 5.5.3): a peer that pings and never reads has one answer waiting, not many.
 */
struct ws_writer {
    struct buffer own;
    size_t cut; /* of `own`, at its front: what is no frame, or the rest of one */
};

void ws_writer_deinit(struct ws_writer *writer);
/* `bytes` are no frames, and go out whole before any. */
void ws_writer_begin(struct ws_writer *writer, struct span bytes);
/* `full`: the socket takes nothing now. True when another answer makes way for this one. */
bool ws_writer_pong(struct ws_writer *writer, struct span payload, bool full);
/* Behind all else; `code` 0: without one. */
void ws_writer_close(struct ws_writer *writer, int code);

/* Writes `own`. 1 when all is gone, 0 when the socket is full, -EPIPE when it is broken. */
int ws_writer_put_own(struct ws_writer *writer, int fd);
/*
 * Writes parts, frames all of them, of which `*ret_gone` bytes are the writer's and the kernel's
 * now, up to the end of a frame. Only when nothing is left of `own`. Returns as ws_writer_put_own.
 */
int ws_writer_put(
    struct ws_writer *writer, int fd, struct iovec *parts, size_t count, size_t *ret_gone);
