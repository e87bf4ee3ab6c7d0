/* SPDX-License-Identifier: Apache-2.0 */
/* Makes forked children of this process let go of its arenas. */
#pragma once

struct arena;

/* From now on a forked child marks the arena and closes its descriptors, the locks with them. */
/* -ENOMEM. */
int fork_guard_add(struct arena *arena);
void fork_guard_remove(struct arena *arena);
