/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

/*
 * What waits for a client that reads slowly, in order: events as the broker sent them, of which
 * frames are made when there is room for them, and control frames ready made. As long as they wait
 * events can be folded (event/fold.h): consecutive deltas of one message become one, and of
 * consecutive states the newest stays. Nothing else is ever dropped or changed, and nothing is
 * folded across an event of another kind or a control frame. Pure.
 *
 * An event carries the number that comes before it on its view; what stands for several carries
 * that of the first, so the chain of a client is never broken.
 */
struct backlog {
    struct buffer bytes; /* items, one behind the other */
    size_t start;        /* before it: taken already */
    size_t fold_at;      /* fold when so many bytes wait */
    size_t mark;
};

/* A folded text is no larger than this. */
#define BACKLOG_FOLD_BYTES (64u << 10)

/* Folds whatever is beyond `mark` bytes. */
void backlog_init(struct backlog *backlog, size_t mark);
void backlog_deinit(struct backlog *backlog);

/* Copies the event (one, as event/codec.h has it) or the frame. -ENOMEM: nothing was added. */
int backlog_push_event(struct backlog *backlog, struct span event, uint64_t prev);
int backlog_push_frame(struct backlog *backlog, struct span frame);

/*
 * Folds when enough was added since the last time; `anyway`: since nothing more fits. How many
 * events became part of another.
 */
size_t backlog_fold(struct backlog *backlog, bool anyway);

struct backlog_item {
    bool is_event;
    struct span bytes; /* until the backlog changes */
    uint64_t prev;     /* of an event */
};

/* Takes what has waited longest; false when nothing is left. */
bool backlog_take(struct backlog_item *ret_item, struct backlog *backlog);

static inline size_t backlog_size(const struct backlog *backlog)
{
    return backlog->bytes.len - backlog->start;
}
