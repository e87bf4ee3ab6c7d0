/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/region.h"
#include "delivery/delivery.h"
#include "intake/drain.h"
#include "intake/pacing.h"

/* What drain.c and drain_upkeep.c share, and nobody else. */
struct ring_state {
    struct user *user; /* of this generation; NULL: not looked up yet */
    uint64_t generation;
    uint64_t appended;     /* history has everything before it, from an earlier broker's life */
    uint64_t drained;      /* taken in this turn, up to here */
    uint64_t released;     /* given back, not yet said to be durable; 0: nothing */
    uint64_t durable_next; /* in `syncing`: durable up to here once the sync is through */
    struct delivery *undelivered; /* NULL: nothing is, or nobody remembers */
    uint64_t stuck_at : 61;       /* 1 + the position of the open claim that was told of */
    bool touched : 1;             /* in `touched` */
    bool unsynced : 1;            /* in `unsynced` */
    bool syncing : 1;             /* in `syncing` */
};

_Static_assert(sizeof(struct ring_state) == 64, "one cache line a ring, where they are many");

/* Kept for who needs one next, once it was forgotten. */
union drain_marks {
    struct delivery delivery;
    union drain_marks *next;
};

struct ring_list {
    uint32_t *rings;
    size_t count; /* never more than there are rings */
};

struct drain {
    struct drain_options options;
    struct ring_reader *reader;
    struct ring_state *states;
    struct region marks; /* union drain_marks */
    union drain_marks *spare;
    struct ring_list news;
    struct ring_list touched;
    struct ring_list unsynced; /* released since the last sync began */
    struct ring_list syncing;  /* released before it, and not said to be durable */
    struct buffer copy;        /* a record, out of reach of its writer */
    size_t batch_bytes;        /* taken in since the last commit */
    uint64_t written_before;   /* that commit: counters.events_written */
    uint32_t first; /* the ring that a full batch had no room for: served first next time */
    struct pacing pacing;
    size_t taken; /* in this turn */
};

/* While the ring in this place of the news is served: gets the next ones' lines under way. */
void drain_fetch(const struct drain *drain, size_t place);
/* The same for what the position of the ring in this place of those touched will need. */
void drain_fetch_position(const struct drain *drain, size_t place);
/* While the ring in this place of those touched is given back: the same for the next ones. */
void drain_fetch_touched(const struct drain *drain, size_t place);
