/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "carrier.h"

#include "base/buffer.h"
#include "config/config.h"

#include <stdint.h>
#include <sys/uio.h>

#include <ev.h>

/*
 * WebSocket connections, on libwebsockets, which no other file knows. It is given sockets whose
 * handshake was accepted already and moves messages; what they mean is the owner's. Frames are made
 * by the owner, header included, and written many at a time. Loop thread only.
 */
struct ws_server;
struct ws_connection;

struct ws_events {
    /* One whole message, of the kind the connection speaks. */
    void (*on_message)(void *owner, struct span message);
    /* The peer said something: a message, a part of one, a ping, a pong. */
    void (*on_heard)(void *owner);
    /* A ping is not answered: another came while the socket took nothing. */
    void (*on_ping_superseded)(void *owner);
    /* The socket has room: what waits, in parts that are whole frames, at most `max`: how many. */
    size_t (*on_gather)(void *owner, struct iovec *ret_parts, size_t max);
    /* So many bytes of that are gone, up to the end of a frame. `full`: on_gather comes again when
     * there is room. */
    void (*on_sent)(void *owner, size_t bytes, bool full);
    /* A new connection: whether more than what was sent so far is about to come, in a moment. */
    bool (*on_more)(void *owner);
    /* The peer broke the rules of this layer; the owner closes with `code` as it sees fit. */
    void (*on_violation)(void *owner, int code, const char *reason);
    /* The connection is gone; the last call for this owner. */
    void (*on_closed)(void *owner);
};

struct ws_options {
    const struct config *config; /* its limits count at any time */
    const char *text_protocol;   /* of connections that speak in text frames */
    const char *binary_protocol; /* and in binary ones */
    const struct ws_events *events;
};

/* Strings and events are borrowed for the server's life. */
int ws_server_new(
    struct ws_server **ret_server, struct ev_loop *loop, const struct ws_options *options);
/* Closes what is open, without a word to the peers; each owner hears on_closed. */
void ws_server_free(struct ws_server *server);

/* A handshake that was accepted. */
struct ws_upgrade {
    int fd;
    struct span key;
    bool binary; /* which of the protocols was agreed on */
    void *owner;
};

/*
 * Takes the socket over in any case and answers the handshake. On success the connection is open,
 * and the owner's until on_closed. Not to be called from ws_events.
 */
int ws_server_adopt(struct ws_connection **ret_connection, struct ws_server *server,
    const struct ws_upgrade *upgrade);

/*
 * Frames go out at the end of the loop's turn, all that wait for the socket with one call of the
 * kernel. `flush` is not to be called from ws_events. `close` sends what on_gather still gives,
 * then a Close frame with code and reason (at most 123 bytes of it); a peer that does not read is
 * cut off after a while.
 */
struct carrier *ws_connection_carrier(struct ws_connection *connection);
