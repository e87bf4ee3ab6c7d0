/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

/*
 * Memory for frames, shared by reference. Frames are written one behind the other into the pool's
 * open slab; whoever has to send some of them holds a slice, and with it the slab. When nobody
 * holds the open slab any more it is written from its beginning again: while sockets take what
 * they are given, the same memory serves turn after turn and nothing is allocated. Loop thread
 * only: the counts are plain.
 *
 * A slice that lies around would keep a whole slab for a few bytes; slice_keep gives it memory of
 * its own.
 */
struct slab_pool;

struct slab {
    uint32_t refs;
    struct slab_pool *pool; /* where it goes when it is let go; NULL: nowhere */
    struct buffer bytes;    /* append only, while anybody holds a slice */
};

/* A slab with so many bytes is full: the next frame goes into another. */
#define SLAB_BYTES (64u << 10)
/* Slabs that wait for the next burst. */
#define SLAB_SPARES 16

struct slab_pool {
    struct slab *open;
    struct slab *spares[SLAB_SPARES];
    size_t spare_count;
};

/* Some whole frames. Zeroed: none. */
struct slice {
    struct slab *slab;
    uint32_t start;
    uint32_t len;
};

/* No slice of its slabs may be left. */
void slab_pool_deinit(struct slab_pool *pool);
/* Where the next frame is to be appended: NULL when memory is out. */
struct buffer *slab_pool_open(struct slab_pool *pool);
/* What was appended to the open slab from `start` on, with a reference for the caller. -ENOMEM when
 * an append failed; what there is of it is taken back. */
int slab_pool_take(struct slice *ret_slice, struct slab_pool *pool, size_t start);

static inline const char *slice_data(const struct slice *slice)
{
    return slice->slab->bytes.data + slice->start;
}

static inline struct slice slice_ref(const struct slice *slice)
{
    slice->slab->refs++;
    return *slice;
}

/* Takes an empty one. */
void slice_unref(struct slice *slice);
/* Copies a slice that is a small part of its slab, so that the slab can go. -ENOMEM: it stays. */
int slice_keep(struct slice *slice);
