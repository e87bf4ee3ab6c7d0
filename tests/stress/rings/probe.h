/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* Takes the arena up, nobody else using it, and has every user's ring take and give one record.
 * Returns how many rings would not. */
uint64_t probe_rings(const char *directory);
/* Removes the arena and the directory around it. */
void probe_remove(const char *parent, const char *directory);
