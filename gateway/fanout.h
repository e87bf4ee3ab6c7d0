/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "brokers.h"
#include "frame.h"
#include "open_runs.h"
#include "slab.h"

/*
 * Who of this gateway's sessions gets which live event. A feed stands for one user here: however
 * many connections the user has, the broker sends each event once, it is decoded and checked once,
 * made into a frame at most once, and shared. Loop thread only.
 *
 * A feed outlives its last session until the next tick, so that a page that is reloaded finds it
 * again, and so that no session's end can take the feed away from under a loop over its sessions.
 */
struct fanout {
    struct map feeds;          /* struct feed by its user */
    struct brokers *brokers;   /* borrowed */
    struct counters *counters; /* borrowed */
    struct slab_pool slabs;    /* where frames are made */
};

/* Room for an epoch; the broker's are shorter. */
#define EPOCH_SIZE 48

struct feed {
    struct fanout *fanout;
    struct broker_link *link;  /* to the user's broker; borrowed */
    uint64_t tag;              /* what the user's events must carry */
    char epoch[EPOCH_SIZE];    /* empty: not known yet */
    uint64_t newest;           /* the newest number that is known to exist */
    struct open_runs runs;     /* who is in the middle of something */
    struct list_link sessions; /* of struct session, feed_link */
    size_t session_count;
    struct link_call reopen; /* after the link was made again */
    char user[];
};

/* An event on its way to several sessions; a frame is made when the first one wants its format. */
struct feed_event {
    const struct event *event;
    struct span encoded; /* as the broker sent it */
    struct slice frames[FRAME_FORMATS];
    bool foreign; /* another user's: takes its place in the count, and is shown to nobody */
};

void fanout_init(struct fanout *fanout, struct brokers *brokers, struct counters *counters);
/* No session may be left. */
void fanout_deinit(struct fanout *fanout);

/* The user's feed, made when there is none. */
int fanout_feed(struct feed **ret_feed, struct fanout *fanout, const char *user);
void feed_join(struct feed *feed, struct list_link *session_link);
void feed_leave(struct feed *feed, struct list_link *session_link);

/*
 * Somebody learned where the user's stream stands. Sessions that were opened under another epoch
 * are closed with 4004.
 */
void feed_learn(struct feed *feed, struct span epoch, uint64_t head);
/* The same from the answer to an OPEN, which knows the open runs too. */
void feed_learn_opened(struct feed *feed, const struct wire_opened *opened);
/* The stream's numbering is void: every session is closed with 4004. */
void feed_lose_state(struct feed *feed);
struct feed_event feed_event_of(struct feed *feed, const struct event *event, struct span encoded);
/* Lets the frames go that no session holds. */
void feed_event_done(struct feed_event *item);

/* How a session sees the stream. */
struct feed_view {
    enum frame_format format;
    uint64_t prev;
};

/* The event's frame, with a reference for the caller: the shared one where the view is like most,
 * one of its own otherwise. -ENOMEM. */
int feed_event_frame(struct slice *ret_slice, struct feed *feed, struct feed_event *item,
    const struct feed_view *view);

void fanout_handle_events(struct fanout *fanout, const struct wire_events *events);
void fanout_handle_epoch_changed(struct fanout *fanout, const struct wire_epoch_changed *changed);
/* Closes the user's connections with 4403. */
void fanout_kick(struct fanout *fanout, struct span user);
/* The link is there again: what its users want is asked for anew, from where it stood. */
void fanout_handle_ready(struct fanout *fanout, const struct broker_link *link);
/* Lets go of users without sessions. */
void fanout_tick(struct fanout *fanout);
