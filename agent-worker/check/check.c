/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The script: which runs an agent is put through, and what their facts mean. A plain run comes
 * first; what it shows decides which others make sense. Every run but those of `reuse` has a
 * process of its own, so that one check leaves nothing to the next.
 *
 * The moment of a cancel or a kill is the middle of a run, as long as the plain one took. An agent
 * may be quicker the second time: then it is tried once more, before it can have begun.
 */
#include "check/check.h"

#include "base/json.h"
#include "json/view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define MOMENT_MAX_MS 2000
#define HOLD_MORE_MAX_MS 3000
#define REUSES 3

struct check {
    struct check_stage *stage;
    struct registry registry; /* with this agent alone */
    struct registry_agent agent;
    struct check_agent *results;
    struct check_facts plain; /* of the first run */
};

/* ---- results */

static void set(struct check *check, enum check_name name, enum check_verdict verdict,
    const char *advice, const char *format, ...) __attribute__((format(printf, 5, 6)));

static void set(struct check *check, enum check_name name, enum check_verdict verdict,
    const char *advice, const char *format, ...)
{
    struct check_result *result = &check->results->results[name];
    va_list args;
    result->verdict = verdict;
    result->advice = advice;
    va_start(args, format);
    vsnprintf(result->text, sizeof(result->text), format, args);
    va_end(args);
}

static void rest_does_not_apply(struct check *check, enum check_name from, const char *why)
{
    for (unsigned name = from; name < CHECK_COUNT; name++) {
        if (check->results->results[name].verdict == CHECK_NOT_APPLICABLE)
            set(check, name, CHECK_NOT_APPLICABLE, NULL, "%s", why);
    }
}

/* "code: message" of a run that failed, as a C string. */
static void describe_end(const struct batch_run *run, char ret_text[1300])
{
    struct buffer message = BUFFER_INIT;
    if (run->status != BATCH_FAILED)
        snprintf(ret_text, 1300, "it ended as %s", batch_status_name(run->status));
    else if (!json_string(&message, buffer_span(&run->message)))
        snprintf(ret_text, 1300, "%s", run->code);
    else
        snprintf(ret_text, 1300, "%s: %.*s", run->code, SPAN_ARG(buffer_span(&message)));
    buffer_deinit(&message);
}

static bool failed_with(const struct check_facts *facts, const char *code)
{
    return facts->run->status == BATCH_FAILED && strcmp(facts->run->code, code) == 0;
}

