/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of tools that somebody else decides: real agents, as in test-engine.c. */
#include "worker-test.h"

#include "runs/engine_state.h"

#include <stdio.h>

#define CALL(name) "\"[{\\\"name\\\":\\\"" name "\\\",\\\"tool_call_id\\\":\\\"c-1\\\"}]\""
#define EXECUTING "tool_executing tool="
#define ASKED "interrupt_requested {\"interrupt_id\":\""

/* The interrupt_id of the last question in the events. */
static struct span asked_id(const struct bench *bench)
{
    const char *at = bench->events.data;
    struct span id = SPAN_EMPTY;
    while ((at = strstr(at, ASKED))) {
        at += sizeof(ASKED) - 1;
        id = span_of(at, strcspn(at, "\""));
    }
    return id;
}

static void answer(struct bench *bench, const char *status, const char *payload)
{
    const struct interrupt_answer answer = {.number = 1,
        .interrupt_id = asked_id(bench),
        .status = span_of_string(status),
        .payload = span_of_string(payload)};
    engine_resolve(bench->engine, &answer);
}

/* ---- approvals */

static void say_yes(struct bench *bench)
{
    assert_int_equal(count_of(bench->events.data, "tool_completed"), 0);
    answer(bench, "resolved", "{\"approved\": true}");
}

static void test_tool_runs_when_the_user_says_so(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, ASKED, say_yes);
    const char *events = bench_run(bench, "caller", CALL("guarded"));
    assert_contains(events, "\"reason\":\"May guarded be run?\",\"payload\":{\"kind\":\"approval\","
                            "\"tool_call_id\":\"c-1\",\"tool_name\":\"guarded\",\"args\":{}},"
                            "\"expires_at\":");
    assert_contains(events, "\"status\":\"ok\",\"result\":{");
    assert_contains(events, "[{\"status\": \"ok\", \"result\": {\"waited_ms\": 0}}]");
    assert_true(strstr(events, EXECUTING) < strstr(events, ASKED));
    assert_string_equal(bench->settled.data, "1: ");
}

static void say_no(struct bench *bench)
{
    answer(bench, "resolved", "{\"approved\":false,\"text\":\"not \\\"that\\\"\"}");
}

static void decline(struct bench *bench)
{
    answer(bench, "cancelled", NULL);
}

static void say_something_else(struct bench *bench)
{
    answer(bench, "resolved", "{\"approved\":\"true\"}");
}

static void say_nothing(struct bench *bench)
{
    answer(bench, "resolved", NULL);
}

static void test_everything_but_approved_true_is_a_no(void **state)
{
    static void (*const answers[])(struct bench *) = {
        say_no, decline, say_something_else, say_nothing};
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct bench *bench = *state;
        bench_when(bench, ASKED, answers[i]);
        const char *events = bench_run(bench, "caller", CALL("guarded"));
        assert_contains(events, "tool_completed tool=");
        assert_contains(events, "\"status\":\"denied\"");
        assert_contains(events, "{\"status\": \"denied\", \"error\": {\"code\": \"tool_denied\", "
                                "\"message\": \"the user did not allow it");
        if (i == 0)
            assert_contains(events, "did not allow it: not \\\"that\\\"\"");
        bench_down(state);
        bench_up(state);
    }
}

static void test_question_that_nobody_answers_denies_the_call(void **state)
{
    const char *events = bench_run(*state, "caller", CALL("hasty"));
    assert_contains(events, "\"reason\":\"expired\"}");
    assert_contains(events, "\"status\":\"denied\"");
    assert_contains(events, "approval_expired");
}

static void test_tool_that_is_denied_asks_nobody(void **state)
{
    const char *events = bench_run(*state, "caller", CALL("forbidden"));
    assert_int_equal(count_of(events, ASKED), 0);
    assert_int_equal(count_of(events, EXECUTING), 1);
    assert_contains(events, "the configuration does not allow it");
    assert_contains(events, "{\"status\": \"denied\", \"error\": {\"code\": \"tool_denied\"");
}

static void test_where_nobody_is_there_nothing_is_allowed(void **state)
{
    struct bench *bench = *state;
    bench->limits.unattended = true;
    const char *events = bench_run(
        bench, "caller", "\"[{\\\"name\\\":\\\"guarded\\\"},{\\\"name\\\":\\\"page\\\"}]\"");
    assert_int_equal(count_of(events, ASKED), 0);
    assert_contains(events, "[{\"status\": \"denied\", \"error\": {\"code\": \"tool_denied\", "
                            "\"message\": \"there is nobody to ask\"}}");
    assert_contains(events, "\"code\": \"tool_unavailable\"");
}

