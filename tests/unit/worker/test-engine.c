/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real agents as real processes, against a real arena: however an agent behaves, its run ends in
 * one terminal event, which is its last, and nothing of it is left behind (bench_down looks).
 */
#include "worker-test.h"

#include "runs/engine_state.h"
#include "wire/message.h"

#include <poll.h>
#include <stdio.h>

#define STARTED "agent_started {\"agent\":"
#define HELLO "\"hello there\""

/* One terminal event, and nothing behind it. */
static void assert_ends_once(const char *events)
{
    const char *end = strstr(events, "agent_completed ");
    const char *fatal = strstr(events, "error_event fatal ");
    if (!end == !fatal)
        fail_msg("not just one terminal event in:\n%s", events);
    const char *newline = strchr(end ? end : fatal, '\n');
    assert_non_null(newline);
    assert_int_equal(newline[1], '\0');
    assert_int_equal(count_of(events, STARTED), 1);
    assert_int_equal(count_of(events, "tool_executing "), count_of(events, "tool_completed "));
}

static void assert_fails_with(const char *events, const char *code)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"code\":\"%s\"", code);
    assert_ends_once(events);
    const char *fatal = strstr(events, "error_event fatal ");
    assert_non_null(fatal);
    assert_contains(fatal, text);
}

/* ---- agents that behave */

static void test_a_run_is_started_said_and_completed(void **state)
{
    const char *events = bench_run(*state, "echo", HELLO);
    assert_ends_once(events);
    assert_contains(events, "{\"delta\": \"hello\"");
    assert_contains(events, "{\"delta\": \" there\"");
    assert_contains(events, "agent_completed {\"outcome\":\"success\",\"result\":{\"words\": 2}}");
    assert_string_equal(((struct bench *)*state)->refusal.code, "");
}

static void test_the_librarian_answers_with_its_tools(void **state)
{
    const char *events = bench_run(*state, "librarian", "\"What is in a ring?\"");
    assert_ends_once(events);
    assert_true(count_of(events, "tool_completed ") >= 3);
    assert_int_equal(count_of(events, "\"status\":\"ok\""), count_of(events, "tool_completed "));
    assert_contains(events, "\"outcome\":\"success\"");
}

static void test_text_larger_than_an_event_arrives_in_parts(void **state)
{
    char content[3 * EVENT_MAX];
    memset(content, '~', sizeof(content));
    content[0] = '"';
    content[sizeof(content) - 2] = '"';
    content[sizeof(content) - 1] = '\0';
    const char *events = bench_run(*state, "echo", content);
    assert_ends_once(events);
    assert_true(count_of(events, "{\"delta\":\"~~~") >= 3);
    assert_int_equal(count_of(events, "~"), sizeof(content) - 3);
}

static void test_an_agent_may_fail_its_run(void **state)
{
    const char *events =
        bench_run(*state, "slow", "\"{\\\"steps\\\":1,\\\"fail\\\":\\\"no_luck\\\"}\"");
    assert_fails_with(events, "no_luck");
    assert_contains(events, "\"retryable\":false");
}

/* ---- agents that do not */

static void test_a_crash_names_the_signal_and_the_last_words(void **state)
{
    const char *events = bench_run(*state, "crash", HELLO);
    assert_fails_with(events, "agent_crashed");
    assert_contains(events, "killed by signal 11");
    assert_contains(events, "something is very wrong");
    assert_contains(events, "\"status\":\"lost\"");
    assert_contains(events, "\"truncated\":true");
}

static void test_leaving_without_finishing_is_a_crash(void **state)
{
    const char *events = bench_run(*state, "exits", HELLO);
    assert_fails_with(events, "agent_crashed");
    assert_contains(events, "exited with status 3");
}

