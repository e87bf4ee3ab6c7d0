/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/list.h"
#include "base/paths.h"
#include "metrics/counters.h"
#include "wire/channel.h"
#include "wire/url.h"

/*
 * The broker's side of its links: a pool of slots, each an nng socket that serves one peer after
 * the other, each peer at an address of its own. A peer is offered an address over the control
 * socket, must say HELLO there within LINK_OFFER_SECONDS, and then belongs to the port of its role.
 */
#define LINK_SLOTS_MAX 256
#define LINK_OFFER_SECONDS 5.0
/* A gateway reports every second; one elsewhere that says nothing for so long is gone. */
#define LINK_SILENCE_SECONDS 6.0

struct links;

enum link_state {
    LINK_FREE,
    LINK_OFFERED, /* listening, HELLO awaited */
    LINK_READY,
};

struct link_port;

struct link {
    struct links *links;
    struct channel *channel;
    const struct link_port *port; /* once READY */
    void *peer;                   /* the port's own, once READY */
    enum link_state state;
    uint64_t serial;  /* changes with each peer: names this peer for ever */
    ev_timer timer;   /* of the offer, and of a drop that is due */
    bool remote;      /* of another machine: its kernel cannot tell us that it has died */
    ev_timer silence; /* of a remote peer */
    int failure; /* of an earlier send: the peer is dropped from the loop, not under its user */
    char name[IDENTIFIER_SIZE];
    char role[16];
    uint64_t pid;
};

/* What a role's port does with its links. */
struct link_port {
    const char *role;
    void *context;
    /* The peer's HELLO. 0 and *ret_peer takes the link; anything else drops it. */
    int (*on_ready)(
        void *context, struct link *link, const struct wire_hello *hello, void **ret_peer);
    void (*on_message)(void *context, void *peer, const struct wire_message *message);
    /* The peer is gone: release `peer`. */
    void (*on_gone)(void *context, void *peer);
};

struct links_options {
    struct ev_loop *loop;
    const char *run_dir;
    const char *broker_id;
    struct counters *counters;
    const struct link_port *ports; /* ends with a NULL role */
    const struct wire_url *remote; /* what gateways elsewhere ask; port 0: there are none */
    struct nng_tls_config *tls;    /* of its links; NULL: none */
};

/* Strings and ports are borrowed. */
int links_new(struct links **ret_links, const struct links_options *options);
/* Links that are made from now on use these; established ones stay. */
void links_secure(struct links *links, struct nng_tls_config *tls);
/*
 * Reserves a slot and writes its address. -EINVAL: no port has this role, or
 * the name is no identifier; -EUSERS: all slots are
 * taken; else from the socket.
 */
int links_offer(struct links *links, struct span role, struct span name, char ret_url[PATHS_MAX]);
/*
 * The same for a gateway of another machine: a port behind that of `remote`, with "*" for the host.
 * -EADDRINUSE when other programs have all of them.
 */
int links_offer_remote(struct links *links, struct span name, char ret_url[PATHS_MAX]);
/* Drops the peer; its port hears of it. */
void link_drop(struct link *link, const char *why);
/* Sends; a peer that cannot be sent to is dropped soon, never during the call. */
void link_send(struct link *link, const struct wire_message *message);
void link_send_encoded(struct link *link, struct span bytes);
/* What a turn has sent goes out, before anything is waited for. */
void links_flush(struct links *links);
/* The link if `serial` still names its peer, or NULL. */
struct link *links_find(struct links *links, uint64_t serial);
/* Iterate over READY links of a role: start with *cursor = 0; NULL at the end. */
struct link *links_next(struct links *links, const char *role, size_t *cursor);
/* Keeps what a peer says of itself, if it is a JSON object as it must be. */
void link_keep_report(struct buffer *kept, const struct wire_report *report);
