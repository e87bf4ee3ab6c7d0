/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mcp/set.h"
#include "process/process.h"
#include "runs/engine.h"

/*
 * What one agent has on this worker: its runs at once, the requests that wait for one of them to
 * end, and processes that are there before a run wants one.
 *
 *   waiting   in the order they came; as many as the worker takes on, so bounded by its credit
 *   idle      started ahead (pool.min_idle), or back from a run and good for another (max_uses).
 *             One that dies is replaced, after a second, then two, four, … up to a minute
 *
 * Loop thread only.
 */
struct pool {
    struct ev_loop *loop; /* borrowed, as the next two */
    const struct registry_agent *agent;
    const struct engine_limits *limits;
    size_t running;           /* runs that have, or are about to have, a process */
    struct list_link waiting; /* struct waiting.link */
    struct list_link idle;    /* struct idle.link */
    size_t idle_count;
    unsigned deaths; /* of idle processes in a row */
    bool retired;    /* nothing is kept or started ahead any more */
    ev_timer refill;
    struct mcp_set mcp; /* servers of its tools: they go on while a retired pool has runs */
};

/* A request that waits. Its spans point into itself. */
struct waiting {
    struct list_link link;
    struct engine_request request;
    char bytes[];
};

/* -ENOMEM; pool_deinit in any case. */
int pool_init(struct pool *pool, struct ev_loop *loop, const struct registry_agent *agent,
    const struct engine_limits *limits);
/* Kills what is idle and forgets who waits. */
void pool_deinit(struct pool *pool);

/* Kills what is idle, for good. Runs that wait still get their turn. */
void pool_retire(struct pool *pool);
/* Whether another run may begin now. */
bool pool_has_room(const struct pool *pool);
/* Copies the request to the end of those that wait. -ENOMEM. */
int pool_wait(struct pool *pool, const struct engine_request *request);
/* The one of this run, or NULL. */
struct waiting *pool_find_waiting(const struct pool *pool, struct span run_id);
/* Takes it out; the caller's to free(). */
void pool_stop_waiting(struct waiting *waiting);

struct pool_use {
    const char *log_name;
    size_t input_max;
    const struct process_events *events;
    void *context;
};
/* A process for a run: 1, one that was idle and may just have died; 0, a new one; -errno when that
 * cannot be started. */
int pool_take(struct process **ret_process, struct pool *pool, const struct pool_use *use);
/*
 * Back from a run whose agent said that it is done, and nothing behind that. False: it is of no
 * further use, and stays the caller's.
 */
bool pool_give_back(struct pool *pool, struct process *process);
