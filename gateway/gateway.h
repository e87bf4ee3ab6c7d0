/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "drain_pace.h"
#include "forwarded.h"
#include "http_server.h"
#include "http_stream.h"
#include "session.h"
#include "ws_server.h"

#include "base/paths.h"
#include "base/spin.h"

/* The lists of addresses in the configuration. */
struct address_lists {
    struct networks proxies;   /* gateway.trusted_proxies */
    struct networks unlimited; /* gateway.unlimited_addresses */
};

/* One gateway: all its parts, made in order and torn down in the opposite one. */
struct gateway {
    struct ev_loop *loop;
    struct spin spin; /* for events before the loop sleeps */
    bool leaving;     /* gateway_run is to return */
    const struct config *config;
    struct config *changing_config; /* the same one, for reload.c alone */
    enum config_action (*read_config)(struct config *ret_config);
    struct counters counters;
    struct auth *auth;
    struct brokers *brokers;
    struct fanout fanout;
    struct session_host host;
    struct quotas users;
    struct quotas addresses;
    struct address_lists lists;
    struct ws_server *sockets;
    struct http_streams *streams;
    struct tls_keys *keys;
    struct http_server *http;
    char run_dir[PATHS_MAX];
    char control_url[600];
    int port_claim; /* see port_claim.h; kept until the process ends */
    char name[64];
    uint64_t started_at; /* monotonic milliseconds */
    bool announced;      /* "ready PORT" was written */

    bool draining;
    bool for_good; /* told to leave and not to be started again */
    uint64_t drain_started_at;
    struct drain_pace drain_pace;
    bool drained; /* the last step found nobody left */

    ev_timer tick;
    uint64_t ticks;
    ev_timer drain_step;
    ev_signal on_term;
    ev_signal on_int;
    ev_signal on_hup;
};

/*
 * Makes the parts: keys, link, sockets, listener. -errno after saying on the log what is wrong.
 * `gateway` is zeroed memory of the caller's; `config` is borrowed, and changed when HUP has
 * `read_config` read it again.
 */
int gateway_init(struct gateway *gateway, struct config *config,
    enum config_action (*read_config)(struct config *ret_config));
/* Runs until it was told to leave and the last connection is gone. */
void gateway_run(struct gateway *gateway);
/* Takes half-made gateways. The link to the broker is left to the end of the process. */
void gateway_deinit(struct gateway *gateway);

/* Sends the clients away, spread over the configured window, then ends gateway_run (drain.c). */
void gateway_drain(struct gateway *gateway);
/* Ends gateway_run, with whoever is still connected. */
void gateway_leave(struct gateway *gateway);
void gateway_drain_init(struct gateway *gateway);
/* Takes over what has changed in configuration and key files, or nothing (reload.c). */
void gateway_reload(struct gateway *gateway);

/* Answers one HTTP request, or makes a session of it (front.c); an http_server_events callback. */
void front_handle_request(
    void *context, struct http_exchange *exchange, const struct http_request *request);
void front_handle_gone(void *context, void *owner);
