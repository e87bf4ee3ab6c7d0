/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/pool.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>

#define DELAY_MAX_SECONDS 60.

struct idle {
    struct list_link link;
    struct pool *pool;
    struct process *process;
    bool fresh; /* no run has used it: what it says is for the first one to judge */
    bool dead;  /* freed by the next refill */
};

static const struct config_pool *wanted(const struct pool *pool)
{
    return &pool->agent->pool;
}

/* ---- who waits */

bool pool_has_room(const struct pool *pool)
{
    return !pool->agent->limits.runs || pool->running < pool->agent->limits.runs;
}

/* Copies what `span` points to behind *at. */
static void move(struct span *span, char **at)
{
    if (span->len)
        memcpy(*at, span->data, span->len);
    span->data = *at;
    *at += span->len;
}

int pool_wait(struct pool *pool, const struct engine_request *request)
{
    size_t size = request->run_id.len + request->user_id.len + request->thread_id.len +
                  request->request_id.len + request->message_id.len + request->content.len;
    struct waiting *waiting = malloc(sizeof(*waiting) + size);
    if (!waiting)
        return -ENOMEM;
    char *at = waiting->bytes;
    waiting->request = *request;
    move(&waiting->request.run_id, &at);
    move(&waiting->request.user_id, &at);
    move(&waiting->request.thread_id, &at);
    move(&waiting->request.request_id, &at);
    move(&waiting->request.message_id, &at);
    move(&waiting->request.content, &at);
    list_append(&pool->waiting, &waiting->link);
    return 0;
}

struct waiting *pool_find_waiting(const struct pool *pool, struct span run_id)
{
    LIST_FOR_EACH(struct waiting, waiting, &pool->waiting, link)
    {
        if (span_equal(waiting->request.run_id, run_id))
            return waiting;
    }
    return NULL;
}

void pool_stop_waiting(struct waiting *waiting)
{
    list_remove(&waiting->link);
}

/* ---- idle processes */

static void refill_in(struct pool *pool, double seconds)
{
    if (pool->retired || (wanted(pool)->min_idle == 0 && seconds > 0.))
        return;
    ev_timer_stop(pool->loop, &pool->refill);
    ev_timer_set(&pool->refill, seconds, 0.);
    ev_timer_start(pool->loop, &pool->refill);
}

static double delay_of(const struct pool *pool)
{
    double delay = 1.;
    for (unsigned i = 1; i < pool->deaths && delay < DELAY_MAX_SECONDS; i++)
        delay *= 2.;
    return delay < DELAY_MAX_SECONDS ? delay : DELAY_MAX_SECONDS;
}

/* It is still on the stack, and freed later. */
static void die(struct idle *idle)
{
    struct pool *pool = idle->pool;
    if (idle->dead)
        return;
    idle->dead = true;
    pool->idle_count--;
    pool->deaths++;
    process_pause(idle->process);
    process_stop(idle->process, PROCESS_STOP_KILL);
    refill_in(pool, 0.);
}

static void on_output(void *context)
{
    struct idle *idle = context;
    if (idle->fresh)
        process_pause(idle->process);
    else
        die(idle);
}

static void on_exit_told(void *context)
{
    struct idle *idle = context;
    if (!idle->dead)
        log_warn("pool", "an idle process of agent %s has left", idle->pool->agent->name);
    die(idle);
}

static const struct process_events idle_events = {.on_output = on_output, .on_exit = on_exit_told};

static int start_process(
    struct process **ret_process, const struct pool *pool, const struct pool_use *use)
{
    const struct process_options options = {.loop = pool->loop,
        .program = &pool->agent->program,
        .log_name = use->log_name,
        .input_max = use->input_max,
        .ask_grace_ms = pool->limits->cancel_grace_ms,
        .kill_grace_ms = pool->limits->kill_grace_ms};
    return process_new(ret_process, &options, use->events, use->context);
}

