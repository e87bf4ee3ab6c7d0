/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/share.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "ring/successor.h"

int share_check(uint64_t held, uint64_t amount, uint64_t free)
{
    return held + amount <= (held + free) / SHARE_PARTS ? 0 : -EDQUOT;
}

uint64_t share_free(const struct arena *arena)
{
    uint64_t limit = arena->geometry.memory_bytes, used, free;
    struct statfs fs;
    struct stat st;

    /* When the kernel does not answer, nothing is granted. */
    if (fstatfs(arena->fd, &fs) < 0 || fstat(arena->fd, &st) < 0)
        return 0;
    free = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
    used = (uint64_t)st.st_blocks * 512;
    if (limit == 0)
        return free;
    if (used >= limit)
        return 0;
    return limit - used < free ? limit - used : free;
}

int share_grant(const struct arena *arena, uint64_t held, uint64_t amount)
{
    uint64_t free = share_free(arena);

    return amount > free ? -ENOSPC : share_check(held, amount, free);
}

uint64_t share_held_rings(const struct arena *arena, uint32_t entry)
{
    uint32_t newest = arena_newest_ring(arena, entry);
    uint64_t bytes = 0;

    for (uint32_t r = entry; r <= newest; r += arena->geometry.user_count)
        bytes += arena_capacity(arena, r) * RING_UNIT;
    return bytes;
}
