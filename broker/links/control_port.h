/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "links/link.h"

/*
 * The control socket: one request, one reply. Processes ask here for a link, people for the state
 * of the node. A watch sends itself a request now and then, because one aborted connection at the
 * wrong moment stops an ipc listener of this nng for good; a deaf listener is made anew.
 */
struct control_port;

/* Why a query was not answered. Static texts. */
struct control_refusal {
    const char *code;
    const char *message;
};

struct control_port_options {
    struct ev_loop *loop;
    const char *run_dir;
    const char *broker_id;
    struct links *links;
    /* Appends the JSON that answers the query, or returns false and says why it does not. */
    bool (*answer)(void *context, struct span what, struct span argument, struct buffer *out,
        struct control_refusal *ret_refusal);
    void *context;
};

/* Everything is borrowed. -EADDRINUSE, -ENAMETOOLONG, … */
int control_port_new(struct control_port **ret_port, const struct control_port_options *options);
