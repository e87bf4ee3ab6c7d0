/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/message.h"

#include <ev.h>

/*
 * One end of a link, on a libev loop: a socket with a path for ipc:// addresses, nng for those of
 * other machines. All calls and callbacks on the loop's thread. Messages arrive whole and in
 * order, or the peer is reported lost; what was sent to a lost peer may or may not have arrived,
 * so whoever sends keeps what must not be lost. A channel serves one peer after the other.
 */
struct channel;

struct channel_events {
    /* The message and its spans are valid during the call. */
    void (*on_message)(void *context, const struct wire_message *message);
    /* A peer is there / gone. After `false` nothing more arrives from it. */
    void (*on_peer)(void *context, bool connected);
};

/* `events` and `context` are borrowed for the channel's life. -ENOMEM. */
int channel_new(struct channel **ret_channel, struct ev_loop *loop,
    const struct channel_events *events, void *context);
/* Stops everything and gives the socket back. Takes NULL. At exit, leave with _exit instead. */
void channel_free(struct channel *channel);

/* TLS for addresses that begin with tls+tcp://; borrowed. NULL: there are none. */
struct nng_tls_config;
void channel_secure(struct channel *channel, struct nng_tls_config *tls);

/* Waits for one peer at a time at `url`; replaces an earlier address. -EADDRINUSE, -EMFILE, … */
int channel_listen(struct channel *channel, const char *url);
/* Reaches for the peer at `url` until channel_reset, again when it is lost; returns at once. */
int channel_dial(struct channel *channel, const char *url);
/* Drops the peer and the address; what the socket does not take at once is forgotten. No callback.
 */
void channel_reset(struct channel *channel);

/*
 * Sends, or queues while the peer is slow. -ENOTCONN without a peer; -ENOBUFS when more than
 * CHANNEL_QUEUE_MAX bytes wait (the peer is stuck: drop it); -EMSGSIZE; -ENOMEM. An error sends
 * nothing. What is sent in one pass of the loop goes out together at its end.
 */
int channel_send(struct channel *channel, const struct wire_message *message);
/* The same for a message that wire_encode has encoded already. */
int channel_send_encoded(struct channel *channel, struct span bytes);
#define CHANNEL_QUEUE_MAX (64u << 20)
/* What was sent in this pass goes out now, for who has work of its own between two passes. */
void channel_flush(struct channel *channel);
/* Bytes that wait here because the peer does not read. */
size_t channel_queued(const struct channel *channel);
bool channel_connected(const struct channel *channel);
/* The peer's process as the kernel knows it; 0 when unknown. */
uint64_t channel_peer_pid(const struct channel *channel);
