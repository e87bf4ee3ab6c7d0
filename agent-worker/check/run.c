/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of one run. `turn` comes before each wait of the loop: it drains the rings, unless they
 * are held, and does to the run what is planned when its time has come; so that is never done from
 * inside a drain.
 *
 * A full ring is made with a run of our own, of the same user: it fills the ring to the last byte
 * right behind agent_started, and is dropped, unread, when the hold ends. So it does not matter how
 * much the agent has to say; what it writes waits in its pipe, which is made small.
 *
 * `at_start` is for agents that are too quick: the ring is full before the agent is started, so its
 * answer to initialize waits, and it gets no run/start. When it waits, the process is stopped, and
 * the ring let go; what is planned is done behind agent_started, and only then the process goes on.
 */
#include "check/run.h"

#include "check/strays.h"
#include "runs/supervisor.h"

#include "base/clock.h"
#include "base/json_member.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#define MEMORY_SECONDS 0.1
#define BLOCKED_SECONDS 0.002
#define STRAYS_MS 1000
#define FILLER_BYTES 4096u

struct watched {
    struct check_stage *stage;
    const struct check_plan *plan;
    struct check_facts facts;
    struct engine *engine; /* NULL once it is gone */
    rs_run *filler;        /* while the rings are held */
    struct strays strays;
    uint64_t begun_ms, started_ms, acted_ms;
    bool due; /* what is planned is to be done now */
    ev_prepare turn;
    ev_timer act;
    ev_timer release;
    ev_timer memory;
    ev_timer blocked; /* looks whether the answer to initialize waits */
};

/* ---- events */

/* What a tool was told to do and did not; its own reasons are its own business. */
static bool is_tools_fault(const char *code)
{
    static const char *const faults[] = {"tool_not_found", "tool_start_failed", "tool_timeout",
        "tool_output_too_large", "tool_bad_output", "tool_failed"};
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        if (strcmp(code, faults[i]) == 0)
            return true;
    }
    return false;
}

static void take_tool_end(struct check_facts *facts, const struct event *event)
{
    char name[IDENTIFIER_SIZE] = "", code[IDENTIFIER_SIZE] = "";
    struct span status = json_member_value(event->data, "status");
    struct span error = json_member_value(event->data, "error");
    struct span told = json_member_inside(json_member_value(error, "code"));
    struct span tool = json_member_inside(json_member_value(event->data, "tool_name"));
    bool left = span_is(status, "\"lost\"") || span_is(status, "\"cancelled\"");
    snprintf(name, sizeof(name), "%.*s", SPAN_ARG(tool));
    snprintf(code, sizeof(code), "%.*s", SPAN_ARG(told));
    if (facts->bad_tool[0] || (!left && !is_tools_fault(code)))
        return;
    snprintf(facts->bad_tool, sizeof(facts->bad_tool), "tool %.60s %s%.60s", name,
        left ? "was still going on when the run ended" : "ended with ", left ? "" : code);
}

static void set_timer(struct watched *watched, ev_timer *timer, uint64_t ms)
{
    ev_timer_stop(watched->stage->loop, timer);
    ev_timer_set(timer, (double)ms / 1000., 0.);
    ev_timer_start(watched->stage->loop, timer);
}

static void take_start(struct watched *watched)
{
    const struct check_plan *plan = watched->plan;
    watched->started_ms = clock_monotonic_ms();
    watched->facts.started = true;
    watched->facts.start_ms = watched->started_ms - watched->begun_ms;
    if (plan->act == CHECK_WATCH)
        return;
    if (plan->at_start || plan->after_ms == 0 || plan->act == CHECK_HOLD)
        watched->due = true;
    else
        set_timer(watched, &watched->act, plan->after_ms);
}

static void on_event(void *context, const struct event *event)
{
    struct watched *watched = context;
    struct check_facts *facts = &watched->facts;
    uint64_t now_ms = clock_monotonic_ms();
    if (!span_is(event->run_id, facts->run->run_id))
        return;
    batch_run_take(facts->run, event, now_ms);
    if (event->type == EVENT_AGENT_STARTED)
        take_start(watched);
    else if (event->type == EVENT_TOOL_EXECUTING)
        facts->tools++;
    else if (event->type == EVENT_TOOL_COMPLETED)
        take_tool_end(facts, event);
    if (!event_is_terminal(event))
        return;
    if (watched->engine && engine_process(watched->engine))
        facts->end_at = process_asked(engine_process(watched->engine));
    facts->run_ms = watched->started_ms ? now_ms - watched->started_ms : 0;
    facts->to_end_ms = facts->acted ? now_ms - watched->acted_ms : 0;
}

