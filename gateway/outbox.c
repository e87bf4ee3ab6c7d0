/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_CAP 16

void outbox_init(struct outbox *outbox, size_t limit)
{
    *outbox = (struct outbox){.limit = limit};
}

void outbox_deinit(struct outbox *outbox)
{
    outbox_clear(outbox);
    free(outbox->frames);
    *outbox = (struct outbox){0};
}

static struct frame **slot_of(const struct outbox *outbox, size_t position)
{
    return &outbox->frames[(outbox->head + position) & (outbox->cap - 1)];
}

static int outbox_grow(struct outbox *outbox)
{
    size_t cap = outbox->cap ? outbox->cap * 2 : FIRST_CAP;
    struct frame **frames = calloc(cap, sizeof(void *));
    if (!frames)
        return -ENOMEM;
    for (size_t i = 0; i < outbox->count; i++)
        frames[i] = *slot_of(outbox, i);
    free(outbox->frames);
    outbox->frames = frames;
    outbox->cap = cap;
    outbox->head = 0;
    return 0;
}

static int make_room(struct outbox *outbox)
{
    return outbox->count == outbox->cap ? outbox_grow(outbox) : 0;
}

int outbox_push(struct outbox *outbox, struct frame *frame)
{
    if (outbox->count && outbox->bytes + frame->len > outbox->limit)
        return -ENOBUFS;
    int rc = make_room(outbox);
    if (rc)
        return rc;
    *slot_of(outbox, outbox->count) = frame_ref(frame);
    outbox->count++;
    outbox->bytes += frame->len;
    return 0;
}

int outbox_push_first(struct outbox *outbox, struct frame *frame)
{
    int rc = make_room(outbox);
    if (rc)
        return rc;
    outbox->head = (outbox->head - 1) & (outbox->cap - 1);
    *slot_of(outbox, 0) = frame_ref(frame);
    outbox->count++;
    outbox->bytes += frame->len;
    return 0;
}

static void drop_first(struct outbox *outbox)
{
    struct frame *frame = *slot_of(outbox, 0);
    outbox->head = (outbox->head + 1) & (outbox->cap - 1);
    outbox->count--;
    outbox->bytes -= frame->len;
    frame_unref(frame);
}

size_t outbox_take(struct outbox *outbox, struct buffer *out, size_t want)
{
    size_t taken = 0;
    while (outbox->count && out->len < want) {
        const struct frame *frame = *slot_of(outbox, 0);
        char *room = buffer_reserve(out, frame->len);
        if (!room)
            break;
        memcpy(room, frame->bytes, frame->len);
        out->len += frame->len;
        drop_first(outbox);
        taken++;
    }
    return taken;
}

void outbox_clear(struct outbox *outbox)
{
    while (outbox->count)
        drop_first(outbox);
}
