/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads too long for a record: each in a place of its own in the spill area, referred to by a
 * record in the user's ring. A place's word says who took it, for which user, and how much:
 *
 *   word = { state:2 | owner:12 | pages:12 | entry:20 | version:18 }
 *
 *   FREE ──writer──> TAKEN ──whoever is sure nobody needs it──> FREEING ──punched──> FREE, version
 * + 1
 *
 * so what a user holds there can be summed up from the words, whoever died. A place is needed no
 * more once its record was released, or its ring reclaimed, or its owner died before it named its
 * record in the place. The reader decides that; a live writer gives back what it abandons.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ring/mapping.h"

enum spill_state { SPILL_FREE = 0, SPILL_TAKEN, SPILL_FREEING };

/* In the shared memory. */
struct spill_place {
    alignas(64) _Atomic uint64_t word;
    _Atomic uint64_t end; /* of the record that refers to it; 0: not named yet */
    _Atomic uint64_t generation;
    _Atomic uint32_t ring;
};

/* A record's payload, if its type is RECORD_SPILLED. */
struct spill_reference {
    uint64_t word; /* of the place, TAKEN */
    uint32_t place;
    uint32_t length; /* of the payload, bytes */
};

_Static_assert(sizeof(struct spill_place) == SPILL_STRIDE, "part of the format");
_Static_assert(sizeof(struct spill_reference) == 16, "part of the format");

static inline uint64_t spill_pack(
    enum spill_state state, uint32_t owner, uint32_t pages, uint32_t entry, uint32_t version)
{
    return ((uint64_t)state << 62) | ((uint64_t)(owner & 4095u) << 50) |
           ((uint64_t)(pages & 4095u) << 38) | ((uint64_t)(entry & 0xfffffu) << 18) |
           (version & 0x3ffffu);
}

static inline enum spill_state spill_state_of(uint64_t word)
{
    return (enum spill_state)(word >> 62);
}

static inline uint32_t spill_owner_of(uint64_t word)
{
    return (uint32_t)(word >> 50) & 4095u;
}

static inline uint32_t spill_pages_of(uint64_t word)
{
    return (uint32_t)(word >> 38) & 4095u;
}

static inline uint32_t spill_entry_of(uint64_t word)
{
    return (uint32_t)(word >> 18) & 0xfffffu;
}

/* Whether a payload of this length could be taken in for the entry now: 0, or as spill_take. */
int spill_check(const struct arena *arena, uint32_t entry, uint32_t length);
/*
 * Take a place with memory for the payload. The caller's slot names a ring of the entry.
 *   -EAGAIN   the user holds spilled payloads, and its share is used up: until they are released
 *   -EDQUOT   more than the user's share of what is free, even with nothing held
 *   -ENOSPC   no memory
 */
int spill_take(struct spill_reference *ret_reference, const struct arena *arena, uint32_t owner,
    uint32_t entry, uint32_t length);
/* The record that refers to it, before it is committed. */
void spill_name(const struct arena *arena, const struct spill_reference *reference, uint32_t ring,
    uint64_t generation, uint64_t end);
/* Give it back; nothing if the word is not the reference's any more. */
void spill_free(const struct arena *arena, uint32_t place, uint64_t word);
void *spill_data(const struct arena *arena, uint32_t place);
/* Whether a reference found in a record of the entry's can be: the place is taken, and as such. */
bool spill_is_sound(
    const struct arena *arena, const struct spill_reference *reference, uint32_t entry);
/* Bytes an entry holds. */
uint64_t spill_held(const struct arena *arena, uint32_t entry);
/* The reader's view of a place that is not free. */
struct spill_look {
    uint64_t word;
    uint64_t end; /* of its record, 0: not named */
    uint64_t generation;
    uint32_t place;
    uint32_t ring;
};

/* Iterates the places that are not free: start with *cursor = 0. */
bool spill_next(struct spill_look *ret_look, const struct arena *arena, uint32_t *cursor);
/* Reader: nobody needs it any more. */
void spill_free_read(const struct arena *arena, const struct spill_look *look);
/* Reaper: frees what a dead owner had not named yet, or had begun to free. */
void spill_resolve(const struct arena *arena, uint32_t owner);