/* ---- what is done to it */

/* Pieces of half the size each time one does not fit, down to a byte. */
static void fill(struct watched *watched)
{
    static char text[FILLER_BYTES];
    const struct rs_run_context context = {
        .user_id = CHECK_USER, .thread_id = CHECK_USER, .agent = CHECK_USER};
    if (rs_run_open(&watched->filler, watched->stage->rings.emitter, &context) != RS_OK)
        return;
    memset(text, '.', sizeof(text));
    if (rs_run_start(watched->filler) != RS_OK)
        return;
    for (size_t size = sizeof(text); size > 0; size /= 2) {
        while (rs_text(watched->filler, NULL, text, size, NULL) == RS_OK)
            ;
    }
}

static void hold(struct watched *watched)
{
    process_narrow(engine_process(watched->engine));
    fill(watched);
    set_timer(watched, &watched->release, CHECK_HOLD_MS + watched->plan->after_ms);
}

static void act(struct watched *watched)
{
    struct process *process = engine_process(watched->engine);
    watched->due = false;
    if (!process || watched->facts.run->status != BATCH_OPEN || process_exited(process))
        return;
    watched->facts.acted = true;
    watched->acted_ms = clock_monotonic_ms();
    watched->facts.act_ms = watched->acted_ms - watched->started_ms;
    switch (watched->plan->act) {
    case CHECK_WATCH: break;
    case CHECK_CANCEL:
        engine_cancel(watched->engine, SPAN_LITERAL("check"));
        kill(process_pid(process), SIGCONT);
        break;
    case CHECK_HOLD: hold(watched); break;
    case CHECK_KILL:
        strays_note(&watched->strays, process_pid(process));
        kill(process_pid(process), SIGKILL);
        break;
    }
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    struct watched *watched = watcher->data;
    if (!watched->filler)
        batch_rings_drain(&watched->stage->rings, on_event, watched);
    if (watched->due && watched->engine)
        act(watched);
}

static void on_act(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct watched *watched = watcher->data;
    watched->due = true;
}

static void let_go(struct watched *watched)
{
    if (!watched->filler)
        return;
    rs_run_drop(watched->filler);
    watched->filler = rs_run_free(watched->filler);
}

static void on_release(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct watched *watched = watcher->data;
    const struct process *process = watched->engine ? engine_process(watched->engine) : NULL;
    if (process && !process_exited(process))
        watched->facts.unread = process_unread(process);
    let_go(watched);
}

static void on_blocked(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    struct watched *watched = watcher->data;
    const struct process *process = watched->engine ? engine_process(watched->engine) : NULL;
    if (!process || process_exited(process) || !engine_is_blocked(watched->engine))
        return;
    ev_timer_stop(loop, watcher);
    kill(process_pid(process), SIGSTOP);
    let_go(watched);
}

static void on_memory(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct watched *watched = watcher->data;
    if (watched->engine)
        engine_check_memory(watched->engine);
}

/* ---- what the engine tells */

static void note_process(struct check_facts *facts, const struct process *process)
{
    struct buffer text = BUFFER_INIT;
    facts->given_back = !process;
    if (!process)
        return;
    facts->left_at = process_asked(process);
    process_describe_exit(process, &text);
    snprintf(facts->exit, sizeof(facts->exit), "%.*s", SPAN_ARG(buffer_span(&text)));
    buffer_deinit(&text);
}

static void on_gone(void *context, struct engine *engine, const struct engine_refusal *refusal)
{
    struct watched *watched = context;
    struct check_facts *facts = &watched->facts;
    let_go(watched);
    batch_rings_drain(&watched->stage->rings, on_event, watched);
    if (refusal->code[0])
        batch_run_refuse(facts->run, refusal, clock_monotonic_ms());
    facts->spoke_late = engine_spoke_late(engine);
    facts->second_hand = engine_is_second_hand(engine);
    note_process(facts, engine_process(engine));
    watched->engine = NULL;
    engine_free(engine);
    ev_break(watched->stage->loop, EVBREAK_ALL);
}

