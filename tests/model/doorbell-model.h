/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of the doorbell: common/ring/doorbell.c with the bits of both levels, `sleeping` and
 * the FIFO, writers that may die between any two steps and a reader that may.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "checker.h"

#define BELL_RINGS 3
#define BELL_WORDS 2 /* rings 0 and 1 share a word */
#define BELL_WRITERS 3
#define BELL_EMITS 3

enum bell_variant {
    BELL_SOUND,
    BELL_NO_SECOND_LOOK,   /* asleep without looking again */
    BELL_WORD_BEFORE_RING, /* the writer sets the word's bit first */
    BELL_RINGS_TAKEN_FIRST,
    BELL_SLEEPING_FIRST,   /* the writer looks at `sleeping` before it sets the bits */
    BELL_NOT_MARKED_AGAIN, /* what the budget left is forgotten */
    BELL_SILENT_DEATH,     /* the reaper does not ring for the dead */
};

struct bell_bounds {
    uint8_t writers;
    uint8_t writer_deaths;
    uint8_t reader_deaths;
    uint8_t rings[BELL_WRITERS][BELL_EMITS]; /* 1 + the ring each emit goes to, 0: no more */
};

struct bell_check {
    const char *name;
    const struct bell_bounds *bounds;
    enum bell_variant variant;
};

/* The check is borrowed by the model. */
struct model bell_model(const struct bell_check *check);
