/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway without clients: attaches to a broker as a gateway does, opens users' streams, reads
 * pages, grants credit, and looks at when live events were written.
 */
#pragma once

#include <ev.h>

#include "bench.h"
#include "history/history.h"
#include "wire/attachment.h"

#define CLIENT_SAMPLES 1000000u

/* A user's place in its stream, as a client keeps it. */
struct cursor {
    char user[32];
    char epoch[HISTORY_EPOCH_SIZE];
    uint64_t head;  /* when it was learnt */
    uint64_t after; /* read so far */
    int64_t begun_ns;
    int64_t done_ns;
};

struct client {
    struct ev_loop *loop;
    struct attachment *attachment;
    char url[256];
    struct cursor *cursors; /* borrowed; a request's number is an index into them, and 1 */
    bool resuming;          /* cursors are read to their ends, not learnt */
    size_t done;            /* cursors, in this pass */
    uint64_t processed;     /* bytes of live events not yet given back as credit */
    bool recording;
    double *live_us; /* how old live events were when they came */
    size_t live_count;
};

/* Attaches to the broker of `<page->scratch>/<number>`; ready when it returns. It is never taken
 * down, since closing sockets of this nng may take for ever: a client that is done with is left
 * alone until the process ends. */
void client_up(struct client *client, const struct bench_page *page, unsigned number);

/* Learns epoch and head of each user that a cursor names. `stay`: and stays subscribed. */
void client_learn(struct client *client, struct cursor *cursors, size_t count, bool stay);
/* All cursors at once: opens each `behind` events behind its head and reads to the head. */
void client_resume(struct client *client, struct cursor *cursors, size_t count, uint64_t behind);
/* Takes live events for so long. */
void client_listen(struct client *client, double seconds);
/* From here on the ages of live events are kept, or not. */
void client_record(struct client *client, bool recording);
