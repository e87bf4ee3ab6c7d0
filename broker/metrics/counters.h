/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runs/lifecycle.h"

/* Counted by the broker's one thread; read for `ringside status`. */
struct counters {
#define COUNTER(name, unit, meaning) uint64_t name;
#include "metrics/counters.def"
#undef COUNTER
    uint64_t refused[VERDICT_COUNT]; /* events kept out, by reason */
};
