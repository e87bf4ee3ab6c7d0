/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ring/inspect.h"
#include "ring/mapping.h"

struct inspect {
    struct arena *arena; /* never joined; only its addresses are used, and nothing is written */
    uint64_t file_bytes;
    uint64_t allocated_bytes;
    int lock_fd; /* -1: none beside the arena */
};

/* Payloads beside the rings: of one ring, or of all with INSPECT_ALL_RINGS. Returns how many, and
 * the memory they take. */
#define INSPECT_ALL_RINGS UINT32_MAX
uint32_t inspect_spilled(uint64_t *ret_bytes, const struct arena *arena, uint32_t ring);
