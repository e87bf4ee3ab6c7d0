/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include "interrupts.h"

#include "base/log.h"
#include "wire/message.h"

#include <errno.h>
#include <stdio.h>

/* How often memory is looked at: what an agent can take meanwhile is what it can be over. */
#define MEMORY_SECONDS 0.1

static struct engine *find(const struct supervisor *supervisor, struct span run_id)
{
    return map_get(&supervisor->engines, run_id);
}

static struct pool *pool_of(const struct supervisor *supervisor, struct span agent)
{
    const struct registry *registry = supervisor->options.registry;
    const struct registry_agent *registered = registry_find(registry, agent);
    return registered ? &supervisor->pools[registered - registry->agents] : NULL;
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
    if (supervisor->waiting)
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

static const struct engine_events engine_events = {
    .on_gone = on_gone, .on_settled = on_settled, .on_emitter_lost = on_emitter_lost};

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

/* Takes the request out of its queue. */
static void start_waiting(struct supervisor *supervisor, struct pool *pool, struct waiting *waiting)
{
    pool_stop_waiting(waiting);
    supervisor->waiting--;
    start(supervisor, pool, &waiting->request);
    free(waiting);
}

static void on_next(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct supervisor *supervisor = watcher->data;
    for (size_t i = 0; i < supervisor->options.registry->count; i++) {
        struct pool *pool = &supervisor->pools[i];
        struct waiting *first;
        while (pool_has_room(pool) && (first = LIST_FIRST(struct waiting, &pool->waiting, link)))
            start_waiting(supervisor, pool, first);
    }
}

static void wait(
    struct supervisor *supervisor, struct pool *pool, const struct engine_request *request)
{
    static const struct engine_refusal refusal = {"unavailable", "the worker is out of memory"};
    if (pool_wait(pool, request) == 0)
        supervisor->waiting++;
    else
        release(supervisor, request->run_id, &refusal);
}

static struct waiting *find_waiting(
    const struct supervisor *supervisor, struct span run_id, struct pool **ret_pool)
{
    struct waiting *found = NULL;
    for (size_t i = 0; supervisor->waiting && !found && i < supervisor->options.registry->count;
         i++) {
        *ret_pool = &supervisor->pools[i];
        found = pool_find_waiting(*ret_pool, run_id);
    }
    return found;
}

void supervisor_assign(
    struct supervisor *supervisor, const struct engine_request *request, struct span agent)
{
    static const struct engine_refusal unknown = {
        "agent_not_found", "this worker has no such agent"};
    struct pool *ignored;
    struct pool *pool = pool_of(supervisor, agent);
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
    struct pool *pool;
    struct waiting *waiting = find_waiting(supervisor, run_id, &pool);
    if (waiting)
        start_waiting(supervisor, pool, waiting);
    struct engine *engine = find(supervisor, run_id);
    if (engine)
        engine_cancel(engine, reason);
}

/* Lets go of one that waits; nothing of it was emitted. */
static void give_up(
    struct supervisor *supervisor, struct waiting *waiting, const struct engine_refusal *refusal)
{
    pool_stop_waiting(waiting);
    supervisor->waiting--;
    supervisor->options.events->on_released(
        supervisor->options.context, waiting->request.run_id, refusal);
    free(waiting);
}

void supervisor_kill(struct supervisor *supervisor, struct span run_id)
{
    static const struct engine_refusal ended = {.code = ""};
    struct pool *pool;
    struct waiting *waiting = find_waiting(supervisor, run_id, &pool);
    struct engine *engine = find(supervisor, run_id);
    if (waiting)
        give_up(supervisor, waiting, &ended);
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

static void give_up_all(struct supervisor *supervisor, const struct engine_refusal *refusal)
{
    for (size_t i = 0; i < supervisor->options.registry->count; i++) {
        LIST_FOR_EACH(struct waiting, waiting, &supervisor->pools[i].waiting, link)
        {
            give_up(supervisor, waiting, refusal);
        }
    }
}

size_t supervisor_hand_back(struct supervisor *supervisor)
{
    static const struct engine_refusal handed_back = {WIRE_HANDED_BACK, "the worker is leaving"};
    size_t cursor = 0;
    size_t count = supervisor->waiting;
    give_up_all(supervisor, &handed_back);
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
    static const struct engine_refusal ended = {.code = ""};
    size_t cursor = 0;
    give_up_all(supervisor, &ended);
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_kill(engine);
}

size_t supervisor_count(const struct supervisor *supervisor)
{
    return supervisor->engines.count + supervisor->waiting;
}

void supervisor_each_open(
    const struct supervisor *supervisor, supervisor_run_fn tell, void *context)
{
    size_t cursor = 0;
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));) {
        if (engine_is_open(engine))
            tell(context, span_of_string(engine_run_id(engine)));
    }
    for (size_t i = 0; supervisor->waiting && i < supervisor->options.registry->count; i++) {
        LIST_FOR_EACH(struct waiting, waiting, &supervisor->pools[i].waiting, link)
        {
            tell(context, waiting->request.run_id);
        }
    }
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

static bool limits_memory(const struct registry *registry)
{
    for (size_t i = 0; i < registry->count; i++) {
        if (registry->agents[i].limits.memory)
            return true;
    }
    return false;
}

int supervisor_init(struct supervisor *supervisor, const struct supervisor_options *options)
{
    const struct registry *registry = options->registry;
    *supervisor = (struct supervisor){.options = *options};
    supervisor->pools = calloc(registry->count + 1, sizeof(*supervisor->pools));
    if (!supervisor->pools)
        return -ENOMEM;
    for (size_t i = 0; i < registry->count; i++)
        pool_init(&supervisor->pools[i], options->loop, &registry->agents[i],
            &supervisor->options.limits);
    ev_timer_init(&supervisor->next, on_next, 0., 0.);
    ev_timer_init(&supervisor->memory, on_memory, MEMORY_SECONDS, MEMORY_SECONDS);
    supervisor->next.data = supervisor;
    supervisor->memory.data = supervisor;
    if (limits_memory(registry))
        ev_timer_start(options->loop, &supervisor->memory);
    return 0;
}

void supervisor_deinit(struct supervisor *supervisor)
{
    size_t cursor = 0;
    if (!supervisor->pools)
        return;
    ev_timer_stop(supervisor->options.loop, &supervisor->next);
    ev_timer_stop(supervisor->options.loop, &supervisor->memory);
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_free(engine);
    map_deinit(&supervisor->engines);
    for (size_t i = 0; i < supervisor->options.registry->count; i++)
        pool_deinit(&supervisor->pools[i]);
    free(supervisor->pools);
}
