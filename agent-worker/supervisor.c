/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include "interrupts.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>

static struct engine *find(const struct supervisor *supervisor, struct span run_id)
{
    return map_get(&supervisor->engines, run_id);
}

/* ---- what engines tell */

static void on_gone(void *context, struct engine *engine, const struct engine_refusal *refusal)
{
    struct supervisor *supervisor = context;
    struct span run_id = span_of_string(engine_run_id(engine));
    map_remove(&supervisor->engines, run_id);
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

static int start(struct supervisor *supervisor, const struct registry_agent *agent,
    const struct engine_request *request, struct engine_refusal *ret_refusal)
{
    struct engine *engine;
    const struct engine_options options = {.loop = supervisor->options.loop,
        .emitter = supervisor->emitter,
        .agent = agent,
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

void supervisor_assign(
    struct supervisor *supervisor, const struct engine_request *request, struct span agent)
{
    struct engine_refusal refusal;
    const struct registry_agent *registered = registry_find(supervisor->options.registry, agent);
    if (find(supervisor, request->run_id)) {
        log_warn("supervisor", "run %.*s is here already", SPAN_ARG(request->run_id));
        return;
    }
    if (!registered) {
        refusal = (struct engine_refusal){"agent_not_found", "this worker has no such agent"};
        release(supervisor, request->run_id, &refusal);
    } else if (!supervisor->emitter) {
        refusal = (struct engine_refusal){"unavailable", "this worker has no way to emit events"};
        release(supervisor, request->run_id, &refusal);
    } else if (start(supervisor, registered, request, &refusal) < 0) {
        release(supervisor, request->run_id, &refusal);
    }
}

void supervisor_cancel(struct supervisor *supervisor, struct span run_id, struct span reason)
{
    struct engine *engine = find(supervisor, run_id);
    if (engine)
        engine_cancel(engine, reason);
}

void supervisor_kill(struct supervisor *supervisor, struct span run_id)
{
    struct engine *engine = find(supervisor, run_id);
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

size_t supervisor_hand_back(struct supervisor *supervisor)
{
    size_t cursor = 0;
    size_t count = 0;
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
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_kill(engine);
}

size_t supervisor_count(const struct supervisor *supervisor)
{
    return supervisor->engines.count;
}

const char *supervisor_next_open(const struct supervisor *supervisor, size_t *cursor)
{
    struct engine *engine;
    do {
        engine = map_next(&supervisor->engines, cursor);
    } while (engine && !engine_is_open(engine));
    return engine ? engine_run_id(engine) : NULL;
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

void supervisor_init(struct supervisor *supervisor, const struct supervisor_options *options)
{
    *supervisor = (struct supervisor){.options = *options};
}

void supervisor_deinit(struct supervisor *supervisor)
{
    size_t cursor = 0;
    for (struct engine *engine; (engine = map_next(&supervisor->engines, &cursor));)
        engine_free(engine);
    map_deinit(&supervisor->engines);
}