static const char *advice_for(const struct check_facts *facts)
{
    static const struct {
        const char *code, *advice;
    } known[] = {
        {"agent_protocol_error",
            "write messages to stdout and nothing else, one JSON object a line, "
            "as docs/agents.md has them; print to stderr"},
        {"agent_start_failed",
            "answer initialize at once, before anything slow is loaded, or raise "
            "worker.start_timeout"},
        {"agent_stalled", "show that there is progress (agent_thinking), or raise "
                          "worker.idle_timeout"},
        {"agent_crashed", "say run/finished or run/failed before the program ends"},
        {"agent_out_of_memory", "take less, or raise limits.memory"},
        {"agent_out_of_cpu_time", "take less, or raise limits.cpu_time"},
        {"run_timeout", "give an --input that is answered sooner, or a longer --timeout"},
        {"result_too_large", "give a smaller result; long text is for partial_result"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (failed_with(facts, known[i].code))
            return known[i].advice;
    }
    return "give an --input that it can answer";
}

/* ---- runs */

/* A pool for this plan alone: nothing started ahead. */
static void make_pool(struct check *check, struct pool *pool, uint64_t uses)
{
    check->agent.pool.min_idle = 0;
    check->agent.pool.max_uses = uses;
    if (pool_init(pool, check->stage->loop, &check->agent, &check->stage->limits) == 0)
        mcp_set_await(&pool->mcp, check->stage->loop);
}

static int run_planned(struct check *check, struct check_plan plan, struct check_facts *ret_facts)
{
    struct pool pool;
    make_pool(check, &pool, 1);
    plan.pool = &pool;
    int rc = check_run(ret_facts, check->stage, &plan);
    pool_deinit(&pool);
    return rc;
}

/* In the middle of a run; when it was over by then, once more at its start. */
static int run_and_act(struct check *check, enum check_act act, struct check_facts *ret_facts)
{
    uint64_t middle = check->plain.run_ms / 2;
    struct check_plan plan = {
        .act = act, .after_ms = middle < MOMENT_MAX_MS ? middle : MOMENT_MAX_MS};
    int rc = run_planned(check, plan, ret_facts);
    if (rc < 0 || (ret_facts->acted && ret_facts->run->status != BATCH_COMPLETED))
        return rc;
    check_facts_deinit(ret_facts);
    plan.at_start = true;
    return run_planned(check, plan, ret_facts);
}

/* ---- the plain run */

static void judge_tools(struct check *check)
{
    const struct check_facts *facts = &check->plain;
    if (check->agent.tool_count == 0 && facts->tools == 0)
        set(check, CHECK_TOOLS, CHECK_NOT_APPLICABLE, NULL, "it has none");
    else if (facts->tools == 0)
        set(check, CHECK_TOOLS, CHECK_NOT_APPLICABLE, "give an --input that makes it call one",
            "it called none");
    else if (facts->bad_tool[0])
        set(check, CHECK_TOOLS, CHECK_FAILED,
            "wait for the answer of tool/call before run/finished; try the tool by hand: "
            "docs/agents.md, \"Tools\"",
            "%s", facts->bad_tool);
    else
        set(check, CHECK_TOOLS, CHECK_OK, NULL, "%u calls", facts->tools);
}

static void judge_stdout(struct check *check)
{
    const struct check_facts *facts = &check->plain;
    if (failed_with(facts, "agent_protocol_error"))
        set(check, CHECK_STDOUT, CHECK_FAILED, advice_for(facts),
            "it wrote to stdout what is no message, or not one of its own");
    else if (facts->spoke_late)
        set(check, CHECK_STDOUT, CHECK_FAILED,
            "let run/finished or run/failed be the last that is written",
            "it went on writing to stdout behind the message that ended its run");
    else
        set(check, CHECK_STDOUT, CHECK_OK, NULL, "%s", "");
}

static void judge_shutdown(struct check *check)
{
    const struct check_facts *facts = &check->plain;
    if (facts->left_at <= PROCESS_STOP_ASK)
        set(check, CHECK_SHUT_DOWN, CHECK_OK, NULL, "it %s", facts->exit);
    else
        set(check, CHECK_SHUT_DOWN, CHECK_FAILED,
            "read stdin on when a run is over: exit at shutdown, and when stdin ends",
            "it was still there %llu ms after shutdown, and %s",
            (unsigned long long)check->stage->limits.cancel_grace_ms, facts->exit);
}

/* Whether the others make sense. */
static bool judge_plain(struct check *check)
{
    char end[1300];
    const struct check_facts *facts = &check->plain;
    describe_end(facts->run, end);
    if (!facts->started) {
        set(check, CHECK_START, CHECK_FAILED, advice_for(facts), "%s", end);
        rest_does_not_apply(check, CHECK_RUN, "it does not start");
        return false;
    }
    set(check, CHECK_START, CHECK_OK, NULL, "%llu ms", (unsigned long long)facts->start_ms);
    judge_stdout(check);
    if (facts->run->status != BATCH_COMPLETED) {
        set(check, CHECK_RUN, CHECK_FAILED, advice_for(facts), "%s", end);
        rest_does_not_apply(check, CHECK_RUN, "its run fails");
        return false;
    }
    set(check, CHECK_RUN, CHECK_OK, NULL, "%llu ms", (unsigned long long)facts->run_ms);
    judge_tools(check);
    judge_shutdown(check);
    return true;
}

/* ---- the others */

static void too_quick(struct check *check, enum check_name name)
{
    set(check, name, CHECK_NOT_APPLICABLE, "give an --input that takes longer",
        "its run was over before");
}

static int check_cancel(struct check *check)
{
    struct check_facts facts;
    int rc = run_and_act(check, CHECK_CANCEL, &facts);
    if (rc < 0)
        return rc;
    if (!facts.acted || facts.run->status == BATCH_COMPLETED)
        too_quick(check, CHECK_CANCELLED);
    else if (facts.end_at <= PROCESS_STOP_ASK)
        set(check, CHECK_CANCELLED, CHECK_OK, NULL, "it stopped after %llu ms",
            (unsigned long long)facts.to_end_ms);
    else
        set(check, CHECK_CANCELLED, CHECK_FAILED,
            "read stdin while you work; at run/cancel stop, and say run/finished with \"outcome\": "
            "\"cancelled\"",
            "it was still at it %llu ms after run/cancel (worker.cancel_grace)",
            (unsigned long long)check->stage->limits.cancel_grace_ms);
    check_facts_deinit(&facts);
    return 0;
}

static int check_crash(struct check *check)
{
    char end[1300];
    struct check_facts facts;
    int rc = run_and_act(check, CHECK_KILL, &facts);
    if (rc < 0)
        return rc;
    describe_end(facts.run, end);
    if (!facts.acted || facts.run->status == BATCH_COMPLETED)
        too_quick(check, CHECK_CRASHED);
    else if (facts.strays)
        set(check, CHECK_CRASHED, CHECK_FAILED,
            "let what you start stay in your process group (no setsid, no daemons)",
            "%u of its processes lived on when it had been killed", facts.strays);
    else if (!failed_with(&facts, "agent_crashed"))
        set(check, CHECK_CRASHED, CHECK_FAILED, NULL,
            "it was killed, and its run did not end as agent_crashed: %s", end);
    else
        set(check, CHECK_CRASHED, CHECK_OK, NULL, "after %llu ms its run ended as agent_crashed",
            (unsigned long long)facts.to_end_ms);
    check_facts_deinit(&facts);
    return 0;
}

static bool same_text(const struct check_facts *one, const struct check_facts *other)
{
    return span_equal(buffer_span(&one->run->text), buffer_span(&other->run->text));
}

/* Its text differs from the first run's: is it one that never says the same? 1 if so. */
static int varies(struct check *check)
{
    struct check_facts again;
    int rc = run_planned(check, (struct check_plan){.act = CHECK_WATCH}, &again);
    if (rc < 0)
        return rc;
    rc = !same_text(&again, &check->plain);
    check_facts_deinit(&again);
    return rc;
}

static int judge_pressure(struct check *check, const struct check_facts *facts)
{
    char end[1300];
    describe_end(facts->run, end);
    if (!facts->acted) {
        too_quick(check, CHECK_PRESSED);
        return 0;
    }
    if (facts->run->status != BATCH_COMPLETED) {
        set(check, CHECK_PRESSED, CHECK_FAILED,
            "let writes to stdout block, as long as it takes; do not set it to O_NONBLOCK",
            "while nobody took its events it failed: %s", end);
        return 0;
    }
    int rc = same_text(facts, &check->plain) ? 1 : varies(check);
    if (rc < 0)
        return rc;
    if (rc == 0)
        set(check, CHECK_PRESSED, CHECK_FAILED,
            "write all of a message, however often write has to be called; drop none",
            "while nobody took its events it lost some: %zu bytes of text, and %zu otherwise",
            facts->run->text.len, check->plain.run->text.len);
    else if (facts->unread)
        set(check, CHECK_PRESSED, CHECK_OK, NULL, "it waited, with %zu bytes unread",
            facts->unread);
    else
        set(check, CHECK_PRESSED, CHECK_OK, NULL, "it had nothing to wait with");
    return 0;
}

static int check_pressure(struct check *check)
{
    struct check_facts facts;
    uint64_t more = check->plain.run_ms < HOLD_MORE_MAX_MS ? check->plain.run_ms : HOLD_MORE_MAX_MS;
    int rc = run_planned(check, (struct check_plan){.act = CHECK_HOLD, .after_ms = more}, &facts);
    if (rc < 0)
        return rc;
    rc = judge_pressure(check, &facts);
    check_facts_deinit(&facts);
    return rc;
}

static void judge_reuse(struct check *check, const struct check_facts *facts, unsigned run)
{
    char end[1300];
    describe_end(facts->run, end);
    if (facts->run->status != BATCH_COMPLETED)
        set(check, CHECK_REUSED, CHECK_FAILED,
            "keep nothing from one run to the next, or leave max_uses at 1",
            "run %u of one process: %s", run, end);
    else if (run > 1 && !facts->second_hand)
        set(check, CHECK_REUSED, CHECK_FAILED,
            "stay, say nothing, and wait for initialize again when a run is over",
            "behind run %u its process left, or went on writing", run - 1);
    else if (run < REUSES && !facts->given_back)
        set(check, CHECK_REUSED, CHECK_FAILED,
            "say nothing behind run/finished, read all that is sent, take less than "
            "pool.max_memory; or leave max_uses at 1",
            "its process could not be used again after run %u", run);
    else
        set(check, CHECK_REUSED, CHECK_OK, NULL, "%u runs", run);
}

static int check_reuse(struct check *check, uint64_t uses)
{
    struct pool pool;
    int rc = 0;
    if (uses < 2) {
        set(check, CHECK_REUSED, CHECK_NOT_APPLICABLE, NULL, "pool.max_uses is 1");
        return 0;
    }
    make_pool(check, &pool, uses < REUSES ? REUSES : uses);
    const struct check_plan plan = {.pool = &pool, .act = CHECK_WATCH};
    for (unsigned run = 1; rc == 0 && run <= REUSES; run++) {
        struct check_facts facts;
        rc = check_run(&facts, check->stage, &plan);
        if (rc < 0)
            break;
        judge_reuse(check, &facts, run);
        check_facts_deinit(&facts);
        if (check->results->results[CHECK_REUSED].verdict == CHECK_FAILED)
            break;
    }
    pool_deinit(&pool);
    return rc;
}

/* ---- an agent */

static int go_through(struct check *check)
{
    uint64_t uses = check->agent.pool.max_uses;
    int rc = run_planned(check, (struct check_plan){.act = CHECK_WATCH}, &check->plain);
    if (rc < 0 || !judge_plain(check))
        return rc;
    rc = check_cancel(check);
    if (!rc)
        rc = check_crash(check);
    if (!rc)
        rc = check_pressure(check);
    if (!rc)
        rc = check_reuse(check, uses);
    return rc;
}

static void cannot_run(struct check *check, const struct buffer *problems)
{
    set(check, CHECK_START, CHECK_FAILED, "mend the configuration", "%.*s",
        SPAN_ARG(json_trim(buffer_span(problems))));
    rest_does_not_apply(check, CHECK_RUN, "it does not start");
}

int check_agent(struct check_agent *ret_agent, struct check_stage *stage,
    const struct config *config, const struct config_agent *agent)
{
    struct check check = {.stage = stage, .results = ret_agent};
    struct config alone = *config; /* borrows everything; never deinitialised */
    struct config_agent only = *agent;
    struct buffer problems = BUFFER_INIT;
    alone.agents = &only;
    alone.agent_count = 1;
    *ret_agent = (struct check_agent){.name = agent->name};
    int rc = registry_init(&check.registry, &alone, &problems);
    if (rc == 0) {
        check.agent = check.registry.agents[0];
        rc = go_through(&check);
        check_facts_deinit(&check.plain);
        registry_deinit(&check.registry);
    } else if (rc == -ENOEXEC) {
        cannot_run(&check, &problems);
        rc = 0;
    }
    buffer_deinit(&problems);
    return rc;
}

unsigned check_failures(const struct check_agent *agent)
{
    unsigned failures = 0;
    for (unsigned name = 0; name < CHECK_COUNT; name++)
        failures += agent->results[name].verdict == CHECK_FAILED;
    return failures;
}

const char *check_title(enum check_name name)
{
    static const char *const titles[] = {
#define CHECK(symbol, title) [CHECK_##symbol] = title,
#include "check/checks.def"
#undef CHECK
    };
    return titles[name];
}
