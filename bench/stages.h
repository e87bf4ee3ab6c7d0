/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each stage of the pipeline costs. The steps of one turn are timed around the broker's own
 * calls. The stages within its drain are too short for a clock between them, so they are repeated
 * beside it, on the same records and with the same functions, one stage for STAGES_CHUNK records
 * and then the next, into a history and a router of their own.
 */
#pragma once

#include "load.h"
#include "node.h"

#define STAGES_CHUNK 128

enum stage {
    STAGE_READ,      /* ring_reader_next, and the copy out of reach of the writer */
    STAGE_DECODE,    /* the envelope */
    STAGE_JSON,      /* is the payload a JSON object? */
    STAGE_LIFECYCLE, /* find the run; is the event legal? apply it */
    STAGE_ENCODE,    /* the number, and the bytes that are kept and sent, staged */
    STAGE_NOTE,      /* router_note */
    STAGE_DRAIN,     /* all of these, as the broker does them */
    STAGE_COMMIT,    /* history_commit */
    STAGE_RELEASE,   /* ring space back, effects */
    STAGE_ROUTE,     /* router_flush and pages */
    STAGE_COUNT,
};

struct stages {
    struct node *node;
    struct history *history;
    struct users users;
    struct router router;
    struct listener *listener;
    struct counters counters;
    struct buffer copies[STAGES_CHUNK];
    struct event events[STAGES_CHUNK];
    struct run *runs[STAGES_CHUNK];
    struct span encoded[STAGES_CHUNK];
    size_t count; /* in the chunk */
    double ns[STAGE_COUNT];
    uint64_t measured; /* events */
};

void stages_up(struct stages *stages, struct node *node, const char *directory);
/* Gives the cost of each stage per event. */
void stages_down(struct stages *stages, double ret_ns[STAGE_COUNT]);
/* What lies in the rings of the load's users goes through the copies of the stages, and then
 * through the broker, step by step, until it has `events` events in all. */
void stages_measure(struct stages *stages, const struct load *load, uint64_t events);
