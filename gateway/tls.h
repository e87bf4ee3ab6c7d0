/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "address.h"
#include "counters.h"
#include "tls_keys.h"

#include <ev.h>

/*
 * TLS before everything else: takes accepted sockets, does the handshake, and gives the rest of the
 * gateway a plain socket in its place, one end of a pair whose bytes are carried to and from the
 * client here. Loop thread only.
 */
struct tls;

struct tls_options {
    const struct config *config; /* its limits count at any time */
    const struct tls_keys *keys;
    struct counters *counters;
    /* The handshake is done: `fd` is the receiver's. */
    void (*on_open)(void *context, int fd, const struct address *peer);
    /* The client speaks plain HTTP: `fd` is its socket, from which nothing was taken. */
    void (*on_plain)(void *context, int fd, const struct address *peer);
    void *context;
};

/* Pointers are borrowed for its life. */
int tls_new(struct tls **ret_tls, struct ev_loop *loop, const struct tls_options *options);
/* Connections are cut off. */
void tls_free(struct tls *tls);
/* Whether something is on its way to clients here, that the gateway has sent already. */
bool tls_is_flushing(const struct tls *tls);
/* Takes the socket over in any case. */
void tls_accept(struct tls *tls, int fd, const struct address *peer);
