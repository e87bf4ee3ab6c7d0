/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "counters.h"

#include "base/list.h"
#include "base/map.h"
#include "wire/attachment.h"

/*
 * The gateway's side of the link to one broker: calls with answers, the stream of live events and
 * the credit it costs. The link comes back by itself; what was under way when it was lost is
 * reported to its caller, who knows whether to ask again. Loop thread only.
 */
struct broker_link;

/* A question that is under way. In the caller's memory, zeroed before first use. */
struct link_call {
    uint64_t request; /* 0: nothing is under way */
    uint64_t asked_at;
    struct broker_link *owner;
    struct list_link link;
    /* The answer, or NULL: the link was lost, or no answer came in time. Valid during the call. */
    void (*done)(struct link_call *call, const struct wire_message *answer);
};

struct broker_link_events {
    void (*on_ready)(void *context, struct broker_link *link);
    void (*on_events)(void *context, const struct wire_events *events);
    void (*on_epoch_changed)(void *context, const struct wire_epoch_changed *changed);
    /* An administrator ends the user's connections; or has this gateway leave. */
    void (*on_kick)(void *context, struct span user);
    void (*on_leave)(void *context, bool for_good);
};

struct broker_link_options {
    const char *control_url;
    const char *broker;               /* what the configuration calls it */
    const char *name;                 /* this gateway's */
    const struct link_tls_files *tls; /* with tls+tcp:// */
    bool remote; /* on another machine: asked now and then whether it is there */
    struct counters *counters;
};

/* All borrowed for the link's life, the strings of `options` too. */
int broker_link_new(struct broker_link **ret_link, struct ev_loop *loop,
    const struct broker_link_options *options, const struct broker_link_events *events,
    void *context);
void broker_link_free(struct broker_link *link);
/* As attachment_renew. */
int broker_link_renew(struct broker_link *link);
bool broker_link_ready(const struct broker_link *link);

/* -ENOTCONN while there is no link; otherwise as channel_send. */
int broker_link_send(struct broker_link *link, const struct wire_message *message);
/*
 * Sends a message that begins with `request`, which is set here, and calls call->done once, later.
 * On an error nothing is under way and `done` is not called.
 */
int broker_link_call(
    struct broker_link *link, struct link_call *call, struct wire_message *message);
/* Forgets the call; its answer is passed over. Does nothing when none is under way. */
void broker_link_cancel(struct link_call *call);
/* Gives up calls that have waited too long, and the link to a broker that does not answer. */
void broker_link_tick(struct broker_link *link, uint64_t now_ms);

static inline bool link_call_active(const struct link_call *call)
{
    return call->request != 0;
}
