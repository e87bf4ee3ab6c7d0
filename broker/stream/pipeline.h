/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "delivery/router.h"
#include "metrics/counters.h"
#include "queue/queue.h"
#include "runs/holders.h"
#include "runs/interrupt_past.h"
#include "runs/user.h"

/*
 * The one way into a user's stream:
 *
 *   lifecycle (is it legal?) -> sequencer (its number) -> history (kept) -> router (who has it?)
 *
 * An event is validated before it is numbered, so that a refused one leaves no hole, and routed
 * only after the turn's commit. Everything the broker writes itself comes the same way.
 */
struct pipeline {
    struct history *history; /* borrowed, as all here */
    struct router *router;
    struct counters *counters;
    uint64_t arena_id;
    size_t snapshot_bytes; /* of each open run */
    uint64_t last_serial;  /* of a run taken over */
    uint64_t max_own_runs; /* that one process may have begun of itself; 0: no limit */
    struct holders holders;
    struct list_link begun; /* runs that programs began in this turn: struct run.farewell_link */
    struct map runs;        /* open runs by identifier; owned */
    struct interrupt_past interrupts;
    struct queue queue;                      /* those of them that wait */
    uint64_t runs_by_state[RUN_STATE_COUNT]; /* open ones now; final ones since the start */
    struct buffer record;
};

/* The process whose event it is. */
struct origin {
    uint32_t process;
    uint64_t incarnation;
};

struct pipeline_options {
    struct history *history;
    struct router *router;
    struct counters *counters;
    uint64_t arena_id;
    size_t snapshot_bytes;
    uint64_t max_own_runs;
};

void pipeline_init(struct pipeline *pipeline, const struct pipeline_options *options);
/* Frees the open runs. */
void pipeline_deinit(struct pipeline *pipeline);

/* NULL when no open run has this identifier. */
struct run *pipeline_find(const struct pipeline *pipeline, struct span run_id);
/* Takes over a new run: counted, found by identifier, staged at its next change. -ENOMEM. */
int pipeline_adopt(struct pipeline *pipeline, struct run *run);
/* The run is this process's now, and is so in history with its next change; or nobody's. */
void pipeline_place(
    struct pipeline *pipeline, struct run *run, uint32_t process, uint64_t incarnation);
void pipeline_unplace(struct pipeline *pipeline, struct run *run);
/* Moves a run's state outside of an event, and stages its record. Final states end the run: it is
 * freed, and must not be used any more. */
void pipeline_move(struct pipeline *pipeline, struct run *run, enum run_state to);
/* Stages the record of a run that changed otherwise. */
void pipeline_stage(struct pipeline *pipeline, struct run *run);

/*
 * An agent's event from the ring of `user`. VERDICT_LEGAL: it has its number and will be kept and
 * routed with this turn's commit. Otherwise it is counted and leaves no trace. A terminal event
 * ends the run.
 */
enum verdict pipeline_push(
    struct pipeline *pipeline, struct user *user, struct event *event, const struct origin *origin);
/* The broker's own event for a run, marked synthetic when `event` says so. A terminal event ends
 * and frees the run. */
void pipeline_write(struct pipeline *pipeline, struct run *run, struct event *event);
