/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a run begins and goes on.
 *
 * `turn` is a timer that fires from the top of the loop, with nothing of this run on the stack. It
 * takes a run that is ending further (see ending.c), and it is what goes on after a full ring:
 * it emits what has waited, in the order it came, handles the lines that were left, and reads on
 * when there was room for all of it.
 */
#include "runs/engine_state.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* What may wait for an agent that does not read, beside its input and the results of its tools. */
#define INPUT_SLACK (1u << 20)

#define FROM(symbol) (1u << ENGINE_##symbol)
static const unsigned entered_from[] = {
#define STATE(symbol, name, from) [ENGINE_##symbol] = (from),
#include "runs/engine_states.def"
#undef STATE
};

void engine_set_state(struct engine *engine, enum engine_state state)
{
    assert(entered_from[state] & 1u << engine->state);
    engine->state = state;
}

static void set_timer(struct engine *engine, ev_timer *timer, double seconds)
{
    ev_timer_stop(engine->options.loop, timer);
    ev_timer_set(timer, seconds, 0.);
    ev_timer_start(engine->options.loop, timer);
}

static double seconds_of(uint64_t ms)
{
    return (double)ms / 1000.;
}

void engine_turn_in(struct engine *engine, double seconds)
{
    set_timer(engine, &engine->turn, seconds);
}

void engine_block(struct engine *engine)
{
    engine->blocked = true;
    process_pause(engine->process);
    engine_turn_in(engine, ENGINE_RETRY_SECONDS);
}

void engine_send_scratch(struct engine *engine)
{
    struct buffer *message = &engine->scratch;
    int rc = buffer_error(message);
    if (!rc)
        rc = process_write(engine->process, buffer_span(message));
    buffer_clear(message);
    if (rc == -ENOBUFS)
        engine_fail_protocol(engine, "the agent does not read what it is sent");
    else if (rc < 0)
        engine_fail(engine, "internal", span_of_string(strerror(-rc)), true, PROCESS_STOP_KILL);
}

/* ---- what the process does */

static void rearm_limit(struct engine *engine)
{
    uint64_t ms = engine->state == ENGINE_STARTING ? engine->options.limits->start_timeout_ms
                                                   : engine->options.limits->idle_timeout_ms;
    set_timer(engine, &engine->limit, seconds_of(ms));
}

static void on_output(void *context)
{
    struct engine *engine = context;
    if (engine->state >= ENGINE_LEAVING) {
        engine_drop_output(engine);
        return;
    }
    dialogue_take_lines(engine);
    if (engine->state == ENGINE_RUNNING)
        rearm_limit(engine);
}

static const char *exit_code(const struct engine *engine)
{
    switch (process_cause(engine->process)) {
    case PROCESS_OUT_OF_MEMORY: return "agent_out_of_memory";
    case PROCESS_OUT_OF_CPU_TIME: return "agent_out_of_cpu_time";
    default: return engine->started ? "agent_crashed" : "agent_start_failed";
    }
}

static void fail_exited(struct engine *engine)
{
    struct buffer message = BUFFER_INIT;
    buffer_append_string(&message, "the agent ");
    process_describe_exit(engine->process, &message);
    if (!engine->started)
        buffer_append_string(&message, " before it answered initialize");
    engine_fail(engine, exit_code(engine), buffer_span(&message), true, PROCESS_STOP_KILL);
    buffer_deinit(&message);
}

static void on_exit_told(void *context)
{
    struct engine *engine = context;
    if (engine->state == ENGINE_STARTING && engine->second_hand) {
        engine->replace = true;
        engine_turn_in(engine, 0.);
    } else if (!engine_is_over(engine)) {
        fail_exited(engine);
    } else {
        ending_check_gone(engine);
    }
}

static const struct process_events process_events = {
    .on_output = on_output, .on_exit = on_exit_told};

/* ---- the process of a run */

