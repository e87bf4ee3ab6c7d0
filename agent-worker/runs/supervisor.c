/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/supervisor.h"

#include "tools/interrupts.h"

#include "base/log.h"
#include "wire/message.h"

#include <errno.h>
#include <stdio.h>

/* How often memory is looked at: what an agent can take meanwhile is what it can be over. */
#define MEMORY_SECONDS 0.1
/* How often it is looked whether new agents' servers are there. */
#define JUDGE_SECONDS 0.02

static struct engine *find(const struct supervisor *supervisor, struct span run_id)
{
    return map_get(&supervisor->engines, run_id);
}

static void start_soon(struct supervisor *supervisor)
{
    ev_timer_stop(supervisor->options.loop, &supervisor->next);
    ev_timer_set(&supervisor->next, 0., 0.);
    ev_timer_start(supervisor->options.loop, &supervisor->next);
}

/* ---- what engines tell */

static void on_gone(void *context, struct engine *engine, const struct engine_refusal *refusal)
{
    struct supervisor *supervisor = context;
    struct span run_id = span_of_string(engine_run_id(engine));
    map_remove(&supervisor->engines, run_id);
    engine_pool(engine)->running--;
    start_soon(supervisor);
    supervisor->options.events->on_released(supervisor->options.context, run_id, refusal);
    engine_free(engine);
}

static void on_settled(void *context, uint64_t answer, const char *code, const char *message)
{
    struct supervisor *supervisor = context;
    supervisor->options.events->on_settled(supervisor->options.context, answer, code, message);
}

static void on_emitter_lost(void *context, int rc)
{
    struct supervisor *supervisor = context;
    supervisor->options.events->on_emitter_lost(supervisor->options.context, rc);
}

static void on_recall(void *context, struct engine *engine, bool ask, uint64_t after)
{
    struct supervisor *supervisor = context;
    supervisor->options.events->on_recall(
        supervisor->options.context, span_of_string(engine_run_id(engine)), ask, after);
}

static const struct engine_events engine_events = {.on_gone = on_gone,
    .on_settled = on_settled,
    .on_recall = on_recall,
    .on_emitter_lost = on_emitter_lost};

/* ---- runs */

static void release(
    struct supervisor *supervisor, struct span run_id, const struct engine_refusal *refusal)
{
    log_warn("supervisor", "run %.*s is not started: %s", SPAN_ARG(run_id), refusal->message);
    supervisor->options.events->on_released(supervisor->options.context, run_id, refusal);
}

static int start_engine(struct supervisor *supervisor, struct pool *pool,
    const struct engine_request *request, struct engine_refusal *ret_refusal)
{
    struct engine *engine;
    const struct engine_options options = {.loop = supervisor->options.loop,
        .emitter = supervisor->emitter,
        .pool = pool,
        .limits = &supervisor->options.limits,
        .events = &engine_events,
        .context = supervisor};
    int rc = engine_new(&engine, &options, request, ret_refusal);
    if (rc < 0)
        return rc;
    rc = map_put(&supervisor->engines, span_of_string(engine_run_id(engine)), engine);
    if (rc < 0) {
        engine_free(engine);
        *ret_refusal = (struct engine_refusal){"unavailable", "the worker is out of memory"};
    }
    return rc;
}

static void start(
    struct supervisor *supervisor, struct pool *pool, const struct engine_request *request)
{
    struct engine_refusal refusal = {"unavailable", "this worker has no way to emit events"};
    pool->running++;
    if (supervisor->emitter && start_engine(supervisor, pool, request, &refusal) == 0)
        return;
    pool->running--;
    release(supervisor, request->run_id, &refusal);
}

/* A request that waits, and where. */
struct waiter {
    struct roster *roster;
    struct pool *pool;
    struct waiting *waiting;
};

/* Takes the request out of its queue. */
static void start_waiting(struct supervisor *supervisor, const struct waiter *waiter)
{
    pool_stop_waiting(waiter->waiting);
    waiter->roster->waiting--;
    start(supervisor, waiter->pool, &waiter->waiting->request);
    free(waiter->waiting);
}

static void start_those_with_room(struct supervisor *supervisor, struct roster *roster)
{
    for (size_t i = 0; roster->waiting && i < roster->registry.count; i++) {
        struct waiter waiter = {.roster = roster, .pool = &roster->pools[i]};
        while (pool_has_room(waiter.pool) &&
               (waiter.waiting = LIST_FIRST(struct waiting, &waiter.pool->waiting, link)))
            start_waiting(supervisor, &waiter);
    }
}

static void on_next(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct supervisor *supervisor = watcher->data;
    LIST_FOR_EACH(struct roster, roster, &supervisor->rosters, link)
    {
        start_those_with_room(supervisor, roster);
        if (roster->retired && roster_is_idle(roster))
            roster_free(roster);
    }
}

