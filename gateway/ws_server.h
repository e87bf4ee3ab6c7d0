/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

#include <ev.h>

/*
 * WebSocket connections, by libwebsockets, which no other file knows. It is given sockets whose
 * handshake was accepted already and moves bytes; what they mean is the owner's. Frames are made
 * by the owner, header included, and written many at a time. Loop thread only.
 */
struct ws_server;
struct ws_connection;

struct ws_events {
    /* One whole text message. */
    void (*on_text)(void *owner, struct span text);
    /* The peer said something: a message, a part of one, a pong. */
    void (*on_heard)(void *owner);
    /* The socket has room: append whole frames, about `want` bytes of them. */
    void (*on_writable)(void *owner, struct buffer *out, size_t want);
    /* The peer broke the rules of this layer; the owner closes with `code` as it sees fit. */
    void (*on_violation)(void *owner, int code, const char *reason);
    /* The connection is gone; the last call for this owner. */
    void (*on_closed)(void *owner);
};

struct ws_options {
    size_t max_message; /* bytes; more is a violation with 1009 */
    const char *protocol;
    const struct ws_events *events;
};

/* Strings and events are borrowed for the server's life. */
int ws_server_new(
    struct ws_server **ret_server, struct ev_loop *loop, const struct ws_options *options);
/* Closes what is open, without a word to the peers; each owner hears on_closed. */
void ws_server_free(struct ws_server *server);

/*
 * Takes the socket over in any case and answers the handshake with this key. On success the
 * connection is open, and the owner's until on_closed. Not to be called from ws_events.
 */
int ws_server_adopt(struct ws_connection **ret_connection, struct ws_server *server, int fd,
    struct span key, void *owner);

/* There is something to send: on_writable will be called. Cheap when asked for already. */
void ws_connection_wake(struct ws_connection *connection);
/*
 * Calls on_writable at once, to make room. False when the socket is full. Not to be called from
 * ws_events.
 */
bool ws_connection_flush(struct ws_connection *connection);
/*
 * Sends what on_writable still gives, then a Close frame with code and reason (at most 123 bytes
 * of it), then closes. A peer that does not read is cut off after a while. Repeated calls do
 * nothing; no message is delivered any more.
 */
void ws_connection_close(struct ws_connection *connection, int code, const char *reason);
