/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "slab.h"

#include <sys/uio.h>

/*
 * The frames that are about to go to one connection's socket, in order. Nothing that was taken in
 * is ever dropped or reordered; how much may wait is its owner's affair.
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
};

void outbox_init(struct outbox *outbox);

/* Takes a reference of its own. -ENOMEM. */
int outbox_push(struct outbox *outbox, const struct slice *slice);
/* The same, before everything that waits. */
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