/* The engine's own stays where it is when none can be had. */
static int start_process(struct engine *engine)
{
    const struct engine_options *options = &engine->options;
    char name[2 * IDENTIFIER_SIZE + 16];
    snprintf(name, sizeof(name), "run %s %s", engine->run_id, engine_agent(engine)->name);
    const struct pool_use use = {.log_name = name,
        .input_max = engine->content.len + engine_agent(engine)->offer.len +
                     engine_agent(engine)->mcp_count * MCP_TOOLS_BYTES_MAX + INPUT_SLACK +
                     THREAD_HISTORY_BYTES_MAX +
                     options->limits->tools_max * options->limits->tool_output_max,
        .events = &process_events,
        .context = engine};
    int rc = pool_take(&engine->process, options->pool, &use);
    if (rc < 0)
        return rc;
    engine->second_hand = rc == 1;
    engine->lines =
        (struct lines){.bytes = process_output(engine->process), .max = options->limits->line_max};
    return 0;
}

/* From the top of the loop: the dead one is not on the stack. */
static void replace_process(struct engine *engine)
{
    struct process *dead = engine->process;
    engine->replace = false;
    int rc = start_process(engine);
    if (rc < 0) {
        engine_fail(
            engine, "agent_start_failed", span_of_string(strerror(-rc)), true, PROCESS_STOP_KILL);
        return;
    }
    process_free(dead);
    dialogue_initialize(engine);
}

/* ---- turns */

static void go_on(struct engine *engine)
{
    int rc = tools_report(&engine->tools);
    if (rc == RS_OK)
        rc = interrupts_report(&engine->interrupts);
    if (rc == RS_E_FULL) {
        engine_block(engine);
        return;
    }
    if (rc != RS_OK) {
        engine_lose_emitter(engine, rc);
        return;
    }
    dialogue_take_lines(engine);
    if (!engine->blocked && !engine_is_over(engine))
        process_resume(engine->process);
}

static void on_turn(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct engine *engine = watcher->data;
    engine->blocked = false;
    if (engine->replace && engine->state == ENGINE_STARTING)
        replace_process(engine);
    else if (engine->state == ENGINE_GONE)
        ending_tell(engine);
    else if (engine->state == ENGINE_ENDING)
        ending_try(engine);
    else if (engine->state < ENGINE_ENDING)
        go_on(engine);
}

static void on_limit(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct engine *engine = watcher->data;
    char message[96];
    /* When the worker itself stood still, what the agent said meanwhile is still to be read. */
    if (engine->blocked || process_unread(engine->process) > 0 || tools_busy(&engine->tools) ||
        interrupts_busy(&engine->interrupts)) {
        rearm_limit(engine);
        return;
    }
    bool starting = engine->state == ENGINE_STARTING;
    snprintf(message, sizeof(message), "the agent %s for %llu ms",
        starting ? "did not answer initialize" : "said nothing",
        (unsigned long long)(starting ? engine->options.limits->start_timeout_ms
                                      : engine->options.limits->idle_timeout_ms));
    engine_fail(engine, starting ? "agent_start_failed" : "agent_stalled", span_of_string(message),
        true, PROCESS_STOP_TERM);
}

/* ---- what the tools do */

static void on_tool_answer(void *context, struct span id, const struct agent_tool_result *result)
{
    struct engine *engine = context;
    agent_append_tool_result(&engine->scratch, id, result);
    engine_send_scratch(engine);
}

static void on_stuck(void *context, int rc)
{
    struct engine *engine = context;
    if (engine_is_over(engine))
        return;
    if (rc == RS_E_FULL)
        engine_block(engine);
    else
        engine_lose_emitter(engine, rc);
}

static void on_tools_idle(void *context)
{
    struct engine *engine = context;
    if (engine->state == ENGINE_RUNNING)
        rearm_limit(engine);
    ending_check_gone(engine);
}

static const struct tools_events tools_events = {
    .on_answer = on_tool_answer, .on_stuck = on_stuck, .on_idle = on_tools_idle};

/* ---- what people are asked */

static void on_interrupt_answer(
    void *context, struct span id, const struct agent_interrupt_result *result)
{
    struct engine *engine = context;
    agent_append_interrupt_result(&engine->scratch, id, result);
    engine_send_scratch(engine);
    if (engine->state == ENGINE_RUNNING)
        rearm_limit(engine);
}

