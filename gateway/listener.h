/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The listening socket: where, and whether others may have it too. */

/*
 * `host`: a name or an address; empty or "::" for every address of this machine, of IPv6 and of
 * IPv4 in one socket, or of IPv4 alone where there is no other. `port` 0: any free one. `shared`:
 * gateways can share the port (SO_REUSEPORT). A descriptor, -EADDRINUSE, -EACCES, -EINVAL when the
 * host is no address of this machine.
 */
int listener_open(const char *host, uint16_t port, bool shared);
/* 0 when nobody listens there, whether or not they would share; otherwise as listener_open. */
int listener_probe(const char *host, uint16_t port);
/* The port that is really bound. */
uint16_t listener_port(int fd);
