/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the doorbell for a moment before sleeping, as base/spin.h has it. */
#pragma once

#include "base/spin.h"

struct arena;

/* Work is done: looks for news until there is some (true), or it is no longer worth while. News
 * that a wake-up brings is told with spin_news. Reader only. */
bool ring_spin_wait(struct spin *spin, struct arena *arena);
