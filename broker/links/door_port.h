/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "links/link.h"

#include "config/config.h"

/*
 * The door for gateways of other machines, at broker.gateway_address: a control socket that gives
 * links to gateways and answers nothing else. Who may ask is decided by TLS: both sides show a
 * certificate that the other's authority signed.
 */
struct door_port;

struct door_port_options {
    struct ev_loop *loop;
    const struct config *config;
    const char *broker_id;
    struct links *links;
    struct counters *counters;
    struct nng_tls_config *tls; /* NULL with tcp:// */
};

/*
 * Reads the address and the files that the configuration names. *ret_tls is NULL with tcp://, and
 * ret_url->port 0 when there is to be no door. -errno after saying on the log what is wrong. The
 * address borrows from `config`.
 */
int door_port_configure(
    struct wire_url *ret_url, struct nng_tls_config **ret_tls, const struct config *config);
/* Everything is borrowed, but for `tls`, which is the port's when this succeeds. -errno. */
int door_port_new(struct door_port **ret_port, const struct door_port_options *options);
/*
 * Reads the files that the configuration names again: who comes from now on is shown the new
 * certificate, and links that are there stay. What cannot be used changes nothing, and is said on
 * the log.
 */
void door_port_renew(struct door_port *port);