static void cancel(struct bench *bench)
{
    engine_cancel(bench->engine, SPAN_LITERAL("enough"));
    answer(bench, "resolved", "{\"approved\":true}");
}

static void test_cancelled_run_takes_its_question_with_it(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, ASKED, cancel);
    const char *events = bench_run(bench, "caller", CALL("guarded"));
    assert_string_equal(bench->settled.data, "1:already_resolved ");
    assert_int_equal(count_of(events, "tool_completed tool="), 1);
    assert_contains(events, "\"status\":\"cancelled\"");
    assert_contains(events, "agent_completed cancelled");
}

static void kill_it(struct bench *bench)
{
    engine_kill(bench->engine);
}

static void test_run_that_ends_forgets_its_question(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, ASKED, kill_it);
    bench_start(bench, "caller", CALL("guarded"));
    bench_finish(bench);
}

/* ---- tools that the client does */

static void give(struct bench *bench)
{
    answer(bench, "resolved", "{\"title\":\n\"Rings\"}");
}

static void test_answer_of_the_client_is_the_result(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, ASKED, give);
    const char *events = bench_run(bench, "caller",
        "\"[{\\\"name\\\":\\\"page\\\",\\\"tool_call_id\\\":\\\"c-1\\\",\\\"args\\\":{\\\"a\\\":1}}"
        "]\"");
    assert_contains(events, "\"payload\":{\"kind\":\"tool\",\"tool_call_id\":\"c-1\","
                            "\"tool_name\":\"page\",\"args\":{\"a\": 1}}");
    assert_contains(events, "{\"status\": \"ok\", \"result\": {\"title\": \"Rings\"}}");
}

static void test_client_that_answers_nothing_gives_null(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, ASKED, say_nothing);
    assert_contains(
        bench_run(bench, "caller", CALL("page")), "{\"status\": \"ok\", \"result\": null}");
}

static void fail_with_a_reason(struct bench *bench)
{
    answer(bench, "cancelled", "{\"code\":\"no_page\",\"message\":\"nothing is open\"}");
}

static void test_client_may_fail_with_a_reason_or_without(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, ASKED, fail_with_a_reason);
    const char *events = bench_run(bench, "caller", CALL("page"));
    assert_contains(events, "{\"status\": \"error\", \"error\": {\"code\": \"no_page\", "
                            "\"message\": \"nothing is open\"}}");
    bench_down(state);
    bench_up(state);
    bench = *state;
    bench_when(bench, ASKED, decline);
    assert_contains(bench_run(bench, "caller", CALL("page")), "\"code\": \"tool_refused\"");
}

static void test_client_that_does_not_answer_is_a_timeout(void **state)
{
    const char *events = bench_run(*state, "caller", CALL("page_now"));
    assert_contains(events, "{\"status\": \"error\", \"error\": {\"code\": \"tool_timeout\"");
}

static void give_after_yes(struct bench *bench)
{
    give(bench);
}

static void allow_first(struct bench *bench)
{
    bench_when(bench, "\"kind\":\"tool\"", give_after_yes);
    answer(bench, "resolved", "{\"approved\":true}");
}

static void test_call_of_the_client_may_need_approval_first(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "\"kind\":\"approval\"", allow_first);
    const char *events = bench_run(bench, "caller", CALL("page_ask"));
    assert_int_equal(count_of(events, ASKED), 2);
    assert_int_equal(count_of(events, EXECUTING), 1);
    assert_contains(events, "{\"title\": \"Rings\"}");
}

/* ---- arguments */

static void test_arguments_that_do_not_fit_reach_neither_tool_nor_user(void **state)
{
    const char *events = bench_run(
        *state, "caller", "\"[{\\\"name\\\":\\\"strict\\\",\\\"args\\\":{\\\"ms\\\":11}}]\"");
    assert_int_equal(count_of(events, EXECUTING), 1);
    assert_int_equal(count_of(events, ASKED), 0);
    assert_contains(events, "{\"status\": \"error\", \"error\": {\"code\": \"tool_bad_arguments\", "
                            "\"message\": \"args.ms is more than 10\"}}");
}

/* ---- limits */

