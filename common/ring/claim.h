/* SPDX-License-Identifier: Apache-2.0 */
/* What writers do to a claim, and what the owner does to the claims of the dead. */
#pragma once

#include <stdint.h>

#include "ring/mapping.h"
#include "ring/word.h"
#include "ring/writer.h"

/* Gives the last claim, named by a tail, its header if it has none yet. */
void claim_help(const struct arena *arena, uint32_t ring, uint64_t base_lap, struct tail last);
/* Turns one's own claim into `state`. -EOWNERDEAD: it is not one's own any more. */
int claim_settle(
    const struct arena *arena, const struct claim_place *place, enum control_state state);
/* Discards the claim in flight that a dead owner may have in a ring; returns how many (0 or 1). */
uint32_t claim_discard_of(const struct arena *arena, uint32_t ring, uint32_t owner);