static void wait(
    struct supervisor *supervisor, struct pool *pool, const struct engine_request *request)
{
    static const struct engine_refusal refusal = {"unavailable", "the worker is out of memory"};
    if (pool_wait(pool, request) == 0)
        supervisor->roster->waiting++;
    else
        release(supervisor, request->run_id, &refusal);
}

static bool find_waiting(
    const struct supervisor *supervisor, struct span run_id, struct waiter *ret_waiter)
{
    LIST_FOR_EACH(struct roster, roster, &supervisor->rosters, link)
    {
        ret_waiter->roster = roster;
        ret_waiter->waiting = roster_find_waiting(roster, run_id, &ret_waiter->pool);
        if (ret_waiter->waiting)
            return true;
    }
    return false;
}

void supervisor_assign(
    struct supervisor *supervisor, const struct engine_request *request, struct span agent)
{
    static const struct engine_refusal unknown = {
        "agent_not_found", "this worker has no such agent"};
    struct waiter ignored;
    struct pool *pool = roster_find(supervisor->roster, agent);
    if (find(supervisor, request->run_id) || find_waiting(supervisor, request->run_id, &ignored))
        log_warn("supervisor", "run %.*s is here already", SPAN_ARG(request->run_id));
    else if (!pool)
        release(supervisor, request->run_id, &unknown);
    else if (pool_has_room(pool))
        start(supervisor, pool, request);
    else
        wait(supervisor, pool, request);
}

/* One that waits begins for it, whatever its agent's limit: so it ends as every cancelled run. */
void supervisor_cancel(struct supervisor *supervisor, struct span run_id, struct span reason)
{
    struct waiter waiter;
    if (find_waiting(supervisor, run_id, &waiter))
        start_waiting(supervisor, &waiter);
    struct engine *engine = find(supervisor, run_id);
    if (engine)
        engine_cancel(engine, reason);
}

/* Lets go of one that waits; nothing of it was emitted. */
static void give_up(struct supervisor *supervisor, const struct waiter *waiter,
    const struct engine_refusal *refusal)
{
    pool_stop_waiting(waiter->waiting);
    waiter->roster->waiting--;
    supervisor->options.events->on_released(
        supervisor->options.context, waiter->waiting->request.run_id, refusal);
    free(waiter->waiting);
}

void supervisor_kill(struct supervisor *supervisor, struct span run_id)
{
    static const struct engine_refusal ended = {.code = ""};
    struct waiter waiter;
    struct engine *engine = find(supervisor, run_id);
    if (find_waiting(supervisor, run_id, &waiter))
        give_up(supervisor, &waiter, &ended);
    if (engine)
        engine_kill(engine);
}

void supervisor_resolve(
    struct supervisor *supervisor, struct span run_id, const struct interrupt_answer *answer)
{
    struct engine *engine = find(supervisor, run_id);
    if (engine)
        engine_resolve(engine, answer);
    else
        on_settled(supervisor, answer->number, "already_finished", "the run has ended");
}

void supervisor_recall_take(
    struct supervisor *supervisor, struct span run_id, const struct thread_page *page)
{
    struct engine *engine = find(supervisor, run_id);
    if (engine)
        engine_recall_take(engine, page);
}

void supervisor_recall_again(struct supervisor *supervisor)
{
    size_t cursor = 0;
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_recall_again(engine);
}

typedef void (*waiter_fn)(void *context, const struct waiter *waiter);

/* `visit` may take the waiter out. */
static void each_waiter(const struct supervisor *supervisor, waiter_fn visit, void *context)
{
    LIST_FOR_EACH(struct roster, roster, &supervisor->rosters, link)
    {
        for (size_t i = 0; i < roster->registry.count; i++) {
            struct waiter waiter = {.roster = roster, .pool = &roster->pools[i]};
            LIST_FOR_EACH(struct waiting, waiting, &waiter.pool->waiting, link)
            {
                waiter.waiting = waiting;
                visit(context, &waiter);
            }
        }
    }
}

static void hand_back_waiter(void *context, const struct waiter *waiter)
{
    static const struct engine_refusal handed_back = {WIRE_HANDED_BACK, "the worker is leaving"};
    give_up(context, waiter, &handed_back);
}

static void drop_waiter(void *context, const struct waiter *waiter)
{
    static const struct engine_refusal ended = {.code = ""};
    give_up(context, waiter, &ended);
}

static size_t count_waiting(const struct supervisor *supervisor)
{
    size_t count = 0;
    LIST_FOR_EACH(struct roster, roster, &supervisor->rosters, link)
    {
        count += roster->waiting;
    }
    return count;
}

size_t supervisor_hand_back(struct supervisor *supervisor)
{
    size_t cursor = 0;
    size_t count = count_waiting(supervisor);
    each_waiter(supervisor, hand_back_waiter, supervisor);
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        count += engine_hand_back(engine);
    return count;
}

