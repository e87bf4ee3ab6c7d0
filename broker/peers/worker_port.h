/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dispatch/lease.h"

/* Where workers are connected. */
struct worker_port {
    struct workers *workers; /* borrowed, as all here */
    struct dispatch *dispatch;
    struct processes *processes;
    struct farewell *farewell;
    struct leases *leases;
};

/* The links' view of this port; `port` is borrowed. */
struct link_port worker_port_link(struct worker_port *port);
