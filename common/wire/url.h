/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdint.h>

/* Addresses of links and control sockets: "ipc:///PATH", "tls+tcp://HOST:PORT", "tcp://HOST:PORT".
 * Pure. */
#define WIRE_URL_SIZE 600

enum wire_scheme {
    WIRE_SCHEME_IPC,
    WIRE_SCHEME_TLS,
    WIRE_SCHEME_TCP,
};

struct wire_url {
    enum wire_scheme scheme;
    struct span host; /* with its brackets, if it has some; empty with IPC */
    uint16_t port;
};

/*
 * NULL, or what is wrong with the address. `plain`: tcp:// may lead to another machine, which is
 * neither encrypted nor authenticated; otherwise only to this one (127.x.x.x, [::1], localhost).
 */
const char *wire_url_problem(struct span url, bool plain);
/* False unless wire_url_problem finds nothing with `plain`. The host is borrowed from `url`. */
bool wire_url_parse(struct wire_url *ret_url, struct span url);
/* The same scheme, another host and port. -ENAMETOOLONG. */
int wire_url_format(char ret_text[WIRE_URL_SIZE], const struct wire_url *url);
