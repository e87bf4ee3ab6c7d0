/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "delivery/reads.h"
#include "dispatch/dispatch.h"
#include "intake/drain.h"

#define GATEWAY_PORT_STALLED                                                                       \
    "the node cannot write its history now (is the disk full?); try again later"

/* Where gateways and the shell's clients are connected: they ask for users' streams and runs. */
struct gateway_port {
    struct users *users; /* borrowed, as all here */
    struct router *router;
    struct reads *reads;
    struct drain *drain;
    struct dispatch *dispatch;
    struct history *history;
    struct effects *effects;
    struct counters *counters;
    bool stalled; /* history takes nothing in: requests that need it are refused meanwhile */
    struct buffer scratch;
};

/* A router's on_watch; the context is the drain. */
void gateway_port_watch(void *context, const struct user *user);
/* The links' view of this port for a role; `port` is borrowed. */
struct link_port gateway_port_link(struct gateway_port *port, const char *role);
