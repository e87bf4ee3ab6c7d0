/* SPDX-License-Identifier: Apache-2.0 */
/* However a run ends, nothing of it stays open. */
#include "emitter-test.h"

#define STARTED "agent_started {\"agent\":\"tester\"}\n"

/* A run with an open tool, an open text and an open interrupt, read up to there. */
static rs_run *busy_run(struct node *node)
{
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(rs_tool_begin(NULL, run, "c-1", "search", NULL), RS_OK);
    assert_int_equal(say(run, "m-1", "half a"), RS_OK);
    assert_int_equal(rs_interrupt_request(run, "i-1", "approval", NULL, 0), RS_OK);
    node_read(node, "ann");
    return run;
}

static void test_success_closes_what_is_open(void **state)
{
    struct node *node = *state;
    rs_run *run = busy_run(node);
    assert_false(rs_run_ended(run));
    assert_int_equal(rs_run_complete(run, RS_SUCCESS, "{\"n\":1}", "{\"tokens\":2}"), RS_OK);
    assert_true(rs_run_ended(run));
    assert_string_equal(node_read(node, "ann"),
        "tool_completed tool=c-1 {\"tool_name\":\"search\",\"status\":\"lost\","
        "\"error\":{\"code\":\"tool_lost\",\"message\":\"the run ended before the tool did\"},"
        "\"duration_ms\":0}\n"
        "partial_result message=m-1 final {\"delta\":\"\",\"final\":true}\n"
        "agent_completed {\"outcome\":\"success\",\"result\":{\"n\":1},"
        "\"usage\":{\"tokens\":2}}\n");
    rs_run_free(run);
    assert_string_equal(node_read(node, "ann"), "");
}

static void test_cancelling_says_so_everywhere(void **state)
{
    struct node *node = *state;
    rs_run *run = busy_run(node);
    assert_int_equal(rs_run_complete(run, RS_CANCELLED, NULL, NULL), RS_OK);
    assert_string_equal(node_read(node, "ann"),
        "tool_completed tool=c-1 {\"tool_name\":\"search\",\"status\":\"cancelled\","
        "\"error\":{\"code\":\"cancelled\",\"message\":\"the run ended before the tool did\"},"
        "\"duration_ms\":0}\n"
        "partial_result message=m-1 final {\"delta\":\"\",\"final\":true,\"truncated\":true}\n"
        "agent_completed cancelled {\"outcome\":\"cancelled\"}\n");
    rs_run_free(run);
}

static void test_an_interrupted_run_leaves_its_question_open(void **state)
{
    struct node *node = *state;
    rs_run *run = busy_run(node);
    assert_int_equal(rs_run_complete(run, RS_INTERRUPT, NULL, NULL), RS_OK);
    assert_string_equal(node_read(node, "ann"),
        "tool_completed tool=c-1 {\"tool_name\":\"search\",\"status\":\"cancelled\","
        "\"error\":{\"code\":\"cancelled\",\"message\":\"the run ended before the tool did\"},"
        "\"duration_ms\":0}\n"
        "partial_result message=m-1 final {\"delta\":\"\",\"final\":true}\n"
        "agent_completed {\"outcome\":\"interrupt\"}\n");
    rs_run_free(run);
}

static void test_failure_is_fatal_and_last(void **state)
{
    struct node *node = *state;
    rs_run *run = busy_run(node);
    assert_int_equal(rs_run_fail(run, "model_gone", "no answer", true), RS_OK);
    assert_string_equal(node_read(node, "ann"),
        "tool_completed tool=c-1 {\"tool_name\":\"search\",\"status\":\"lost\","
        "\"error\":{\"code\":\"tool_lost\",\"message\":\"the run ended before the tool did\"},"
        "\"duration_ms\":0}\n"
        "partial_result message=m-1 final {\"delta\":\"\",\"final\":true,\"truncated\":true}\n"
        "error_event fatal {\"code\":\"model_gone\",\"message\":\"no answer\",\"fatal\":true,"
        "\"retryable\":true}\n");
    rs_run_free(run);
}