static void on_settled(void *context, uint64_t answer, const char *code, const char *message)
{
    (void)context, (void)answer, (void)code, (void)message; /* nobody asks in a check */
}

static void on_emitter_lost(void *context, int rc)
{
    (void)context, (void)rc; /* on_gone follows, with code "internal" */
}

static const struct engine_events engine_events = {
    .on_gone = on_gone, .on_settled = on_settled, .on_emitter_lost = on_emitter_lost};

/* ---- the run */

static void start_watchers(struct watched *watched)
{
    ev_prepare_init(&watched->turn, on_turn);
    ev_timer_init(&watched->act, on_act, 0., 0.);
    ev_timer_init(&watched->release, on_release, 0., 0.);
    ev_timer_init(&watched->memory, on_memory, MEMORY_SECONDS, MEMORY_SECONDS);
    ev_timer_init(&watched->blocked, on_blocked, BLOCKED_SECONDS, BLOCKED_SECONDS);
    watched->blocked.data = watched;
    watched->turn.data = watched;
    watched->act.data = watched;
    watched->release.data = watched;
    watched->memory.data = watched;
    ev_prepare_start(watched->stage->loop, &watched->turn);
    ev_timer_start(watched->stage->loop, &watched->memory);
    if (watched->plan->at_start)
        ev_timer_start(watched->stage->loop, &watched->blocked);
}

static void stop_watchers(struct watched *watched)
{
    ev_prepare_stop(watched->stage->loop, &watched->turn);
    ev_timer_stop(watched->stage->loop, &watched->act);
    ev_timer_stop(watched->stage->loop, &watched->release);
    ev_timer_stop(watched->stage->loop, &watched->memory);
    ev_timer_stop(watched->stage->loop, &watched->blocked);
}

static void start(struct watched *watched)
{
    struct engine_refusal refusal = {.code = ""};
    const struct batch_run *run = watched->facts.run;
    const struct engine_options options = {.loop = watched->stage->loop,
        .emitter = watched->stage->rings.emitter,
        .pool = watched->plan->pool,
        .limits = &watched->stage->limits,
        .events = &engine_events,
        .context = watched};
    const struct engine_request request = {.run_id = span_of_string(run->run_id),
        .user_id = SPAN_LITERAL(CHECK_USER),
        .thread_id = span_of_string(run->run_id),
        .request_id = SPAN_LITERAL(CHECK_USER),
        .content = watched->stage->content,
        .deadline = clock_wall_ms() + watched->stage->timeout_ms};
    if (engine_new(&watched->engine, &options, &request, &refusal) < 0)
        batch_run_refuse(watched->facts.run, &refusal, clock_monotonic_ms());
}

int check_run(
    struct check_facts *ret_facts, struct check_stage *stage, const struct check_plan *plan)
{
    static struct batch_request request; /* of which only that there is one matters */
    const struct batch_content content = {.user_id = CHECK_USER};
    struct watched watched = {.stage = stage, .plan = plan, .begun_ms = clock_monotonic_ms()};
    watched.facts.run = batch_run_new(&request, &content);
    if (!watched.facts.run)
        return -ENOMEM;
    start_watchers(&watched);
    if (plan->at_start)
        fill(&watched);
    start(&watched);
    if (watched.engine)
        ev_run(stage->loop, 0);
    stop_watchers(&watched);
    let_go(&watched);
    watched.facts.strays = strays_end(&watched.strays, STRAYS_MS);
    *ret_facts = watched.facts;
    return 0;
}

void check_facts_deinit(struct check_facts *facts)
{
    batch_run_free(facts->run);
    *facts = (struct check_facts){0};
}

/* ---- the stage */

int check_stage_init(struct check_stage *stage, const struct config *config)
{
    /* Not the default loop: that one would reap our children behind our back. */
    stage->loop = ev_loop_new(EVFLAG_AUTO);
    stage->limits = supervisor_limits(config);
    stage->limits.unattended = true;
    if (!stage->loop)
        return -ENOMEM;
    return batch_rings_init(&stage->rings, config);
}

void check_stage_deinit(struct check_stage *stage)
{
    batch_rings_deinit(&stage->rings);
    if (stage->loop)
        ev_loop_destroy(stage->loop);
}