static void test_leaving_before_it_started_is_refused_with_its_last_words(void **state)
{
    struct bench *bench = *state;
    assert_string_equal(bench_run(bench, "exits-at-start", HELLO), "");
    assert_string_equal(bench->refusal.code, "agent_start_failed");
    assert_contains(bench->refusal.message, "status 1");
    assert_contains(bench->refusal.message, "no configuration");
}

static void test_garbage_on_stdout_is_a_protocol_error(void **state)
{
    const char *events = bench_run(*state, "garbage", HELLO);
    assert_fails_with(events, "agent_protocol_error");
    assert_contains(events, "Loading model");
}

static void test_an_endless_line_is_a_protocol_error(void **state)
{
    struct bench *bench = *state;
    bench->limits.line_max = 100000;
    const char *events = bench_run(bench, "longline", HELLO);
    assert_fails_with(events, "agent_protocol_error");
    assert_contains(events, "too_long");
}

static void test_silence_is_a_stall(void **state)
{
    struct bench *bench = *state;
    bench->limits.idle_timeout_ms = 200;
    assert_fails_with(bench_run(bench, "silent", HELLO), "agent_stalled");
}

/* Until the limit is over, and the agent has gone on. */
static void stand_still(struct bench *bench)
{
    bench->limits.idle_timeout_ms = 20000;
    for (int patience = 0; patience < 20000 && !process_unread(bench->engine->process); patience++)
        poll(NULL, 0, 1);
}

static void make_the_next_limit_short(struct bench *bench)
{
    bench->limits.idle_timeout_ms = 1;
    bench_when(bench, "{\"delta\": \"2 \"}", stand_still);
}

static void test_who_speaks_while_the_worker_stands_still_is_not_stalled(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "{\"delta\": \"1 \"}", make_the_next_limit_short);
    const char *events = bench_run(bench, "slow", "\"{\\\"steps\\\":5,\\\"pause_ms\\\":20}\"");
    assert_ends_once(events);
    assert_contains(events, "agent_completed {\"outcome\":\"success\"}");
}

static void test_no_answer_to_initialize_is_refused(void **state)
{
    struct bench *bench = *state;
    bench->limits.start_timeout_ms = 200;
    assert_string_equal(bench_run(bench, "silent-at-start", HELLO), "");
    assert_string_equal(bench->refusal.code, "agent_start_failed");
}

static void test_an_agent_that_does_not_leave_is_killed_and_its_run_stays_completed(void **state)
{
    const char *events = bench_run(*state, "lingering", HELLO);
    assert_ends_once(events);
    assert_contains(events, "agent_completed {\"outcome\":\"success\"}");
}

/* ---- cancel, kill, deadline */

static void cancel(struct bench *bench)
{
    engine_cancel(bench->engine, SPAN_LITERAL("user"));
}

static void assert_cancelled(const char *events)
{
    assert_ends_once(events);
    assert_contains(events, "agent_completed cancelled {\"outcome\":\"cancelled\"}");
}

static void test_cancel_ends_an_agent_that_honours_it(void **state)
{
    struct bench *bench = *state;
    bench->limits.cancel_grace_ms = 20000;
    bench_when(bench, "{\"delta\": \"3 \"}", cancel);
    assert_cancelled(bench_run(bench, "slow", "\"{\\\"steps\\\":100000}\""));
}

static void test_cancel_ends_an_agent_that_refuses(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "I will not stop", cancel);
    assert_cancelled(bench_run(bench, "stubborn", HELLO));
}

static void test_cancel_ends_a_tool_that_is_running(void **state)
{
    struct bench *bench = *state;
    bench->limits.cancel_grace_ms = 20000;
    bench_when(bench, "tool_executing", cancel);
    const char *events = bench_run(bench, "slow", "\"{\\\"tool_ms\\\":600000}\"");
    assert_cancelled(events);
    assert_contains(events, "\"status\":\"cancelled\"");
}

