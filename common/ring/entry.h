/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packed 64-bit words of the directory, as pure functions.
 *
 *   entry   = { state:3 | owner:12 | generation:49 }        one word a directory entry
 *   head    = { version:32 | entry + 1:32 }                 one word a chain of entries
 *
 * Owner and generation live in the same word as the state, so that an entry taken by one that dies
 * can be identified, and a lease of an earlier generation never fits.
 */
#pragma once

#include <stdint.h>

enum entry_state {
    ENTRY_FREE = 0,
    ENTRY_TAKEN,       /* by the owner, who is about to link it */
    ENTRY_READY,       /* linked: a user's */
    ENTRY_QUARANTINED, /* the same, with a ring that is damaged */
    ENTRY_RETIRING,    /* being unlinked and made fresh; owner 1: it was quarantined */
};

static inline uint64_t entry_pack(enum entry_state state, uint32_t owner, uint64_t generation)
{
    return ((uint64_t)state << 61) | ((uint64_t)(owner & 4095u) << 49) |
           (generation & ((UINT64_C(1) << 49) - 1));
}

static inline enum entry_state entry_state_of(uint64_t word)
{
    return (enum entry_state)(word >> 61);
}

static inline uint32_t entry_owner_of(uint64_t word)
{
    return (uint32_t)(word >> 49) & 4095u;
}

static inline uint64_t entry_generation_of(uint64_t word)
{
    return word & ((UINT64_C(1) << 49) - 1);
}

/* entry + 1, 0 for none. */
static inline uint64_t head_pack(uint32_t version, uint32_t next)
{
    return ((uint64_t)version << 32) | next;
}

static inline uint32_t head_version(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint32_t head_next(uint64_t word)
{
    return (uint32_t)word;
}
