/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * Messages that travel together: each is preceded by its length, 32 bits, little-endian. One or
 * more of them are what a link's socket carries at a time, since that costs the library much the
 * same whatever its size. Pure.
 */
#define BUNDLE_HEADER 4

/* Room for the length of the message that is appended next; where it begins. */
size_t bundle_begin(struct buffer *bundle);
/*
 * The message that began at `start` is all there. -ENOMEM, -EMSGSIZE when it has more than `max`
 * bytes: then it is taken out again, and the bundle is as before it.
 */
int bundle_end(struct buffer *bundle, size_t start, size_t max);
/* Takes the message that began at `start` out again. */
void bundle_undo(struct buffer *bundle, size_t start);

/* The message at `*at`, which moves behind it: 1. 0 at the end, -EBADMSG for what is none. */
int bundle_next(struct span *ret_message, struct span bundle, size_t *at);