static void test_cancel_before_the_agent_is_up_ends_the_run_as_cancelled(void **state)
{
    struct bench *bench = *state;
    bench_start(bench, "silent-at-start", HELLO);
    cancel(bench);
    assert_cancelled(bench_finish(bench));
}

static void test_a_run_that_has_not_begun_is_handed_back_without_an_event(void **state)
{
    struct bench *bench = *state;
    bench_start(bench, "silent-at-start", HELLO);
    assert_true(engine_hand_back(bench->engine));
    const char *events = bench_finish(bench);
    assert_string_equal(events, "");
    assert_string_equal(bench->refusal.code, WIRE_HANDED_BACK);
}

static void try_to_hand_back(struct bench *bench)
{
    assert_false(engine_hand_back(bench->engine));
}

static void test_a_run_that_has_begun_is_not_handed_back(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "agent_started ", try_to_hand_back);
    assert_ends_once(bench_run(bench, "echo", HELLO));
}

static void kill_run(struct bench *bench)
{
    engine_kill(bench->engine);
}

static void test_a_killed_run_emits_nothing_more(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "{\"delta\": \"3 \"}", kill_run);
    const char *events = bench_run(bench, "slow", "\"{\\\"steps\\\":100000,\\\"pause_ms\\\":1}\"");
    assert_int_equal(count_of(events, "agent_completed"), 0);
    assert_int_equal(count_of(events, "error_event"), 0);
    assert_string_equal(bench->refusal.code, "");
}

static void test_a_run_past_its_deadline_times_out(void **state)
{
    struct bench *bench = *state;
    bench->run_deadline_ms = 3000; /* long enough to get going on a busy machine */
    const char *events = bench_run(bench, "slow", "\"{\\\"steps\\\":100000}\"");
    assert_fails_with(events, "run_timeout");
}

static void test_a_run_that_passes_its_deadline_before_it_starts_is_refused(void **state)
{
    struct bench *bench = *state;
    bench->run_deadline_ms = 1;
    assert_string_equal(bench_run(bench, "silent-at-start", HELLO), "");
    assert_string_equal(bench->refusal.code, "run_timeout");
}

static void test_usage_too_large_for_an_event_leaves_the_failure_as_it_is(void **state)
{
    struct buffer content = BUFFER_INIT;
    buffer_append_string(&content,
        "\"{\\\"steps\\\":1,\\\"fail\\\":\\\"no_luck\\\",\\\"usage\\\":{\\\"pages\\\":\\\"");
    for (int i = 0; i < 100000; i++)
        buffer_append_char(&content, 'x');
    buffer_append_string(&content, "\\\"}}\"");
    buffer_append_char(&content, '\0');
    const char *events = bench_run(*state, "slow", content.data);
    buffer_deinit(&content);
    assert_fails_with(events, "no_luck");
    assert_int_equal(count_of(events, "usage"), 0);
}

/* ---- tools */

static void test_a_result_too_large_for_an_event_reaches_the_agent(void **state)
{
    const char *events = bench_run(*state, "bigtool", HELLO);
    assert_ends_once(events);
    assert_contains(events, "\"result\":{\"truncated\":true,\"bytes\":100002}");
    assert_contains(events, "\"bytes\": 100000");
}

static void test_every_way_a_tool_fails_has_its_code(void **state)
{
    static const char *const codes[] = {"tool_not_found", "tool_output_too_large",
        "tool_bad_output", "tool_failed", "no_such_file", "tool_timeout"};
    const char *events = bench_run(*state, "badtools", HELLO);
    const char *at = events;
    assert_ends_once(events);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "\"error\":{\"code\":\"%s\"", codes[i]);
        assert_contains(at, text);
        at = strstr(at, text);
        snprintf(text, sizeof(text), "\"code\": \"%s\"", codes[i]);
        assert_contains(events, text); /* and the agent was told the same */
    }
    assert_contains(events, "the disk is on fire");
}

/* ---- a full ring */

