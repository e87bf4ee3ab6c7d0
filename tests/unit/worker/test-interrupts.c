/* SPDX-License-Identifier: Apache-2.0 */
/* Agents that ask people: real ones, as in test-engine.c. */
#include "worker-test.h"

#include "tools/interrupts.h"

#include "base/clock.h"

#include <stdio.h>

#define ASK_ONE                                                                                    \
    "\"{\\\"ask\\\":[{\\\"interrupt_id\\\":\\\"i-1\\\",\\\"reason\\\":\\\"May I?\\\"}]}\""
#define REQUESTED "interrupt_requested {\"interrupt_id\":\"i-1\",\"reason\":\"May I?\"}"

static void resolve_with(
    struct bench *bench, uint64_t number, const char *status, struct span payload)
{
    const struct interrupt_answer answer = {.number = number,
        .interrupt_id = SPAN_LITERAL("i-1"),
        .status = span_of_string(status),
        .payload = payload};
    engine_resolve(bench->engine, &answer);
}

static void resolve(struct bench *bench, uint64_t number, const char *status, const char *payload)
{
    resolve_with(bench, number, status, span_of_string(payload));
}

/* ---- answers */

static void answer_twice(struct bench *bench)
{
    resolve(bench, 1, "resolved", "{\"go\":\n true}");
    resolve(bench, 2, "cancelled", NULL);
}

static void test_first_answer_reaches_the_agent_and_later_ones_are_told(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, REQUESTED, answer_twice);
    const char *events = bench_run(bench, "asker", ASK_ONE);
    assert_string_equal(bench->settled.data, "1: 2:already_resolved ");
    assert_contains(events, "interrupt_resolved {\"interrupt_id\":\"i-1\",\"reason\":\"resolved\","
                            "\"payload\":{\"go\":  true}}");
    assert_contains(events, "{\"delta\": \"{\\\"interrupt_id\\\":\\\"i-1\\\",\\\"status\\\":"
                            "\\\"resolved\\\",\\\"payload\\\":{\\\"go\\\":true}}");
    assert_contains(events, "\"outcome\":\"success\"");
}

static void refuse(struct bench *bench)
{
    resolve(bench, 7, "cancelled", NULL);
}

static void test_refusal_is_an_answer_without_a_payload(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, REQUESTED, refuse);
    const char *events = bench_run(bench, "asker", ASK_ONE);
    assert_string_equal(bench->settled.data, "7: ");
    assert_contains(
        events, "interrupt_resolved {\"interrupt_id\":\"i-1\",\"reason\":\"cancelled\"}");
    assert_contains(events, "\\\"status\\\":\\\"cancelled\\\"}");
}

static void answer_too_much(struct bench *bench)
{
    static char payload[EVENT_MAX + 3];
    memset(payload, 'x', sizeof(payload));
    payload[0] = payload[sizeof(payload) - 1] = '"';
    resolve_with(bench, 1, "resolved", span_of(payload, sizeof(payload)));
    resolve(bench, 2, "resolved", "1");
}

static void test_answer_too_large_for_an_event_is_refused_and_the_question_stays(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, REQUESTED, answer_too_much);
    const char *events = bench_run(bench, "asker", ASK_ONE);
    assert_string_equal(bench->settled.data, "1:payload_too_large 2: ");
    assert_int_equal(count_of(events, "interrupt_resolved "), 1);
    assert_contains(events, "\"payload\":1}");
}

static void answer_what_is_not_asked(struct bench *bench)
{
    const struct interrupt_answer answer = {
        .number = 3, .interrupt_id = SPAN_LITERAL("i-9"), .status = SPAN_LITERAL("resolved")};
    engine_resolve(bench->engine, &answer);
    resolve(bench, 4, "resolved", NULL);
}

static void test_answer_to_what_is_not_asked_comes_too_late(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, REQUESTED, answer_what_is_not_asked);
    bench_run(bench, "asker", ASK_ONE);
    assert_string_equal(bench->settled.data, "3:already_resolved 4: ");
}

/* ---- time */

static void test_question_expires_and_waiting_for_it_is_no_stall(void **state)
{
    struct bench *bench = *state;
    char content[256];
    bench->limits.idle_timeout_ms = 100;
    snprintf(content, sizeof(content),
        "\"{\\\"ask\\\":[{\\\"interrupt_id\\\":\\\"i-1\\\",\\\"reason\\\":\\\"?\\\","
        "\\\"expires_at\\\":%llu}]}\"",
        (unsigned long long)clock_wall_ms() + 500);
    const char *events = bench_run(bench, "asker", content);
    assert_contains(events, "\"expires_at\":");
    assert_contains(events, "interrupt_resolved {\"interrupt_id\":\"i-1\",\"reason\":\"expired\"}");
    assert_contains(events, "\\\"status\\\":\\\"expired\\\"}");
    assert_contains(events, "\"outcome\":\"success\"");
}

static void test_question_that_has_expired_already_is_over_at_once(void **state)
{
    const char *events = bench_run(
        *state, "asker", "\"{\\\"ask\\\":[{\\\"reason\\\":\\\"?\\\",\\\"expires_at\\\":1}]}\"");
    assert_contains(events, "\"reason\":\"expired\"}");
    assert_contains(events, "\"interrupt_id\":\"i-"); /* made for it */
}

/* ---- ends */

static void cancel(struct bench *bench)
{
    engine_cancel(bench->engine, SPAN_LITERAL("enough"));
    resolve(bench, 1, "resolved", NULL);
}

