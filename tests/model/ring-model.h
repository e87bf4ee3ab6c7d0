/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of one ring: its state, and what its parts share. Every step takes at most one look at
 * or makes one change to shared words, as the code does; what is private goes with it. All is
 * sequentially consistent here: what the orders of the code allow beyond that is relacy/'s.
 *
 * A process may die before each of its steps. A dead writer is reaped by the reader, then another
 * one gets its owner id; a dead reader is replaced.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "checker.h"
#include "ring-state.h"

enum variant {
    VARIANT_NONE,
    VARIANT_GENERATION_FIRST, /* and the entry not retired before the slots are looked at */
    VARIANT_FREED_BEFORE_STAMPS,
    VARIANT_HELP_WITHOUT_LAP,
    VARIANT_NO_HELP,
    VARIANT_NO_HAZARD_WAIT,
    VARIANT_TAKEN_ON_TIMEOUT,
    VARIANT_SILENT_PADDING,
    VARIANT_SILENT_REAPER,
    VARIANT_OWNER_FREED_FIRST,
    VARIANT_CLOSE_BY_STORE,
    VARIANT_STALE_TAIL_IS_FULL,
    VARIANT_UNPAID_WAIT,
};

struct ring_bounds {
    uint8_t writers;
    uint8_t start; /* where the ring's positions stand at first */
    uint8_t writer_deaths;
    uint8_t reader_deaths;
    uint8_t reclaims;
    uint8_t lengths[RING_WRITERS][RING_EMITS]; /* of the records, units; 0: no more */
    bool batch;                                /* writers ring once, after their last record */
    uint8_t users[RING_WRITERS];               /* whom a writer writes for, 1 or 2 */
};

/* One step being taken. */
struct ring_run {
    struct ring_state s;
    const struct ring_bounds *bounds;
    enum variant variant;
    const char *what;
    const char *fault;
};

static inline uint8_t ring_lap(uint8_t position, uint8_t base_lap)
{
    return (uint8_t)(position / RING_CAPACITY - base_lap);
}

static inline struct control *ring_control(struct ring_run *run, uint8_t position)
{
    return &run->s.control[position % RING_CAPACITY];
}

static inline bool ring_cas(struct control *word, struct control expected, struct control desired)
{
    bool won = control_is(*word, expected);

    if (won)
        *word = desired;
    return won;
}

static inline uint8_t message_length(const struct ring_run *run, unsigned message)
{
    return run->bounds->lengths[message / RING_EMITS][message % RING_EMITS];
}

/* False: it cannot take a step now. */
bool writer_step(struct ring_run *run, unsigned index);
bool writer_is_done(const struct ring_run *run, unsigned index);
/* As far as its process is concerned: what it was about is forgotten, what it wrote stays. */
void writer_die(struct ring_run *run, unsigned index);
/* Another process gets the owner id and does what is left of the writer's messages. */
void writer_replace(struct ring_run *run, unsigned index);

/* The reader has several things it may do next: `choice` counts them. */
#define READER_CHOICES 3
bool reader_step(struct ring_run *run, unsigned choice);
void reader_die(struct ring_run *run);

struct ring_check {
    const char *name;
    const struct ring_bounds *bounds;
    enum variant variant;
    const char *fault; /* as which the variant must be caught, or how that begins */
};

/* The check is borrowed by the model. */
struct model ring_model(const struct ring_check *check);
