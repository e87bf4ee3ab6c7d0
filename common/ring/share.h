/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much one user may have. The books are the kernel's: what the file takes and what the file
 * system has left are asked when memory is wanted, which is seldom, so nothing is counted in
 * shared memory and nothing can be counted wrong by the dead.
 *
 * A user may have, with what it has, SHARE_PARTSth part of what it has and what is free together.
 * So one user leaves most to the others, the next one most of that, and none can take the last.
 * The first ring of a user is not asked for: whoever comes gets it while there is memory at all.
 */
#pragma once

#include <stdint.h>

#include "ring/mapping.h"

#define SHARE_PARTS 4u

/* -EDQUOT if `amount` more for one who has `held` would be over its share, `free` being left. */
int share_check(uint64_t held, uint64_t amount, uint64_t free);
/* Bytes the arena may still take: of the file system and of the arena's own limit, the less. */
uint64_t share_free(const struct arena *arena);
/* -EDQUOT; -ENOSPC: that much is not free at all. */
int share_grant(const struct arena *arena, uint64_t held, uint64_t amount);
/* Bytes of the entry's rings, up to its newest. */
uint64_t share_held_rings(const struct arena *arena, uint32_t entry);
