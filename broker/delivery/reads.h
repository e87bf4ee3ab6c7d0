/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "delivery/router.h"

/*
 * Pages of history, and snapshots, that listeners have asked for. They wait in line, one line a
 * listener, first come first served: who has got a page and asks for the next one is at the end of
 * the line again, so a long replay holds up no short one. After a mass reconnect thousands ask at
 * once, and live events go through the same link, behind what of the line is in it. So only
 * READS_WINDOW bytes of answers are under way at a time: sent, and not yet said to be TAKEN by the
 * listener. That is what one that stopped costs, and how long a live event can have to wait.
 *
 * The broker does nothing else while it looks a page up, so a turn has READS_TURN for all
 * listeners; whose line it could not serve to the end is the last in the next turn.
 *
 * A page has READS_PAGE_MAX bytes at most, whatever was asked for, unless its one event has more.
 */
#define READS_WINDOW (256u << 10)
#define READS_PAGE_MAX (64u << 10)
/* Of bytes of answers, and READS_TURN_EACH for each: a millisecond or less. */
#define READS_TURN (128u << 10)
#define READS_TURN_EACH (4u << 10)
/* A session has one question under way; a listener with more waiting ones than this is no gateway:
 * it is refused further ones. */
#define READS_WAITING_MAX 1000000

struct reads {
    struct users *users; /* borrowed, as all here */
    struct router *router;
    struct counters *counters;
    struct buffer page;
    struct buffer body; /* of one run's snapshot */
    uint64_t served;    /* in this turn, as READS_TURN counts */
};

void reads_init(struct reads *reads, struct users *users, struct router *router);
void reads_deinit(struct reads *reads);
/* Puts the request in the listener's line. -EINVAL: no such user; -ENOBUFS: too many wait. */
int reads_add(struct reads *reads, struct listener *listener, const struct wire_read *request);
int reads_add_snapshot(
    struct reads *reads, struct listener *listener, const struct wire_snapshot_read *request);
/* The listener has dealt with so many bytes of its answers. */
void reads_taken(struct listener *listener, uint64_t bytes);
/* Forgets what a listener that leaves has asked for. */
void reads_drop(struct listener *listener);
/* Serves a turn's share of what there is room for; true when that left some. For what there is no
 * room for, TAKEN, or a socket that takes more, wakes the loop. */
bool reads_turn(struct reads *reads);