static int keep(struct pool *pool, struct process *process, bool fresh)
{
    char name[IDENTIFIER_SIZE + 16];
    struct idle *idle = calloc(1, sizeof(*idle));
    if (!idle)
        return -ENOMEM;
    *idle = (struct idle){.pool = pool, .process = process, .fresh = fresh};
    snprintf(name, sizeof(name), "agent %s", pool->agent->name);
    process_hand_over(process, name, 0, &idle_events, idle);
    list_append(&pool->idle, &idle->link);
    pool->idle_count++;
    return 0;
}

static int start_idle(struct pool *pool)
{
    struct process *process;
    const struct pool_use use = {.log_name = "", .events = &idle_events};
    int rc = start_process(&process, pool, &use);
    if (rc < 0)
        return rc;
    rc = keep(pool, process, true);
    if (rc < 0)
        process_free(process);
    return rc;
}

static void free_idle(struct idle *idle)
{
    list_remove(&idle->link);
    process_free(idle->process);
    free(idle);
}

static void free_dead(struct pool *pool)
{
    LIST_FOR_EACH(struct idle, idle, &pool->idle, link)
    {
        if (idle->dead)
            free_idle(idle);
    }
}

/* One at a time: each is a fork, and runs that go on have their turns between. */
static void on_refill(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct pool *pool = watcher->data;
    bool deaths = pool->deaths;
    free_dead(pool);
    if (pool->idle_count >= wanted(pool)->min_idle)
        return;
    int rc = start_idle(pool);
    if (rc < 0) {
        pool->deaths++;
        log_warn("pool", "agent %s cannot be started ahead: %s", pool->agent->name, strerror(-rc));
    }
    refill_in(pool, deaths || rc < 0 ? delay_of(pool) : 0.);
}

/* ---- for runs */

/* A fresh one that said something already is given out like any other: the run will see it. */
static struct idle *first_idle(const struct pool *pool)
{
    LIST_FOR_EACH(struct idle, idle, &pool->idle, link)
    {
        if (!idle->dead)
            return idle;
    }
    return NULL;
}

int pool_take(struct process **ret_process, struct pool *pool, const struct pool_use *use)
{
    struct idle *idle = first_idle(pool);
    if (!idle)
        return start_process(ret_process, pool, use);
    struct process *process = idle->process;
    list_remove(&idle->link);
    free(idle);
    pool->idle_count--;
    pool->deaths = 0;
    process_hand_over(process, use->log_name, use->input_max, use->events, use->context);
    refill_in(pool, 0.);
    *ret_process = process;
    return 1;
}

bool pool_give_back(struct pool *pool, struct process *process)
{
    const struct config_pool *pool_wanted = wanted(pool);
    if (pool->retired || process_uses(process) >= pool_wanted->max_uses ||
        !process_is_quiet(process) ||
        (pool_wanted->max_memory && process_memory(process) > pool_wanted->max_memory))
        return false;
    return keep(pool, process, false) == 0;
}

/* ---- life */

int pool_init(struct pool *pool, struct ev_loop *loop, const struct registry_agent *agent,
    const struct engine_limits *limits)
{
    *pool = (struct pool){.loop = loop, .agent = agent, .limits = limits};
    list_init(&pool->waiting);
    list_init(&pool->idle);
    ev_timer_init(&pool->refill, on_refill, 0., 0.);
    pool->refill.data = pool;
    if (wanted(pool)->min_idle)
        refill_in(pool, 0.);
    const struct mcp_server_options servers = {.loop = loop,
        .line_max = limits->line_max,
        .output_max = limits->tool_output_max,
        .start_timeout_ms = limits->start_timeout_ms};
    return mcp_set_init(&pool->mcp, agent, &servers);
}

void pool_retire(struct pool *pool)
{
    pool->retired = true;
    pool->idle_count = 0;
    ev_timer_stop(pool->loop, &pool->refill);
    LIST_FOR_EACH(struct idle, idle, &pool->idle, link)
    {
        free_idle(idle);
    }
}

void pool_deinit(struct pool *pool)
{
    LIST_FOR_EACH(struct waiting, waiting, &pool->waiting, link)
    {
        pool_stop_waiting(waiting);
        free(waiting);
    }
    pool_retire(pool);
    mcp_set_deinit(&pool->mcp);
}
