/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

/*
 * "Did you mean …?": the candidate nearest to what was typed, by insertions, deletions,
 * replacements and swaps of neighbours. Offer candidates one by one; `nearest` stays NULL while
 * none is near enough (a third of the letters, at least two) to be meant.
 */
struct suggestion {
    const char *typed;   /* borrowed */
    const char *nearest; /* borrowed from the candidates */
    size_t distance;
};

struct suggestion suggestion_for(const char *typed);
void suggestion_offer(struct suggestion *suggestion, const char *candidate);
/* The number of edits between two texts; SIZE_MAX when one is longer than 63 bytes. */
size_t suggestion_distance(const char *a, const char *b);