static bool other_is_gone(struct bench *bench)
{
    return bench->others == 0;
}

static void test_a_full_ring_holds_one_run_back_and_no_other(void **state)
{
    struct bench *bench = *state;
    bench->reading = false;
    bench_start(bench, "flood", "\"{\\\"events\\\":5000,\\\"bytes\\\":50}\"");
    bench_start_other(bench, "echo", HELLO);
    bench_until(bench, other_is_gone);
    assert_non_null(bench->engine); /* it has nowhere to go */
    bench->reading = true;
    const char *events = bench_finish(bench);
    assert_ends_once(events);
    assert_contains(events, "\"outcome\":\"success\"");
    const char *at = events;
    for (int number = 1; number <= 5000; number++) {
        char text[32];
        snprintf(text, sizeof(text), "{\"delta\": \"%d.", number);
        at = strstr(at, text);
        if (!at)
            fail_msg("number %d is missing or out of order", number);
    }
    assert_int_equal(count_of(events, "{\"delta\": "), 5000);
}

static void test_a_full_ring_delays_the_end_of_a_run(void **state)
{
    struct bench *bench = *state;
    rs_run *filler = run_started(bench->node->emitter, USER);
    fill_ring(filler);
    bench->reading = false;
    bench->limits.cancel_grace_ms = 1;
    bench_start(bench, "stubborn", HELLO);
    bench_start_other(bench, "echo", HELLO);
    bench_until(bench, other_is_gone);
    cancel(bench);
    bench_start_other(bench, "echo", HELLO);
    bench_until(bench, other_is_gone);
    assert_non_null(bench->engine);
    bench->reading = true;
    rs_run_drop(filler);
    const char *events = bench_finish(bench);
    assert_contains(events, "agent_completed cancelled {\"outcome\":\"cancelled\"}");
    assert_int_equal(count_of(events, "agent_completed"), 1);
    rs_run_free(filler);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_is_started_said_and_completed),
        TEST(test_the_librarian_answers_with_its_tools),
        TEST(test_text_larger_than_an_event_arrives_in_parts),
        TEST(test_an_agent_may_fail_its_run),
        TEST(test_a_crash_names_the_signal_and_the_last_words),
        TEST(test_leaving_without_finishing_is_a_crash),
        TEST(test_leaving_before_it_started_is_refused_with_its_last_words),
        TEST(test_garbage_on_stdout_is_a_protocol_error),
        TEST(test_an_endless_line_is_a_protocol_error),
        TEST(test_silence_is_a_stall),
        TEST(test_who_speaks_while_the_worker_stands_still_is_not_stalled),
        TEST(test_no_answer_to_initialize_is_refused),
        TEST(test_an_agent_that_does_not_leave_is_killed_and_its_run_stays_completed),
        TEST(test_cancel_ends_an_agent_that_honours_it),
        TEST(test_cancel_ends_an_agent_that_refuses),
        TEST(test_cancel_ends_a_tool_that_is_running),
        TEST(test_cancel_before_the_agent_is_up_ends_the_run_as_cancelled),
        TEST(test_a_run_that_has_not_begun_is_handed_back_without_an_event),
        TEST(test_a_run_that_has_begun_is_not_handed_back),
        TEST(test_a_killed_run_emits_nothing_more),
        TEST(test_a_run_past_its_deadline_times_out),
        TEST(test_a_run_that_passes_its_deadline_before_it_starts_is_refused),
        TEST(test_usage_too_large_for_an_event_leaves_the_failure_as_it_is),
        TEST(test_a_result_too_large_for_an_event_reaches_the_agent),
        TEST(test_every_way_a_tool_fails_has_its_code),
        TEST(test_a_full_ring_holds_one_run_back_and_no_other),
        TEST(test_a_full_ring_delays_the_end_of_a_run),
    };
    bench_use(argc > 1 ? argv[1] : "tests/agents/ringside.yaml");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