static void end_it(struct bench *bench)
{
    engine_cancel(bench->engine, SPAN_LITERAL("enough"));
}

static void test_more_questions_than_may_be_open_are_denied(void **state)
{
    struct bench *bench = *state;
    struct buffer content = BUFFER_INIT;
    bench->limits.tools_max = INTERRUPTS_MAX + 1;
    buffer_append_string(&content, "\"[{\\\"name\\\":\\\"guarded\\\"}");
    for (int i = 0; i < INTERRUPTS_MAX; i++)
        buffer_append_string(&content, ",{\\\"name\\\":\\\"guarded\\\"}");
    buffer_append(&content, "]\"", sizeof("]\""));
    bench_when(bench, "too many questions", end_it);
    const char *events = bench_run(bench, "caller", content.data);
    assert_int_equal(count_of(events, ASKED), INTERRUPTS_MAX);
    assert_int_equal(count_of(events, "\"status\":\"denied\""), 1);
    assert_int_equal(count_of(events, "tool_completed tool="), INTERRUPTS_MAX + 1);
    buffer_deinit(&content);
}

static void test_arguments_that_no_question_can_carry_are_denied(void **state)
{
    struct buffer content = BUFFER_INIT;
    buffer_append_string(&content, "\"[{\\\"name\\\":\\\"guarded\\\",\\\"args\\\":{\\\"a\\\":\\\"");
    for (size_t i = 0; i < EVENT_MAX - 180; i++)
        buffer_append_char(&content, 'x');
    buffer_append(&content, "\\\"}}]\"", sizeof("\\\"}}]\""));
    const char *events = bench_run(*state, "caller", content.data);
    assert_contains(events, "its arguments are larger than a question may be");
    assert_int_equal(count_of(events, "\"status\":\"denied\""), 1);
    buffer_deinit(&content);
}

static bool is_blocked(struct bench *bench)
{
    return bench->engine->blocked;
}

/* The ring has room for tool_executing with its large arguments, and not for the question. */
static void test_question_waits_for_room_in_the_ring(void **state)
{
    struct bench *bench = *state;
    char status[1000];
    struct buffer content = BUFFER_INIT;
    rs_run *filler = run_started(bench->node->emitter, USER);
    memset(status, 's', sizeof(status));
    status[sizeof(status) - 1] = '\0';
    for (size_t i = 0; i < RING_BYTES * 3 / 4 / 1100; i++)
        assert_int_equal(rs_thinking_status(filler, status), RS_OK);
    buffer_append_string(&content, "\"[{\\\"name\\\":\\\"hasty\\\",\\\"args\\\":{\\\"a\\\":\\\"");
    for (size_t i = 0; i < EVENT_MAX - 1500; i++)
        buffer_append_char(&content, 'x');
    buffer_append(&content, "\\\"}}]\"", sizeof("\\\"}}]\""));
    bench->reading = false;
    bench_start(bench, "caller", content.data);
    bench_until(bench, is_blocked);
    bench->reading = true;
    rs_run_drop(filler);
    const char *events = bench_finish(bench);
    assert_int_equal(count_of(events, ASKED), 1);
    assert_int_equal(count_of(events, EXECUTING), 1);
    assert_contains(events, "approval_expired");
    rs_run_free(filler);
    buffer_deinit(&content);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tool_runs_when_the_user_says_so),
        TEST(test_everything_but_approved_true_is_a_no),
        TEST(test_question_that_nobody_answers_denies_the_call),
        TEST(test_tool_that_is_denied_asks_nobody),
        TEST(test_where_nobody_is_there_nothing_is_allowed),
        TEST(test_cancelled_run_takes_its_question_with_it),
        TEST(test_run_that_ends_forgets_its_question),
        TEST(test_answer_of_the_client_is_the_result),
        TEST(test_client_that_answers_nothing_gives_null),
        TEST(test_client_may_fail_with_a_reason_or_without),
        TEST(test_client_that_does_not_answer_is_a_timeout),
        TEST(test_call_of_the_client_may_need_approval_first),
        TEST(test_arguments_that_do_not_fit_reach_neither_tool_nor_user),
        TEST(test_more_questions_than_may_be_open_are_denied),
        TEST(test_arguments_that_no_question_can_carry_are_denied),
        TEST(test_question_waits_for_room_in_the_ring),
    };
    bench_use(argc > 1 ? argv[1] : "tests/agents/ringside.yaml");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
