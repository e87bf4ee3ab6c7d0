/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "links/link.h"
#include "runs/user.h"

/*
 * Who gets which events. A listener (a gateway) subscribes to users; each subscription knows how
 * far it was sent. What this turn brought goes out straight from memory to subscriptions that are
 * in step; one that is not, or whose listener has no room left, is *behind*, and is served from
 * history when there is room: a stopped gateway costs the broker a number per user, not a queue.
 * Room is credit, which the gateway gives back for what it has dealt with, and no more than
 * ROUTER_QUEUE_MAX bytes that its socket has not taken, whatever it has granted.
 */
#define ROUTER_QUEUE_MAX (8u << 20)

struct listener {
    struct router *router;
    struct link *link;
    int64_t credit;           /* bytes; may fall below 0 by one message */
    struct map subscriptions; /* by user identifier */
    struct list_link reads;   /* struct waiting_read.link: pages it asked for */
    size_t reads_waiting;
    uint64_t reads_under_way;     /* bytes of answers sent and not yet TAKEN */
    struct list_link behind;      /* struct subscription.behind_link */
    struct list_link router_link; /* in router.listeners */
    struct buffer report;         /* JSON: what it last said of itself */
};

struct subscription {
    struct user *user;
    struct listener *listener;
    uint64_t sent;                /* the newest number sent */
    struct list_link user_link;   /* in user.subscriptions */
    struct list_link behind_link; /* in listener.behind */
};

struct router {
    struct history *history;    /* borrowed */
    struct counters *counters;  /* borrowed */
    struct list_link fresh;     /* struct user.fresh_link: users with events in this turn */
    struct list_link listeners; /* struct listener.router_link */
    struct buffer page;
    /* NULL, or told of each user whom somebody begins or ceases to watch. */
    void (*on_watch)(void *context, const struct user *user);
    void *context;
};

void router_init(struct router *router, struct history *history, struct counters *counters);
void router_deinit(struct router *router);

/* NULL when memory is out. Without credit until some is granted. */
struct listener *router_add_listener(struct router *router, struct link *link);
/* Ends its subscriptions too. */
void router_remove_listener(struct router *router, struct listener *listener);
void router_grant(struct listener *listener, uint64_t bytes);

/* The user's events behind `sent` go to the listener from here on; again: nothing changes. */
int router_subscribe(struct listener *listener, struct user *user, uint64_t sent);
void router_unsubscribe(struct listener *listener, struct span user_id);

/* Notes an event that got its number in this turn; goes out at the flush. */
void router_note(struct router *router, struct user *user, uint64_t seq, struct span encoded);
/* After a commit: sends what may be sent. Returns whether listeners with credit are still behind.
 */
bool router_flush(struct router *router);
/* Tells the user's listeners that its numbering was renewed. */
void router_announce_epoch(struct user *user);
