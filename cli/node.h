/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "programs.h"

#include "config/config.h"

#include <ev.h>

/*
 * The processes of a node, as `ringside up` runs them: the broker, then workers, then gateways.
 *
 *   starting  group by group; the next one begins when all of this one have said ready. A child
 *             that ends before it was ready, or is not ready in time, ends the start.
 *   running   a child that ends is started again (backoff.h), unless it was drained: EXIT_DRAINED.
 *             The broker that is started again is the program that ran, whatever is installed by
 *             then; node_upgrade changes it.
 *   stopping  gateways, workers, broker: TERM, and KILL for what is left after its time.
 *
 * Loop thread only, on the default loop.
 */
struct node;

struct node_plan {
    const struct config *config;     /* borrowed */
    const struct programs *programs; /* borrowed */
    unsigned workers;
    unsigned gateways;
};

struct node_events {
    /* A group is up: "broker", "workers", "gateways". */
    void (*on_phase)(void *context, const char *group, unsigned count, uint64_t took_ms);
    /* All are up. `port` is what the gateways listen on, 0 without gateways. */
    void (*on_running)(void *context, unsigned port);
    /* The start came to nothing; what was started is being stopped. */
    void (*on_failed)(void *context, const char *reason);
    /* What became of node_upgrade, in a sentence. */
    void (*on_upgraded)(void *context, bool done, const char *text);
    /* No process is left. */
    void (*on_stopped)(void *context);
};

/* Starts at once. -ENOMEM. */
int node_new(struct node **ret_node, struct ev_loop *loop, const struct node_plan *plan,
    const struct node_events *events, void *context);
/* What its broker serves metrics on; 0: nowhere. */
unsigned node_metrics_port(const struct node *node);
/* All its processes must have ended. */
void node_free(struct node *node);
/*
 * Starts the broker that is installed now, to take over from the one that runs (docs/upgrade.md).
 * When it ends before it was ready, the one that ran goes on, or is started again.
 */
void node_upgrade(struct node *node);
/* Begins to stop; when it is stopping already, kills what is left. */
void node_stop(struct node *node);
