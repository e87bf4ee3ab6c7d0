/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"
#include "dispatch/answers.h"
#include "dispatch/workers.h"
#include "intake/processes.h"
#include "links/effects.h"
#include "stream/pipeline.h"

/*
 * From a request to a worker that runs it. An accepted request is in the batch whose commit comes
 * before the reply; a run is in history as given to a process before that process hears of it. So
 * whatever dies, a request is neither lost nor started twice.
 *
 * One run a thread is active; others of that thread wait. Whose run is next: queue.h. The bounds of
 * the queue are kept at the door: what is over broker.max_queued or max_queued_per_user is refused
 * and counted.
 */
struct dispatch {
    const struct config *config; /* borrowed, as all here */
    struct pipeline *pipeline;
    struct users *users;
    struct workers *workers;
    struct effects *effects;
    struct counters *counters;
    struct answers answers;
    uint64_t looked; /* how far the round of runs is that may be overdue: of map_scan */
    bool paused;     /* requests are accepted and wait; not remembered over a restart */
};

struct dispatch_options {
    const struct config *config;
    struct pipeline *pipeline;
    struct users *users;
    struct workers *workers;
    struct effects *effects;
    struct counters *counters;
};

void dispatch_init(struct dispatch *dispatch, const struct dispatch_options *options);
void dispatch_deinit(struct dispatch *dispatch);

/* The answer to a request; `code` NULL means done. Texts are static or in this struct. */
struct answer {
    const char *code;
    const char *message;
    bool retryable;
    char run_id[IDENTIFIER_SIZE];
    const char *status; /* the run's state */
};

void dispatch_chat(
    struct dispatch *dispatch, const struct wire_chat_send *request, struct answer *ret_answer);
void dispatch_cancel(
    struct dispatch *dispatch, const struct wire_run_cancel *request, struct answer *ret_answer);

/* Gives queued runs to workers with room. Their ASSIGN leaves with this turn's commit. */
void dispatch_place(struct dispatch *dispatch);
/* While paused no run is given to a worker; requests are accepted and those that run go on. */
void dispatch_pause(struct dispatch *dispatch, bool pause);
/* Puts a run that was never started back into the queue, before all others. */
void dispatch_requeue(struct dispatch *dispatch, struct run *run);
/* Asks the run's agent to stop, and sets the time when the broker ends the run itself. */
void dispatch_stop(struct dispatch *dispatch, struct run *run, struct span reason);
/* Deadlines, cancels that were not honoured, users that went away. Call every 100 ms or so: where
 * there are thousands of runs, each is looked at once a second. */
void dispatch_overdue(struct dispatch *dispatch, uint64_t monotonic_ms, uint64_t wall_ms);
