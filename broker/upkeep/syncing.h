/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "intake/drain.h"

#include <ev.h>

/*
 * The sync of the history by the clock. The disk is waited for by a thread of the history's, so the
 * loop goes on; an eventfd tells it that the sync is through. One at a time: a tick that finds one
 * under way does nothing.
 */
struct syncing_options {
    struct ev_loop *loop; /* borrowed, as all here */
    struct history *history;
    struct drain *drain;
    uint64_t interval_ms;
};

struct syncing {
    struct syncing_options options;
    ev_timer timer;
    ev_io through;
    int fd; /* -1: not started */
    bool under_way;
};

#define SYNCING_INIT                                                                               \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* -errno: there is no eventfd to be had. */
int syncing_start(struct syncing *syncing, const struct syncing_options *options);
/* After the history was closed: until then its thread may write to the eventfd. */
void syncing_stop(struct syncing *syncing);
