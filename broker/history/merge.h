/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * Small adjacent batches become larger ones, so that opening has few fronts to read and a user's
 * events lie together. In tiers: what a tier makes is what the next one takes. Each tier has a
 * cursor that goes over the batches once; what lies behind the last whole group waits for more.
 */
#define MERGE_TIERS 2

struct merging {
    uint64_t from[MERGE_TIERS]; /* batches below were looked at by the tier */
};
