/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dispatch.h"
#include "drain.h"

/* Where workers are connected. */
struct worker_port {
    struct workers *workers; /* borrowed, as all here */
    struct dispatch *dispatch;
    struct processes *processes;
    struct drain *drain;
    bool pending; /* a list or a release waits for the next turn */
};

/*
 * What workers said about their runs is acted on here, in the turn, when all they had emitted
 * before has been drained.
 */
void worker_port_turn(struct worker_port *port);

/* The links' view of this port; `port` is borrowed. */
struct link_port worker_port_link(struct worker_port *port);
