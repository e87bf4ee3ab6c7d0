/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

/*
 * Whether two JSON values say the same: numbers by value, strings whatever their escapes, objects
 * whatever their order. Each step is taken from `budget`; at 0 the answer is false.
 */
bool json_same(struct span a, struct span b, size_t *budget);
/* The number as the machine has it. `value` is a JSON number. */
double json_number(struct span value);
