/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps account of a round: what was acknowledged against what was delivered. An event delivered
 * twice under one (ring, generation, position) is a known repeat, as a store behind the reader
 * knows it; anything else that comes twice is duplicated.
 */
#pragma once

#include "torture.h"

struct ledger_counts {
    uint64_t events;     /* delivered, repeats left out */
    uint64_t repeats;    /* known ones, after a reader's death */
    uint64_t unasked;    /* delivered whose writer died before it could acknowledge them */
    uint64_t lost;       /* acknowledged, or followed by later ones, and not delivered */
    uint64_t duplicated; /* delivered twice under different positions */
    uint64_t disordered; /* delivered after a later one of its writer and user */
    uint64_t corrupt;    /* not as written, another user's, or at an impossible position */
};

struct ledger;

/* For an arena of so many rings. NULL: no memory. acks: TORTURE_WRITERS_MAX of them, borrowed. */
struct ledger *ledger_new(
    const struct torture_ack *acks, struct ledger_counts *counts, uint32_t ring_count);
struct ledger *ledger_free(struct ledger *ledger);
void ledger_keep(struct ledger *ledger, const struct torture_kept *kept);
/* Everything acknowledged has been delivered. */
bool ledger_is_even(const struct ledger *ledger);
/* At the end of a round: counts what is missing. */
void ledger_close(struct ledger *ledger);
