/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <ev.h>

/*
 * The broker's own HTTP: GET /metrics, /health/live and /health/ready, for whoever watches it.
 * libmicrohttpd on the broker's loop, without a thread: a request is answered between two turns.
 * Bounds: METRICS_CONNECTIONS at once, further ones wait until one of them is closed, in the
 * kernel, which keeps a few; METRICS_SECONDS of silence close one.
 */
#define METRICS_CONNECTIONS 16
#define METRICS_SECONDS 5

struct metrics_port;

struct metrics_port_options {
    struct ev_loop *loop;
    const char *host; /* an address, v4 or v6 */
    unsigned port;    /* 0: any free one */
    void (*append)(const void *context, struct buffer *out);
    /* NULL, or why the broker is not ready. Static. */
    const char *(*unready)(const void *context);
    const void *context;
};

/* Everything is borrowed. -EINVAL: `host` is no address; -EADDRINUSE, -EACCES, … */
int metrics_port_new(struct metrics_port **ret_port, const struct metrics_port_options *options);
void metrics_port_free(struct metrics_port *port);
/* What it listens on. */
unsigned metrics_port_number(const struct metrics_port *port);
