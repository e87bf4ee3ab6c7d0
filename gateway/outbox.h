/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "frame.h"

/*
 * The frames that wait for one connection's socket, in order. Bounded in bytes: when a frame does
 * not fit, it is refused and the connection is to be closed; nothing that was taken in is ever
 * dropped or reordered. An empty outbox takes a frame of any size, so that one frame larger than
 * the limit can be sent at all.
 */
struct outbox {
    struct frame **frames; /* a circle */
    size_t cap;            /* a power of two, or 0 */
    size_t head;
    size_t count;
    size_t bytes;
    size_t limit;
};

void outbox_init(struct outbox *outbox, size_t limit);
void outbox_deinit(struct outbox *outbox);

/* Takes a reference of its own. -ENOBUFS when the limit forbids it; -ENOMEM. */
int outbox_push(struct outbox *outbox, struct frame *frame);
/* The same, before everything that waits, and whatever the limit says. */
int outbox_push_first(struct outbox *outbox, struct frame *frame);
/*
 * Moves whole frames to the end of `out`, in order, until it holds `want` bytes or more or nothing
 * is left. Returns how many; a frame that does not fit into memory stays.
 */
size_t outbox_take(struct outbox *outbox, struct buffer *out, size_t want);
/* Forgets everything that waits. */
void outbox_clear(struct outbox *outbox);

static inline bool outbox_empty(const struct outbox *outbox)
{
    return outbox->count == 0;
}
