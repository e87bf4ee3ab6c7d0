/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * Memory for many things that live as long as their table, given back with it and not before. They
 * lie densely in the order in which they came, apart from what comes and goes: that leaves holes
 * all over the heap, and whatever then fills them is nowhere near its like. Where there are many
 * they are in huge pages (base/pages.h). Zeroed is empty.
 */
struct region {
    struct region_chunk *newest;
};

/* `size` bytes of zeroes that begin a cache line; NULL when memory is out. */
void *region_take(struct region *region, size_t size);
void region_deinit(struct region *region);
