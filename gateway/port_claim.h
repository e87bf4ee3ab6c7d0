/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * Gateways of one node share a port, those of different nodes must not: the kernel would deal
 * connections to either, and half of a page's requests would reach a stranger's node. A lock file
 * in the node's run directory tells them apart: whoever holds it alone makes sure that nobody else
 * listens, and then shares it with its node's other gateways.
 *
 * Waits while another gateway of the node is just doing that. Returns a descriptor to keep open
 * for as long as the port is served; -EADDRINUSE when somebody outside the node has the port,
 * otherwise as listener_probe, or -errno of the file. Port 0 needs no claim and is not to be
 * passed.
 */
int port_claim(const char *run_dir, const char *host, uint16_t port);
