/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "ring/inspect.h"

/* What to show of an arena. */
struct rings_wish {
    const char *path; /* where it was found */
    const char *user; /* this user's rings only; NULL: everybody's */
    bool json;        /* everything, as one JSON object; else tables for people */
    bool all;         /* in tables: rings with nothing in them as well, and every slot */
};

/* Rings in a table, the fullest, unless all are asked for. */
#define RINGS_SHOWN 20

/* Appends what the arena holds. What is not known is null, "unknown" in tables. 0, -ENOENT when the
 * user has no ring (nothing is appended), -ENOMEM. */
int rings_report(struct buffer *out, const struct inspect *view, const struct rings_wish *wish);
