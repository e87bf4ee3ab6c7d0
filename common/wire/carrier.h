/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <ev.h>

/*
 * What carries a channel's messages to and from one peer at a time, on the loop's thread; the
 * channel's own, nobody else includes this. There is one within a machine and one between
 * machines. `reset` may be called from within either callback.
 */
struct carrier;
struct nng_tls_config;

struct carrier_events {
    /* `pid`: its process; 0: unknown, or it is gone. Of a peer that was reset nothing is said. */
    void (*on_peer)(void *context, struct carrier *carrier, bool connected, uint64_t pid);
    /* False: it is not one of ours, or of another version; the peer is dropped and reported gone.
     * The message is valid during the call. */
    bool (*on_message)(void *context, struct carrier *carrier, struct span message);
};

struct carrier_kind {
    /* Borrowed for the carrier's life: all of it. -ENOMEM, -EMFILE, … */
    int (*new)(struct carrier **ret_carrier, struct ev_loop *loop,
        const struct carrier_events *events, void *context);
    void (*free)(struct carrier *carrier);
    /* What channel_listen, channel_dial and channel_reset say; after a reset. */
    int (*listen)(struct carrier *carrier, const char *url, struct nng_tls_config *tls);
    int (*dial)(struct carrier *carrier, const char *url, struct nng_tls_config *tls);
    void (*reset)(struct carrier *carrier);
    /* To the peer, which is there: messages, each behind its length; keeps what must wait. Takes
     * the bytes out of `bundle`. An error sends nothing. */
    int (*send)(struct carrier *carrier, struct buffer *bundle);
    /* Ends the connection; the peer is reported gone, later. */
    void (*drop)(struct carrier *carrier);
    /* Bytes that wait here because the peer does not read. */
    size_t (*queued)(const struct carrier *carrier);
};

/* The first member of each. */
struct carrier {
    const struct carrier_kind *kind;
    const struct carrier_events *events;
    void *context;
    struct ev_loop *loop;
};

extern const struct carrier_kind carrier_local; /* ipc:// */
extern const struct carrier_kind carrier_nng;   /* tcp:// and tls+tcp:// */

/* So that one busy link does not keep the loop from its other work: what may be read in a row, and
 * for how long, before the rest of the loop has its turn. Who listens, the broker, has many links
 * and a turn to come back to. Who dials has one link: what it reads in one go it passes on in one
 * go, so the longer the cheaper. */
#define CARRIER_READS 16
#define CARRIER_READ_LISTENER_NS 1000000u
#define CARRIER_READ_DIALER_NS 20000000u
/* Between two attempts to reach a peer. */
#define CARRIER_PAUSE_MIN_MS 20
#define CARRIER_PAUSE_MAX_MS 250
