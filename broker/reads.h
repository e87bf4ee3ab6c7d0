/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "router.h"

/*
 * Pages of history that listeners have asked for. They wait in line, one line a listener, and are
 * served a few a turn, after what is live, and only while the link takes what it is sent: after a
 * mass reconnect thousands of sessions ask at once, and must neither hold up live events nor fill
 * the link until it has to be dropped.
 */
struct reads {
    struct users *users; /* borrowed, as all here */
    struct router *router;
    struct counters *counters;
    struct buffer page;
};

void reads_init(struct reads *reads, struct users *users, struct router *router);
void reads_deinit(struct reads *reads);
/* Puts the request in the listener's line. -EINVAL: no such user; -ENOBUFS: too many wait. */
int reads_add(struct reads *reads, struct listener *listener, const struct wire_read *request);
/* Forgets what a listener that leaves has asked for. */
void reads_drop(struct listener *listener);
/* Serves; returns whether there is more that can be served at once. */
bool reads_turn(struct reads *reads);