static void on_settled(void *context, uint64_t answer, const char *code, const char *message)
{
    struct engine *engine = context;
    engine->options.events->on_settled(engine->options.context, answer, code, message);
}

static const struct interrupts_events interrupts_events = {
    .on_answer = on_interrupt_answer, .on_settled = on_settled, .on_stuck = on_stuck};

void engine_resolve(struct engine *engine, const struct interrupt_answer *answer)
{
    interrupts_resolve(&engine->interrupts, answer);
}

/* ---- start and cancel */

int engine_started(struct engine *engine)
{
    int rc = rs_run_start(engine->run);
    if (rc != RS_OK)
        return rc;
    engine->started = true;
    engine_set_state(engine, ENGINE_RUNNING);
    rearm_limit(engine);
    return RS_OK;
}

static void cancel(struct engine *engine, struct span reason)
{
    if (engine->state == ENGINE_STARTING) {
        engine_end_unstarted(engine);
        return;
    }
    if (engine->state != ENGINE_RUNNING)
        return;
    engine_set_state(engine, ENGINE_CANCELLING);
    ev_timer_stop(engine->options.loop, &engine->limit);
    tools_cancel(&engine->tools);
    interrupts_cancel(&engine->interrupts);
    agent_append_run_cancel(&engine->scratch, engine->run_id, reason);
    engine_send_scratch(engine);
    process_stop(engine->process, PROCESS_STOP_ASK);
}

void engine_cancel(struct engine *engine, struct span reason)
{
    cancel(engine, reason);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct engine *engine = watcher->data;
    if (engine->state == ENGINE_STARTING) {
        engine_fail(engine, "run_timeout", SPAN_LITERAL("the run passed its deadline"), true,
            PROCESS_STOP_TERM);
    } else if (engine->state == ENGINE_RUNNING) {
        engine->timed_out = true;
        cancel(engine, SPAN_LITERAL("deadline"));
    }
}

static void start_timers(struct engine *engine)
{
    ev_timer_init(&engine->turn, on_turn, 0., 0.);
    ev_timer_init(&engine->limit, on_limit, 0., 0.);
    ev_timer_init(&engine->deadline_timer, on_deadline, 0., 0.);
    engine->turn.data = engine;
    engine->limit.data = engine;
    engine->deadline_timer.data = engine;
    rearm_limit(engine);
    if (engine->deadline) {
        uint64_t now = clock_wall_ms();
        uint64_t left = engine->deadline > now ? engine->deadline - now : 0;
        set_timer(engine, &engine->deadline_timer, seconds_of(left));
    }
}

/* ---- life */

static int refuse(
    struct engine_refusal *ret_refusal, const char *code, const char *what, const char *reason)
{
    snprintf(ret_refusal->code, sizeof(ret_refusal->code), "%s", code);
    snprintf(ret_refusal->message, sizeof(ret_refusal->message), "%s: %s", what, reason);
    return -ECANCELED;
}

static bool copy_id(char ret_id[IDENTIFIER_SIZE], struct span id, bool optional)
{
    if (id.len == 0 && optional)
        return true;
    if (!identifier_valid(id))
        return false;
    memcpy(ret_id, id.data, id.len);
    return true;
}

static bool copy_request(struct engine *engine, const struct engine_request *request)
{
    engine->deadline = request->deadline;
    buffer_append_span(&engine->content, request->content);
    return copy_id(engine->run_id, request->run_id, false) &&
           copy_id(engine->user_id, request->user_id, false) &&
           copy_id(engine->thread_id, request->thread_id, false) &&
           copy_id(engine->request_id, request->request_id, true) &&
           copy_id(engine->message_id, request->message_id, true) &&
           buffer_error(&engine->content) == 0 && json_scan_valid(request->content);
}

static int open_run(struct engine *engine)
{
    const struct rs_run_context context = {.user_id = engine->user_id,
        .thread_id = engine->thread_id,
        .agent = engine_agent(engine)->name,
        .run_id = engine->run_id,
        .request_id = engine->request_id[0] ? engine->request_id : NULL};
    return rs_run_open(&engine->run, engine->options.emitter, &context);
}

