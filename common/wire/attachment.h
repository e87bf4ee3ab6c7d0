/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/channel.h"
#include "wire/link_tls.h"

/*
 * The connecting side of a link, whole: asks the broker's control socket for an address, dials it,
 * says HELLO, waits for READY, and does so again, with backoff, for as long as it lives. Loop
 * thread only.
 */
struct attachment;

struct attachment_options {
    const char *control_url; /* ipc://$RUN/broker.ipc, or what a broker listens on for others */
    const struct link_tls_files *tls; /* with tls+tcp://; NULL: none */
    const char *role;                 /* "gateway", "worker", "client" */
    const char *name;                 /* for people, in `ringside status` */
    uint64_t process;                 /* a worker's index in the arena's process table */
    const char *agents;               /* a worker's agents, one a line; "" otherwise */
};

struct attachment_events {
    /* The link is ready: messages may be sent. `broker_id` differs after a broker's restart. */
    void (*on_ready)(void *context, struct span broker_id);
    void (*on_message)(void *context, const struct wire_message *message);
    /* The link is gone; it is being made again. */
    void (*on_lost)(void *context);
    /* The broker answered, but refuses: version, role, too many. Tried again later. */
    void (*on_refused)(void *context, struct span code, struct span message);
};

/* Strings of `options` and `events` are borrowed for the attachment's life. Starts at once. */
int attachment_new(struct attachment **ret_attachment, struct ev_loop *loop,
    const struct attachment_options *options, const struct attachment_events *events,
    void *context);
void attachment_free(struct attachment *attachment);
/* Gives the link up, as if it had been lost: the peer is there no more, whatever the socket says.
 */
void attachment_give_up(struct attachment *attachment);
bool attachment_ready(const struct attachment *attachment);
/* Reads the files of `tls` again, for connections that are made from now on: an established link
 * stays. -errno after saying on the log what is wrong; then the old ones are used on. */
int attachment_renew(struct attachment *attachment);
/* What the next HELLO says of a worker's agents; borrowed like the options. */
void attachment_set_agents(struct attachment *attachment, const char *agents);
/* As channel_send; -ENOTCONN while the link is not ready. */
int attachment_send(struct attachment *attachment, const struct wire_message *message);

/* ipc://<run directory>/broker.ipc */
#define WIRE_CONTROL_SOCKET "broker.ipc"
