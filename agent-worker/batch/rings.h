/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"
#include "event/event.h"

#include <ringside.h>

/*
 * Rings for a process that reads what it emits itself. The arena loses its name as soon as it is
 * made: nobody else can attach, and it is gone with the process however that ends. Loop thread
 * only.
 */
struct batch_rings {
    rs_emitter *emitter; /* has the arena with it; emits without waiting */
    struct arena *arena;
    struct ring_reader *reader;
    struct buffer copy; /* the record in hand */
    uint64_t damaged;   /* rings that could not be read on */
};

typedef void (*batch_event_fn)(void *context, const struct event *event);

/* -errno after saying on the log what is wrong; deinitialised in any case by batch_rings_deinit. */
int batch_rings_init(struct batch_rings *rings, const struct config *config);
/* Every run of the emitter must be freed before. */
void batch_rings_deinit(struct batch_rings *rings);
/*
 * Hands out everything that was emitted, each user's events in order. An event names its run and
 * what it is about; thread, request and agent stand on the first one only.
 */
void batch_rings_drain(struct batch_rings *rings, batch_event_fn take, void *context);
/* Once a second: gives back the memory of users with nothing written for a while. */
void batch_rings_reclaim(struct batch_rings *rings, uint64_t now_ms);