static void prepare_tools(struct engine *engine)
{
    const struct engine_options *options = &engine->options;
    const struct tools_options tools = {.loop = options->loop,
        .agent = engine_agent(engine),
        .mcp = &options->pool->mcp,
        .run = engine->run,
        .interrupts = &engine->interrupts,
        .run_id = engine->run_id,
        .calls_max = options->limits->tools_max,
        .output_max = options->limits->tool_output_max,
        .unattended = options->limits->unattended};
    tools_init(&engine->tools, &tools, &tools_events, engine);
}

static int prepare(
    struct engine *engine, const struct engine_request *request, struct engine_refusal *ret_refusal)
{
    if (!copy_request(engine, request))
        return refuse(
            ret_refusal, "invalid_argument", "the request cannot be run", "it is not well-formed");
    int rc = open_run(engine);
    if (rc == RS_E_FENCED)
        engine->options.events->on_emitter_lost(engine->options.context, rc);
    if (rc != RS_OK)
        return refuse(
            ret_refusal, "unavailable", "no events can be written for this user", rs_strerror(rc));
    rc = start_process(engine);
    if (rc < 0)
        return refuse(
            ret_refusal, "agent_start_failed", "the agent could not be started", strerror(-rc));
    return 0;
}

int engine_new(struct engine **ret_engine, const struct engine_options *options,
    const struct engine_request *request, struct engine_refusal *ret_refusal)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return refuse(
            ret_refusal, "unavailable", "the worker cannot take the run", "out of memory");
    engine->options = *options;
    list_init(&engine->tools.calls);
    list_init(&engine->interrupts.asked);
    int rc = prepare(engine, request, ret_refusal);
    if (rc < 0) {
        engine_free(engine);
        return rc;
    }
    prepare_tools(engine);
    interrupts_init(&engine->interrupts, options->loop, engine->run, &interrupts_events, engine);
    start_timers(engine);
    dialogue_initialize(engine);
    *ret_engine = engine;
    return 0;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    ev_timer_stop(engine->options.loop, &engine->turn);
    ev_timer_stop(engine->options.loop, &engine->limit);
    ev_timer_stop(engine->options.loop, &engine->deadline_timer);
    tools_deinit(&engine->tools);
    interrupts_deinit(&engine->interrupts);
    recall_deinit(engine);
    process_free(engine->process);
    if (engine->run)
        rs_run_drop(engine->run);
    rs_run_free(engine->run);
    buffer_deinit(&engine->content);
    buffer_deinit(&engine->scratch);
    buffer_deinit(&engine->ending.text);
    buffer_deinit(&engine->ending.result);
    buffer_deinit(&engine->ending.usage);
    free(engine);
}

const char *engine_run_id(const struct engine *engine)
{
    return engine->run_id;
}

struct pool *engine_pool(const struct engine *engine)
{
    return engine->options.pool;
}

struct process *engine_process(const struct engine *engine)
{
    return engine->process;
}

bool engine_is_blocked(const struct engine *engine)
{
    return engine->blocked;
}

bool engine_spoke_late(const struct engine *engine)
{
    return engine->spoke_late;
}

bool engine_is_second_hand(const struct engine *engine)
{
    return engine->second_hand;
}

void engine_check_memory(struct engine *engine)
{
    uint64_t limit = engine_agent(engine)->limits.memory;
    if (!limit || engine_is_over(engine))
        return;
    uint64_t bytes = process_memory(engine->process);
    if (bytes <= limit)
        return;
    char message[128];
    snprintf(message, sizeof(message), "the agent took %llu MiB of memory, it may have %llu",
        (unsigned long long)bytes >> 20, (unsigned long long)limit >> 20);
    engine_fail(engine, "agent_out_of_memory", span_of_string(message), true, PROCESS_STOP_KILL);
}

bool engine_is_open(const struct engine *engine)
{
    return engine->state < ENGINE_LEAVING;
}
