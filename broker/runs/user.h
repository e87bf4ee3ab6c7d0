/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/heap.h"
#include "base/map.h"
#include "base/region.h"
#include "history/history.h"
#include "runs/account.h"
#include "runs/run.h"

/* A user the broker has heard of since its start. Lives as long as the broker. What each turn with
 * an event of it needs comes first, behind the name: drain_fetch gets that. */
struct user {
    char id[IDENTIFIER_SIZE];
    uint64_t tag;
    struct history_stream *stream;  /* borrowed from history */
    struct run *recent;             /* the one that had an event last, while it is open, or NULL */
    struct list_link subscriptions; /* struct subscription.user_link */
    struct list_link fresh_link;    /* in router.fresh */
    uint64_t acknowledged;          /* the newest number a client said it has processed */

    /* This turn's events, encoded, from `fresh_after` on: what the router sends once committed. */
    struct buffer fresh;
    uint64_t fresh_after;
    struct account account; /* of its events */

    struct list_link runs;    /* open ones: struct run.user_link */
    struct heap begun;        /* struct run.begun_node: its open runs, by their first number */
    struct list_link lines;   /* struct queue_line.user_link */
    size_t queued;            /* its runs that wait */
    uint64_t lonely_since_ms; /* monotonic: since when nobody is connected */
    bool renewed;             /* its stream was numbered anew in this life of the broker */
};

struct users {
    struct map map;          /* by identifier */
    struct region region;    /* where they are */
    struct history *history; /* borrowed */
};

void users_init(struct users *users, struct history *history);
void users_deinit(struct users *users);
/* The user, made when new. NULL when memory is out or `id` is no identifier. */
struct user *users_get(struct users *users, struct span id);