static void test_a_run_that_ends_first_is_started(void **state)
{
    struct node *node = *state;
    rs_run *run = run_new(node->emitter, "ann");
    assert_int_equal(rs_run_complete(run, RS_CANCELLED, NULL, NULL), RS_OK);
    assert_string_equal(
        node_read(node, "ann"), STARTED "agent_completed cancelled {\"outcome\":\"cancelled\"}\n");
    rs_run_free(run);
}

static void test_freeing_an_open_run_ends_it(void **state)
{
    struct node *node = *state;
    rs_run *run = busy_run(node);
    rs_run_free(run);
    const char *script = node_read(node, "ann");
    assert_non_null(strstr(script, "tool_completed tool=c-1"));
    assert_non_null(strstr(script, "error_event fatal {\"code\":\"agent_failed\","));
}

static void test_freeing_a_run_never_started_leaves_no_trace(void **state)
{
    struct node *node = *state;
    rs_run_free(run_new(node->emitter, "ann"));
    assert_string_equal(node_read(node, "ann"), "");
    assert_null(rs_run_free(NULL));
}

static void test_a_dropped_run_emits_nothing_more(void **state)
{
    struct node *node = *state;
    rs_run *run = busy_run(node);
    rs_run_drop(run);
    assert_true(rs_run_ended(run));
    rs_run_free(run);
    assert_string_equal(node_read(node, "ann"), "");
}

static void test_an_end_too_big_closes_nothing(void **state)
{
    struct node *node = *state;
    rs_run *run = busy_run(node);
    char result[RING_BYTES / 2];
    memset(result, 'x', sizeof(result));
    result[0] = result[sizeof(result) - 2] = '"';
    result[sizeof(result) - 1] = '\0';
    assert_int_equal(rs_run_complete(run, RS_SUCCESS, result, NULL), RS_E_TOO_BIG);
    assert_string_equal(node_read(node, "ann"), "");
    assert_non_null(rs_run_tool(run, "c-1"));
    rs_run_free(run);
}

static void test_an_end_goes_on_where_the_ring_was_full(void **state)
{
    struct node *node = *state;
    rs_run *run = busy_run(node);
    struct event event;
    fill_ring(run);
    assert_int_equal(rs_run_complete(run, RS_SUCCESS, NULL, NULL), RS_E_FULL);
    assert_false(rs_run_ended(run));
    assert_true(node_next(&event, node, "ann"));
    node_release(node, "ann");
    for (int round = 0; rs_run_complete(run, RS_SUCCESS, NULL, NULL) == RS_E_FULL; round++) {
        assert_true(round < 100);
        assert_true(node_next(&event, node, "ann"));
        node_release(node, "ann");
    }
    const char *script = node_read(node, "ann");
    const char *tool = strstr(script, "tool_completed");
    assert_non_null(tool);
    assert_null(strstr(tool + 1, "tool_completed"));
    assert_non_null(strstr(tool, "agent_completed {\"outcome\":\"success\"}\n"));
    rs_run_free(run);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_success_closes_what_is_open),
        NODE_TEST(test_cancelling_says_so_everywhere),
        NODE_TEST(test_an_interrupted_run_leaves_its_question_open),
        NODE_TEST(test_failure_is_fatal_and_last),
        NODE_TEST(test_a_run_that_ends_first_is_started),
        NODE_TEST(test_freeing_an_open_run_ends_it),
        NODE_TEST(test_freeing_a_run_never_started_leaves_no_trace),
        NODE_TEST(test_a_dropped_run_emits_nothing_more),
        NODE_TEST(test_an_end_too_big_closes_nothing),
        NODE_TEST(test_an_end_goes_on_where_the_ring_was_full),
    };
    return cmocka_run_group_tests_name("emitter-end", tests, NULL, NULL);
}
