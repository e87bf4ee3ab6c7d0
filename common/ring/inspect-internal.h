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
