/* SPDX-License-Identifier: Apache-2.0 */
/* The directory as the writers, the reader and the reaper see it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ring/directory.h"
#include "ring/mapping.h"
#include "ring/user.h"

/* Where a user was found, or the chain as it was while the user was not in it. */
struct directory_look {
    uint64_t head;       /* the chain's word, unchanged during the look */
    uint64_t generation; /* of the entry found */
    uint32_t entry;
    bool quarantined;
};

/* 1: found, 0: not there, -EUCLEAN: the chain is damaged. */
int directory_look(
    struct directory_look *ret_look, const struct arena *arena, const struct user_key *key);
/* The same, and if it is not there an entry for the user. Errors as directory_claim. */
int directory_obtain(struct directory_look *ret_look, struct ring_writer *writer,
    const char *user_id, size_t length);

static inline enum entry_state directory_state(const struct arena *arena, uint32_t ring)
{
    return entry_state_of(atomic_load(&arena_entry(arena, arena_entry_of(arena, ring))->word));
}

/* Owner only, for an entry the dead had taken: ready if it was linked, else free. True if so. */
bool directory_resolve(struct arena *arena, uint32_t entry);
/* Owner only: READY or QUARANTINED becomes RETIRING, and out of its chain. Idempotent. -EUCLEAN:
 * the chain is damaged, the entry stays as it is. */
int directory_retire(struct arena *arena, uint32_t entry);
