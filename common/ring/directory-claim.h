/* SPDX-License-Identifier: Apache-2.0 */
/* The directory as its own parts and the reaper see it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ring/mapping.h"
#include "ring/user.h"

/* Whether the ring is some user's, with everything in its header. */
static inline bool directory_is_ready(const struct arena *arena, uint32_t ring)
{
    /* Partner: the CAS in directory_complete. */
    return directory_word_state(atomic_load(&arena->directory[ring])) == DIRECTORY_READY;
}

/* Completes the unfinished claim that the word, loaded from the directory, stands for, if it still
 * does. The caller's slot names the ring, or the caller is the owner. False: the word stands and
 * cannot be completed, its claimer's intent not being believable. */
bool directory_complete_claim(const struct arena *arena, uint32_t ring, uint64_t word);
