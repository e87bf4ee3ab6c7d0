/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of a user's rings, one after the other: a full one is closed and the next goes on. What
 * happens within a ring is the ring model's; here a claim is one unit, its place in a ring is never
 * used again, and giving back is one step.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "checker.h"

#define GROW_RINGS 3
#define GROW_WRITERS 3
#define GROW_EMITS 3
#define GROW_PLACES 6 /* claims a ring can have in all */

enum grow_variant {
    GROW_SOUND,
    GROW_WITHOUT_HELP,   /* the last claim is left without header when the tail is closed */
    GROW_SILENT_END,     /* a finished ring does not mark the next */
    GROW_MARKED_ONCE,    /* it does so only to the first who sees it finished, at a drain's end */
    GROW_OUT_OF_TURN,    /* a ring is drained before those in front of it are at their end */
    GROW_PUNCHED_UNSEEN, /* memory given back without a look at the slots */
    GROW_READ_AFTER_END, /* a new reader looks into a ring that was at its end */
};

struct grow_bounds {
    uint8_t writers;
    uint8_t emits[GROW_WRITERS];
    uint8_t room[GROW_RINGS]; /* claims at once */
    uint8_t writer_deaths;
    uint8_t reader_deaths;
    uint8_t punches; /* attempts to give memory back */
};

struct grow_check {
    const char *name;
    const struct grow_bounds *bounds;
    enum grow_variant variant;
    const char *fault; /* as which the variant must be caught, or how that begins */
};

enum grow_kind { GROW_FREE, GROW_BUSY, GROW_COMMITTED, GROW_DISCARDED };

struct grow_control {
    uint8_t kind;
    uint8_t owner;   /* 1 + writer */
    uint8_t message; /* 1 + writer * GROW_EMITS + emit */
};

struct grow_tail {
    uint8_t position;
    uint8_t owner; /* of the last claim; 0: none, or closed */
    uint8_t closed;
};

struct grow_ring {
    struct grow_tail tail;
    uint8_t consumed; /* and freed */
    uint8_t bell;
    uint8_t punched; /* its memory is gone */
    struct grow_control control[GROW_PLACES];
};

struct grow_writer {
    uint8_t at;
    uint8_t dead;
    uint8_t emit;
    uint8_t current_ring; /* ring + 1 */
    uint8_t ring;         /* the lease */
    struct grow_tail seen;
};

/* What the reader knows of a ring. */
struct grow_view {
    uint8_t open;
    uint8_t cursor;
    uint8_t finished;
    uint8_t punched;
};

struct grow_reader {
    uint8_t at;
    uint8_t ring;  /* being drained, reaped or punched */
    uint8_t index; /* a ring before it, or a writer */
    struct grow_tail tail;
    struct grow_view views[GROW_RINGS];
};

struct grow_state {
    struct grow_ring rings[GROW_RINGS];
    struct grow_writer writers[GROW_WRITERS];
    struct grow_reader reader;
    /* what an observer knows; bits of messages */
    uint8_t committed[2];
    uint8_t delivered[2];
    uint8_t by_reader[2];
    uint8_t last; /* delivered: ring and place */
    uint8_t writer_deaths_left;
    uint8_t reader_deaths_left;
    uint8_t punches_left;
};

/* One step being taken. */
struct grow_run {
    struct grow_state s;
    const struct grow_bounds *bounds;
    enum grow_variant variant;
    const char *what;
    const char *fault;
};

static inline bool grow_tail_is(struct grow_tail a, struct grow_tail b)
{
    return a.position == b.position && a.owner == b.owner && a.closed == b.closed;
}

/* A control word, which must still have memory. */
static inline struct grow_control *grow_control(struct grow_run *run, uint8_t ring, uint8_t place)
{
    if (run->s.rings[ring].punched)
        run->fault = "memory is looked at that was given back";
    return &run->s.rings[ring].control[place];
}

static inline bool grow_has(const uint8_t *set, unsigned message)
{
    return set[message / 8] >> message % 8 & 1;
}

static inline void grow_add(uint8_t *set, unsigned message)
{
    set[message / 8] |= (uint8_t)(1u << message % 8);
}

/* False: it cannot take a step now. */
bool grow_writer_step(struct grow_run *run, unsigned index);
bool grow_writer_is_done(const struct grow_run *run, unsigned index);
void grow_writer_turn(struct grow_run *run, unsigned index);

/* What the reader may do next, counted by `choice`. */
#define GROW_CHOICES (2 * GROW_RINGS)
bool grow_reader_step(struct grow_run *run, unsigned choice);

/* The check is borrowed by the model. */
struct model grow_model(const struct grow_check *check);
