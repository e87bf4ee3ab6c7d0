/* SPDX-License-Identifier: Apache-2.0 */
#include "base/region.h"

#include "base/pages.h"

#define LINE 64u
#define FIRST_BYTES (UINT64_C(64) << 10)

/* Begins a chunk. Chunks double until they are of huge pages. */
struct region_chunk {
    struct region_chunk *older;
    size_t bytes; /* this header included */
    size_t used;
};

void region_deinit(struct region *region)
{
    while (region->newest) {
        struct region_chunk *chunk = region->newest;
        region->newest = chunk->older;
        pages_free(chunk, chunk->bytes, 1);
    }
}

static size_t next_bytes(const struct region *region, size_t size)
{
    size_t bytes = region->newest ? region->newest->bytes * 2 : FIRST_BYTES;
    if (bytes > PAGES_LARGE)
        bytes = PAGES_LARGE;
    /* Its header, the thing, and what is lost to the lines that they begin. */
    size_t needed = sizeof(struct region_chunk) + size + 2 * LINE;
    return bytes > needed ? bytes : needed;
}

/* Where the next thing of a chunk begins, from the chunk's own beginning. */
static size_t begin_of(const struct region_chunk *chunk)
{
    size_t end = (uintptr_t)chunk + chunk->used;
    return ((end + LINE - 1) & ~(uintptr_t)(LINE - 1)) - (uintptr_t)chunk;
}

static struct region_chunk *add_chunk(struct region *region, size_t size)
{
    size_t bytes = next_bytes(region, size);
    struct region_chunk *chunk = pages_new(bytes, 1);
    if (!chunk)
        return NULL;
    *chunk = (struct region_chunk){.older = region->newest, .bytes = bytes, .used = sizeof(*chunk)};
    region->newest = chunk;
    return chunk;
}

void *region_take(struct region *region, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    struct region_chunk *chunk = region->newest;
    if (!chunk || begin_of(chunk) + size > chunk->bytes)
        chunk = add_chunk(region, size);
    if (!chunk)
        return NULL;
    size_t begin = begin_of(chunk);
    chunk->used = begin + size;
    return (char *)chunk + begin;
}
