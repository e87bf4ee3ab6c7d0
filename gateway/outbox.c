/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){.cap = 1};
}

static struct slice *slot_of(const struct outbox *outbox, uint32_t position)
{
    if (!outbox->slices)
        return (struct slice *)(uintptr_t)&outbox->only;
    return &outbox->slices[(outbox->head + position) & (outbox->cap - 1)];
}

static int outbox_grow(struct outbox *outbox)
{
    uint32_t cap = outbox->cap * 4;
    struct slice *slices = calloc(cap, sizeof(*slices));
    if (!slices)
        return -ENOMEM;
    for (uint32_t i = 0; i < outbox->count; i++)
        slices[i] = *slot_of(outbox, i);
    free(outbox->slices);
    outbox->slices = slices;
    outbox->cap = cap;
    outbox->head = 0;
    return 0;
}

/* An idle connection costs nothing for what it may have to send one day. */
static void shrink(struct outbox *outbox)
{
    free(outbox->slices);
    outbox->slices = NULL;
    outbox->cap = 1;
    outbox->head = 0;
}

static int make_room(struct outbox *outbox)
{
    return outbox->count == outbox->cap ? outbox_grow(outbox) : 0;
}

static bool continues(const struct outbox *outbox, const struct slice *slice)
{
    if (!outbox->count)
        return false;
    const struct slice *last = slot_of(outbox, outbox->count - 1);
    return last->slab == slice->slab && last->start + last->len == slice->start;
}

int outbox_push(struct outbox *outbox, const struct slice *slice)
{
    if (continues(outbox, slice)) {
        slot_of(outbox, outbox->count - 1)->len += slice->len;
    } else {
        int rc = make_room(outbox);
        if (rc)
            return rc;
        *slot_of(outbox, outbox->count++) = slice_ref(slice);
    }
    outbox->bytes += slice->len;
    return 0;
}

int outbox_push_first(struct outbox *outbox, const struct slice *slice)
{
    int rc = make_room(outbox);
    if (rc)
        return rc;
    outbox->head = (outbox->head - 1) & (outbox->cap - 1);
    *slot_of(outbox, 0) = slice_ref(slice);
    outbox->count++;
    outbox->bytes += slice->len;
    return 0;
}

size_t outbox_parts(const struct outbox *outbox, struct iovec *ret_parts, size_t max)
{
    size_t count = outbox->count < max ? outbox->count : max;
    for (uint32_t i = 0; i < count; i++) {
        const struct slice *slice = slot_of(outbox, i);
        ret_parts[i] = (struct iovec){(void *)(uintptr_t)slice_data(slice), slice->len};
    }
    return count;
}

static void drop_first(struct outbox *outbox)
{
    struct slice *slice = slot_of(outbox, 0);
    outbox->bytes -= slice->len;
    slice_unref(slice);
    outbox->head = (outbox->head + 1) & (outbox->cap - 1);
    outbox->count--;
}

void outbox_sent(struct outbox *outbox, size_t bytes)
{
    while (bytes) {
        struct slice *slice = slot_of(outbox, 0);
        assert(outbox->count > 0);
        if (bytes < slice->len) {
            slice->start += (uint32_t)bytes;
            slice->len -= (uint32_t)bytes;
            outbox->bytes -= bytes;
            return;
        }
        bytes -= slice->len;
        drop_first(outbox);
    }
    if (!outbox->count && outbox->slices)
        shrink(outbox);
}

int outbox_settle(struct outbox *outbox)
{
    int rc = 0;
    for (uint32_t i = 0; i < outbox->count && !rc; i++)
        rc = slice_keep(slot_of(outbox, i));
    return rc;
}

void outbox_clear(struct outbox *outbox)
{
    while (outbox->count)
        drop_first(outbox);
    shrink(outbox);
}
