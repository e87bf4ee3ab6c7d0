/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "slab.h"

#include <sys/uio.h>

/*
 * The frames that wait for one connection's socket, in order. Bounded in bytes: when a frame does
 * not fit it is refused, and nothing that was taken in is ever dropped or reordered. An empty
 * outbox takes a frame of any size, so that one frame larger than the limit can be sent at all.
 *
 * Frames that stand behind each other in memory are one slice here: a turn's frames cost one place
 * and one part of the write, however many they are.
 */
struct outbox {
    struct slice *slices; /* a circle; NULL: `only` is all of it */
    struct slice only;
    uint32_t cap; /* a power of two */
    uint32_t head;
    uint32_t count;
    size_t bytes;
    size_t limit;
};

void outbox_init(struct outbox *outbox, size_t limit);
void outbox_deinit(struct outbox *outbox);

/* Takes a reference of its own. -ENOBUFS when the limit forbids it; -ENOMEM. */
int outbox_push(struct outbox *outbox, const struct slice *slice);
/* The same, before everything that waits, and whatever the limit says. */
int outbox_push_first(struct outbox *outbox, const struct slice *slice);
/* What waits first, at most `max` parts of it: how many. Valid until the outbox changes. */
size_t outbox_parts(const struct outbox *outbox, struct iovec *ret_parts, size_t max);
/* So many bytes from the front are sent; they end with a frame. */
void outbox_sent(struct outbox *outbox, size_t bytes);
/* What waits will wait for long: it no longer holds more memory than it needs. -ENOMEM. */
int outbox_settle(struct outbox *outbox);
/* Forgets everything that waits. */
void outbox_clear(struct outbox *outbox);

static inline bool outbox_empty(const struct outbox *outbox)
{
    return outbox->count == 0;
}
