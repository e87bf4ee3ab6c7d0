/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runs/engine.h"
#include "runs/roster.h"

#include "base/map.h"

/*
 * The runs of this worker: one engine each, found by run id, or a request that waits until fewer
 * runs of its agent go on (limits.runs). Every run that was given is released once. Loop thread
 * only.
 */
struct supervisor_events {
    /* The run's place is free. `refusal` says why it ended when the worker did not emit the end. */
    void (*on_released)(void *context, struct span run_id, const struct engine_refusal *refusal);
    /* What became of an answer to what a run asked: `code` "" when it was taken. */
    void (*on_settled)(void *context, uint64_t answer, const char *code, const char *message);
    /* A run wants to know what was said before it, as engine_events has it. */
    void (*on_recall)(void *context, struct span run_id, bool ask, uint64_t after);
    /* What became of agents that were still to be judged: 0, they are in use; or -ENOEXEC. */
    void (*on_agents)(void *context, int rc);
    /* The emitter is of no use any more: give the supervisor another one. */
    void (*on_emitter_lost)(void *context, int rc);
};

struct supervisor_options {
    struct ev_loop *loop; /* borrowed, as all here */
    struct engine_limits limits;
    const struct supervisor_events *events;
    void *context;
};

struct supervisor {
    struct supervisor_options options;
    rs_emitter *emitter;      /* borrowed; NULL while there is none */
    struct map engines;       /* run id to struct engine */
    struct roster *roster;    /* whose agents runs are given to */
    struct roster *candidate; /* the agents of a new reading, while their servers start; or NULL */
    struct list_link rosters; /* of struct roster, link: that one, and those with runs left */
    ev_timer next;            /* starts those that waited, and lets old rosters go */
    ev_timer judge;           /* looks at the candidate */
    ev_timer memory;          /* looks at what agents with a limit take */
};

/* As the worker's options have them. */
struct engine_limits supervisor_limits(const struct config *config);
void supervisor_init(struct supervisor *supervisor, const struct supervisor_options *options);
/*
 * The agents from now on; runs that there are end with those they began with. -ENOEXEC, -ENOMEM as
 * roster_new: nothing changes. The first time this waits until the agents' servers are there, on a
 * loop where nothing else goes on; after each further reading of the configuration it does not, and
 * 1 says that on_agents will tell.
 */
int supervisor_set_agents(
    struct supervisor *supervisor, const struct config *config, struct config *take);
/* Kills what still runs. */
void supervisor_deinit(struct supervisor *supervisor);
/*
 * Starts a run of `agent`. When that cannot be, it is released before this returns. A run that is
 * there already is left alone: the broker has said it twice.
 */
void supervisor_assign(
    struct supervisor *supervisor, const struct engine_request *request, struct span agent);
/* A run that is not here has just been released, and these do nothing. */
void supervisor_cancel(struct supervisor *supervisor, struct span run_id, struct span reason);
void supervisor_kill(struct supervisor *supervisor, struct span run_id);
/* on_settled follows; of a run that is not here, too. */
void supervisor_resolve(
    struct supervisor *supervisor, struct span run_id, const struct interrupt_answer *answer);
/* What on_recall asked for. */
void supervisor_recall_take(
    struct supervisor *supervisor, struct span run_id, const struct thread_page *page);
/* Runs ask again what may have been lost. */
void supervisor_recall_again(struct supervisor *supervisor);
/* Every run that is not begun is given up, and released as handed back. Returns how many. */
size_t supervisor_hand_back(struct supervisor *supervisor);
void supervisor_cancel_all(struct supervisor *supervisor, struct span reason);
void supervisor_kill_all(struct supervisor *supervisor);
/* Runs that go on or wait. */
size_t supervisor_count(const struct supervisor *supervisor);
/* Tells of each run whose end is not emitted yet. */
typedef void (*supervisor_run_fn)(void *context, struct span run_id);
void supervisor_each_open(
    const struct supervisor *supervisor, supervisor_run_fn tell, void *context);