static void test_cancelled_run_takes_its_question_with_it(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, REQUESTED, cancel);
    const char *events = bench_run(bench, "asker", ASK_ONE);
    assert_string_equal(bench->settled.data, "1:already_resolved ");
    assert_contains(events, "\\\"status\\\":\\\"cancelled\\\"}");
    assert_int_equal(count_of(events, "interrupt_resolved"), 0);
    assert_contains(events, "agent_completed cancelled");
}

static rs_run *filler;

static void answer_into_a_full_ring(struct bench *bench)
{
    filler = run_started(bench->node->emitter, USER);
    bench->reading = false;
    fill_ring(filler);
    resolve(bench, 1, "resolved", NULL);
    resolve(bench, 2, "resolved", NULL); /* the first counts, though it is not told yet */
    assert_string_equal(bench->settled.data, "2:already_resolved ");
}

static bool is_answered(struct bench *bench)
{
    return bench->awaited == NULL;
}

static void test_answer_waits_for_room_in_the_ring(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, REQUESTED, answer_into_a_full_ring);
    bench_start(bench, "asker", ASK_ONE);
    bench_until(bench, is_answered);
    bench->reading = true;
    rs_run_drop(filler);
    const char *events = bench_finish(bench);
    assert_string_equal(bench->settled.data, "2:already_resolved 1: ");
    assert_int_equal(count_of(events, "interrupt_resolved {"), 1);
    assert_contains(events, "\"outcome\":\"success\"");
    rs_run_free(filler);
}

static void answer_and_kill(struct bench *bench)
{
    answer_into_a_full_ring(bench);
    engine_kill(bench->engine);
}

static void test_answer_that_the_runs_end_overtakes_is_told(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, REQUESTED, answer_and_kill);
    bench_start(bench, "asker", ASK_ONE);
    bench_finish(bench);
    assert_string_equal(bench->settled.data, "2:already_resolved 1:already_finished ");
    rs_run_drop(filler);
    rs_run_free(filler);
}

/* ---- agents that ask badly */

static void test_what_is_no_question_is_refused(void **state)
{
    struct bench *bench = *state;
    const char *events = bench_run(bench, "asker",
        "\"{\\\"ask\\\":[{},{\\\"reason\\\":1},{\\\"reason\\\":\\\"?\\\",\\\"interrupt_id\\\":"
        "\\\"a b"
        "\\\"},{\\\"reason\\\":\\\"?\\\",\\\"expires_at\\\":\\\"soon\\\"}]}\"");
    assert_int_equal(count_of(events, "-32602"), 4);
    assert_int_equal(count_of(events, "interrupt_requested"), 0);
    assert_contains(events, "\"outcome\":\"success\"");
}

static void test_nobody_is_asked_where_there_is_nobody(void **state)
{
    struct bench *bench = *state;
    bench->limits.unattended = true;
    const char *events = bench_run(bench, "asker", ASK_ONE);
    assert_contains(events, "nobody to ask");
    assert_int_equal(count_of(events, "interrupt_requested"), 0);
    assert_contains(events, "\"outcome\":\"success\"");
}

static void answer_all(struct bench *bench)
{
    resolve(bench, 1, "resolved", NULL);
}

static void test_identifier_is_used_once(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "-32602", answer_all);
    const char *events = bench_run(bench, "asker",
        "\"{\\\"ask\\\":[{\\\"interrupt_id\\\":\\\"i-1\\\",\\\"reason\\\":\\\"May I?\\\"},"
        "{\\\"interrupt_id\\\":\\\"i-1\\\",\\\"reason\\\":\\\"Again?\\\"}]}\"");
    assert_contains(events, "used before");
    assert_int_equal(count_of(events, "interrupt_requested"), 1);
}

static void end_it(struct bench *bench)
{
    engine_cancel(bench->engine, SPAN_LITERAL("enough"));
}

static void test_questions_of_a_run_are_bounded(void **state)
{
    struct bench *bench = *state;
    struct buffer content = BUFFER_INIT;
    buffer_append_string(&content, "\"{\\\"ask\\\":[{\\\"reason\\\":\\\"?\\\"}");
    for (int i = 0; i < INTERRUPTS_MAX; i++)
        buffer_append_string(&content, ",{\\\"reason\\\":\\\"?\\\"}");
    buffer_append(&content, "]}\"", 4);
    bench_when(bench, "-32000", end_it);
    const char *events = bench_run(bench, "asker", content.data);
    assert_int_equal(count_of(events, "interrupt_requested"), INTERRUPTS_MAX);
    assert_contains(events, "too many interrupts");
    buffer_deinit(&content);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_answer_reaches_the_agent_and_later_ones_are_told),
        TEST(test_refusal_is_an_answer_without_a_payload),
        TEST(test_answer_too_large_for_an_event_is_refused_and_the_question_stays),
        TEST(test_answer_to_what_is_not_asked_comes_too_late),
        TEST(test_question_expires_and_waiting_for_it_is_no_stall),
        TEST(test_question_that_has_expired_already_is_over_at_once),
        TEST(test_cancelled_run_takes_its_question_with_it),
        TEST(test_answer_waits_for_room_in_the_ring),
        TEST(test_answer_that_the_runs_end_overtakes_is_told),
        TEST(test_what_is_no_question_is_refused),
        TEST(test_nobody_is_asked_where_there_is_nobody),
        TEST(test_identifier_is_used_once),
        TEST(test_questions_of_a_run_are_bounded),
    };
    bench_use(argc > 1 ? argv[1] : "tests/agents/ringside.yaml");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
