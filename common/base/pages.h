/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/*
 * Memory for a table of entries that are used in no order, filled with zeroes. A large one lies in
 * huge pages, where the kernel has them: an entry then costs its cache line, and not the
 * translation of its page besides. A small one does not: of huge pages a single entry takes 2 MiB.
 */
#define PAGES_HUGE (UINT64_C(2) << 20)
#define PAGES_LARGE (UINT64_C(4) << 20)

/* What `bytes` take in huge pages; 0 for a table that has none. */
static inline size_t pages_whole(size_t bytes)
{
    return bytes < PAGES_LARGE ? 0 : (bytes + PAGES_HUGE - 1) & ~(PAGES_HUGE - 1);
}

static inline void *pages_map(size_t whole)
{
    char *wider =
        mmap(NULL, whole + PAGES_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (wider == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)wider & (PAGES_HUGE - 1);
    char *pages = wider + before;
    if (before > 0)
        munmap(wider, before);
    munmap(pages + whole, PAGES_HUGE - before);
    madvise(pages, whole, MADV_HUGEPAGE); /* without them it is as good as any memory */
    return pages;
}

/* NULL when memory is out. Freed by pages_free with the same numbers. */
static inline void *pages_new(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    size_t whole = pages_whole(bytes);
    return whole ? pages_map(whole) : calloc(count, size);
}

static inline void pages_free(void *pages, size_t count, size_t size)
{
    size_t whole = pages_whole(count * size);
    if (whole && pages)
        munmap(pages, whole);
    else
        free(pages);
}
