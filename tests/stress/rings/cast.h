/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cast of a round: one reader and a few writers, started, hurt and replaced. A writer's number
 * is never used twice in a round.
 */
#pragma once

#include "children.h"

#define CAST_WRITERS 6
#define CAST_SIZE (1 + CAST_WRITERS)

struct cast_counts {
    uint64_t deaths; /* by SIGKILL, all of them */
    uint64_t reader_deaths;
    uint64_t stops;
    uint64_t failures; /* helpers that ended by themselves */
    uint64_t stuck;    /* … because nothing moved */
    uint64_t *at_step; /* deaths by step, STEP_COUNT and one for `any` */
};

struct cast {
    const char *helper;
    const char *directory;
    uint64_t random;
    uint64_t seed;
    struct cast_counts *counts;
    int ack_fd;
    int keep_fd;
    uint32_t next_writer;
    bool writing;  /* dead writers are replaced */
    bool reading;  /* a dead reader is replaced */
    bool finished; /* the last reader found everything done */
    int64_t next_blow;
    struct child children[CAST_SIZE]; /* the reader first */
};

/* Starts who is missing, wakes and kills whose time has come, deals a blow, reaps. */
void cast_turn(struct cast *cast);
void cast_kill_all(struct cast *cast);
void cast_kill_writers(struct cast *cast);
/* A reader that nobody kills and that ends once nothing is left. */
void cast_start_finisher(struct cast *cast);
bool cast_has_reader(const struct cast *cast);
bool cast_has_writers(const struct cast *cast);
/* More numbers to give to writers. */
bool cast_has_numbers(const struct cast *cast);
