/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "address.h"
#include "counters.h"
#include "http.h"
#include "tls_keys.h"

#include "config/config.h"

#include <ev.h>

/*
 * The listening socket and everything that happens on a connection before it is a WebSocket: the
 * request's head is read here, and either answered and closed, or the socket is handed on. Loop
 * thread only.
 */
struct http_server;
/* One request and its socket. It lives until it is answered, handed on or given up. */
struct http_exchange;

struct http_server_events {
    /*
     * A request. Answer it now or later with http_exchange_respond, or take its socket. `request`
     * and its spans are valid during the call.
     */
    void (*on_request)(
        void *context, struct http_exchange *exchange, const struct http_request *request);
    /* An exchange with an owner is given up (peer gone, time over): the owner forgets it. */
    void (*on_gone)(void *context, void *owner);
};

struct http_server_options {
    const char *host;            /* empty: every address of this machine */
    uint16_t port;               /* 0: any free one */
    const struct config *config; /* its limits count at any time */
    const struct tls_keys *keys; /* without a current one: plain HTTP */
    struct counters *counters;
    const struct http_server_events *events;
    void *context;
};

/*
 * Listens with SO_REUSEPORT, so that gateways can share a port. Pointers are borrowed
 * for the server's life. -EADDRINUSE, -EACCES, -EINVAL when the host is no address of this machine.
 */
int http_server_new(struct http_server **ret_server, struct ev_loop *loop,
    const struct http_server_options *options);
void http_server_free(struct http_server *server);
/* Whether answers are still on their way to clients after their sockets were closed. */
bool http_server_is_flushing(const struct http_server *server);
/* The port that is really bound. */
uint16_t http_server_port(const struct http_server *server);

/* Who the socket is connected with. */
struct address http_exchange_peer(const struct http_exchange *exchange);
/* Sends the answer and closes; the exchange belongs to the server again. */
void http_exchange_respond(struct http_exchange *exchange, const struct http_response *response);
/* Keeps the exchange for an answer later; `owner` is told should it be given up before. */
void http_exchange_hold(struct http_exchange *exchange, void *owner);
/* The socket is the caller's, at the first byte behind the head; the exchange is gone. */
int http_exchange_take_socket(struct http_exchange *exchange);
