/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "batch/rings.h"
#include "batch/run.h"
#include "runs/pool.h"

/*
 * One run of an agent for its author's sake: started as a worker starts it, done something to at
 * its time, watched to the end of its process. What is seen are facts; what to make of them is
 * check.c's.
 */
#define CHECK_USER "check"
#define CHECK_WORD_SIZE 256

/* Where runs are done: one at a time. */
struct check_stage {
    struct ev_loop *loop;
    struct batch_rings rings;
    struct engine_limits limits; /* a worker's */
    struct span content;         /* what agents are asked, JSON; borrowed */
    uint64_t timeout_ms;         /* the longest a run may take */
};

enum check_act {
    CHECK_WATCH,
    CHECK_CANCEL,
    CHECK_KILL, /* the agent's process, as the kernel would for want of memory */
    CHECK_HOLD, /* its user's ring is full and nobody reads it, for CHECK_HOLD_MS and longer */
};

#define CHECK_HOLD_MS 300

struct check_plan {
    struct pool *pool;
    enum check_act act;
    uint64_t after_ms; /* from agent_started; of CHECK_HOLD how much longer than CHECK_HOLD_MS */
    bool at_start;     /* instead: before the agent can have read what it is asked */
};

struct check_facts {
    struct batch_run *run;          /* how it ended, in which code, what it said; owned */
    bool started;                   /* agent_started was emitted */
    uint64_t start_ms;              /* from the start of the process, or from asking it, to there */
    uint64_t run_ms;                /* from there to the last event */
    bool acted;                     /* the run was still open when it was done something to */
    uint64_t act_ms;                /* from agent_started to that */
    uint64_t to_end_ms;             /* from that to the last event */
    unsigned tools;                 /* calls that were begun */
    char bad_tool[CHECK_WORD_SIZE]; /* the first that went wrong, and how; "" */
    bool spoke_late;
    bool second_hand;
    bool given_back;           /* its process waits for another run */
    enum process_stop end_at;  /* how firmly it was asked to leave when its run ended */
    enum process_stop left_at; /* and when it left */
    char exit[CHECK_WORD_SIZE];
    size_t unread;   /* bytes that waited in its stdout at the end of CHECK_HOLD */
    unsigned strays; /* processes of it that lived on without it; they are ended */
};

/* Sets up the rings. -errno after saying why on the log; check_stage_deinit in any case. */
int check_stage_init(struct check_stage *stage, const struct config *config);
void check_stage_deinit(struct check_stage *stage);
/* Does the run. -ENOMEM; else 0, and *ret_facts is the caller's until check_facts_deinit. */
int check_run(
    struct check_facts *ret_facts, struct check_stage *stage, const struct check_plan *plan);
void check_facts_deinit(struct check_facts *facts);