void supervisor_cancel_all(struct supervisor *supervisor, struct span reason)
{
    size_t cursor = 0;
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_cancel(engine, reason);
}

void supervisor_kill_all(struct supervisor *supervisor)
{
    size_t cursor = 0;
    each_waiter(supervisor, drop_waiter, supervisor);
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_kill(engine);
}

size_t supervisor_count(const struct supervisor *supervisor)
{
    return supervisor->engines.count + count_waiting(supervisor);
}

struct telling {
    supervisor_run_fn tell;
    void *context;
};

static void tell_waiter(void *context, const struct waiter *waiter)
{
    const struct telling *telling = context;
    telling->tell(telling->context, waiter->waiting->request.run_id);
}

void supervisor_each_open(
    const struct supervisor *supervisor, supervisor_run_fn tell, void *context)
{
    struct telling telling = {tell, context};
    size_t cursor = 0;
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));) {
        if (engine_is_open(engine))
            tell(context, span_of_string(engine_run_id(engine)));
    }
    each_waiter(supervisor, tell_waiter, &telling);
}

/* ---- life */

struct engine_limits supervisor_limits(const struct config *config)
{
    return (struct engine_limits){
        .start_timeout_ms = config->worker_start_timeout,
        .idle_timeout_ms = config->worker_idle_timeout,
        .cancel_grace_ms = config->worker_cancel_grace,
        .kill_grace_ms = config->worker_kill_grace,
        .line_max = config->worker_max_line,
        .tools_max = config->worker_max_tools,
        .tool_output_max = config->worker_max_tool_output,
    };
}

static void on_memory(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct supervisor *supervisor = watcher->data;
    size_t cursor = 0;
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_check_memory(engine);
}

static void adopt(struct supervisor *supervisor, struct roster *roster)
{
    if (supervisor->roster)
        roster_retire(supervisor->roster);
    supervisor->roster = roster;
    list_append(&supervisor->rosters, &roster->link);
    if (roster_limits_memory(roster))
        ev_timer_start(supervisor->options.loop, &supervisor->memory);
    start_soon(supervisor);
}

static void drop_candidate(struct supervisor *supervisor)
{
    ev_timer_stop(supervisor->options.loop, &supervisor->judge);
    roster_free(supervisor->candidate);
    supervisor->candidate = NULL;
}

/* Takes the candidate into use, or drops it, once it is known which. */
static int judge(struct supervisor *supervisor)
{
    int verdict = roster_verdict(supervisor->candidate);
    if (verdict == 0)
        return 1;
    ev_timer_stop(supervisor->options.loop, &supervisor->judge);
    if (verdict < 0) {
        drop_candidate(supervisor);
        return verdict;
    }
    adopt(supervisor, supervisor->candidate);
    supervisor->candidate = NULL;
    return 0;
}

static void on_judge(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct supervisor *supervisor = watcher->data;
    int rc = judge(supervisor);
    if (rc <= 0)
        supervisor->options.events->on_agents(supervisor->options.context, rc);
}

void supervisor_init(struct supervisor *supervisor, const struct supervisor_options *options)
{
    *supervisor = (struct supervisor){.options = *options};
    list_init(&supervisor->rosters);
    ev_timer_init(&supervisor->next, on_next, 0., 0.);
    ev_timer_init(&supervisor->memory, on_memory, MEMORY_SECONDS, MEMORY_SECONDS);
    supervisor->next.data = supervisor;
    supervisor->memory.data = supervisor;
    ev_timer_init(&supervisor->judge, on_judge, JUDGE_SECONDS, JUDGE_SECONDS);
    supervisor->judge.data = supervisor;
}

int supervisor_set_agents(
    struct supervisor *supervisor, const struct config *config, struct config *take)
{
    const struct roster_options options = {.loop = supervisor->options.loop,
        .config = config,
        .take = take,
        .limits = &supervisor->options.limits};
    drop_candidate(supervisor);
    int rc = roster_new(&supervisor->candidate, &options);
    if (rc)
        return rc;
    rc = judge(supervisor);
    while (rc > 0 && !supervisor->roster) {
        ev_run(supervisor->options.loop, EVRUN_ONCE);
        rc = judge(supervisor);
    }
    if (rc > 0)
        ev_timer_start(supervisor->options.loop, &supervisor->judge);
    return rc;
}

void supervisor_deinit(struct supervisor *supervisor)
{
    size_t cursor = 0;
    ev_timer_stop(supervisor->options.loop, &supervisor->next);
    ev_timer_stop(supervisor->options.loop, &supervisor->memory);
    drop_candidate(supervisor);
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_free(engine);
    map_deinit(&supervisor->engines);
    LIST_FOR_EACH(struct roster, roster, &supervisor->rosters, link)
    {
        roster_free(roster);
    }
}
