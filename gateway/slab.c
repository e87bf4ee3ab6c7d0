/* SPDX-License-Identifier: Apache-2.0 */
#include "slab.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A slice of so large a part of its slab is not worth a copy. */
#define KEEP_PART 4

static void slab_free(struct slab *slab)
{
    if (!slab)
        return;
    buffer_deinit(&slab->bytes);
    free(slab);
}

static struct slab *slab_new(struct slab_pool *pool, size_t size)
{
    struct slab *slab = calloc(1, sizeof(*slab));
    if (!slab || !buffer_reserve(&slab->bytes, size)) {
        free(slab);
        return NULL;
    }
    slab->refs = 1;
    slab->pool = pool;
    return slab;
}

static void slab_unref(struct slab *slab)
{
    assert(slab->refs > 0);
    if (--slab->refs > 0)
        return;
    struct slab_pool *pool = slab->pool;
    if (pool && pool->spare_count < SLAB_SPARES && slab->bytes.cap <= 2 * SLAB_BYTES)
        pool->spares[pool->spare_count++] = slab;
    else
        slab_free(slab);
}

void slab_pool_deinit(struct slab_pool *pool)
{
    assert(!pool->open || pool->open->refs == 1);
    slab_free(pool->open);
    while (pool->spare_count)
        slab_free(pool->spares[--pool->spare_count]);
    *pool = (struct slab_pool){0};
}

static struct slab *fresh(struct slab_pool *pool)
{
    if (!pool->spare_count)
        return slab_new(pool, 2 * SLAB_BYTES);
    struct slab *slab = pool->spares[--pool->spare_count];
    slab->refs = 1;
    buffer_clear(&slab->bytes);
    return slab;
}

struct buffer *slab_pool_open(struct slab_pool *pool)
{
    struct slab *open = pool->open;
    if (open && open->refs == 1 && open->bytes.cap <= 2 * SLAB_BYTES) {
        buffer_clear(&open->bytes);
    } else if (!open || open->bytes.len >= SLAB_BYTES) {
        pool->open = NULL;
        if (open)
            slab_unref(open);
        pool->open = fresh(pool);
    }
    return pool->open ? &pool->open->bytes : NULL;
}

int slab_pool_take(struct slice *ret_slice, struct slab_pool *pool, size_t start)
{
    struct slab *open = pool->open;
    if (buffer_error(&open->bytes) || open->bytes.len > UINT32_MAX) {
        open->bytes.len = start;
        open->bytes.broken = false;
        return -ENOMEM;
    }
    open->refs++;
    *ret_slice = (struct slice){open, (uint32_t)start, (uint32_t)(open->bytes.len - start)};
    return 0;
}

void slice_unref(struct slice *slice)
{
    if (slice->slab)
        slab_unref(slice->slab);
    *slice = (struct slice){0};
}

int slice_keep(struct slice *slice)
{
    if (!slice->slab->pool || (size_t)slice->len * KEEP_PART >= slice->slab->bytes.cap)
        return 0;
    struct slab *own = slab_new(NULL, slice->len);
    if (!own)
        return -ENOMEM;
    buffer_append(&own->bytes, slice_data(slice), slice->len);
    struct slice kept = {own, 0, slice->len};
    slice_unref(slice);
    *slice = kept;
    return 0;
}
