/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the ring after each call. */
#include "emitter-test.h"

#include <stdio.h>

static void test_start_carries_the_context(void **state)
{
    struct node *node = *state;
    struct rs_run_context context = {.user_id = "ann",
        .thread_id = "t-1",
        .agent = "tester",
        .run_id = "r-9",
        .request_id = "q-1",
        .parent_run_id = "r-8",
        .input_json = "[1, \"two\"]"};
    rs_run *run;
    struct event event;
    assert_int_equal(rs_run_open(&run, node->emitter, &context), RS_OK);
    assert_string_equal(rs_run_id(run), "r-9");
    assert_int_equal(rs_run_start(run), RS_OK);
    assert_true(node_next(&event, node, "ann"));
    assert_int_equal(event.type, EVENT_AGENT_STARTED);
    assert_true(span_is(event.run_id, "r-9"));
    assert_true(span_is(event.thread_id, "t-1"));
    assert_true(span_is(event.request_id, "q-1"));
    assert_true(span_is(event.agent, "tester"));
    assert_true(event.timestamp > 1600000000000);
    assert_true(span_is(
        event.data, "{\"agent\":\"tester\",\"input\":[1, \"two\"],\"parent_run_id\":\"r-8\"}"));
    assert_int_equal(rs_thinking_status(run, "next"), RS_OK);
    assert_true(node_next(&event, node, "ann"));
    assert_true(span_is(event.run_id, "r-9"));
    assert_int_equal(event.thread_id.len + event.request_id.len + event.agent.len, 0);
    rs_run_free(run);
}

static void test_a_run_is_given_an_id(void **state)
{
    struct node *node = *state;
    struct rs_run_context context = {.user_id = "ann", .thread_id = "t", .agent = "a"};
    rs_run *one, *two;
    assert_int_equal(rs_run_open(&one, node->emitter, &context), RS_OK);
    assert_int_equal(rs_run_open(&two, node->emitter, &context), RS_OK);
    assert_memory_equal(rs_run_id(one), "r-", 2);
    assert_string_not_equal(rs_run_id(one), rs_run_id(two));
    rs_run_free(one);
    rs_run_free(two);
    assert_string_equal(node_read(node, "ann"), "");
}

static void test_thinking_keeps_its_message_until_the_run_does_something_else(void **state)
{
    struct node *node = *state;
    struct event event;
    char first[64], second[64], third[64];
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(rs_thinking_delta(run, NULL, "so", 2, NULL), RS_OK);
    assert_int_equal(rs_thinking_delta(run, NULL, " then", 5, NULL), RS_OK);
    assert_int_equal(rs_tool_begin(NULL, run, "c-1", "x", NULL), RS_OK);
    assert_int_equal(rs_thinking_delta(run, NULL, "hm", 2, NULL), RS_OK);
    assert_true(node_next(&event, node, "ann"));
    assert_true(node_next(&event, node, "ann"));
    assert_true(span_is(event.data, "{\"delta\":\"so\"}"));
    snprintf(first, sizeof(first), "%.*s", SPAN_ARG(event.message_id));
    assert_true(node_next(&event, node, "ann"));
    snprintf(second, sizeof(second), "%.*s", SPAN_ARG(event.message_id));
    assert_true(node_next(&event, node, "ann"));
    assert_true(node_next(&event, node, "ann"));
    snprintf(third, sizeof(third), "%.*s", SPAN_ARG(event.message_id));
    assert_memory_equal(first, "m-", 2);
    assert_string_equal(first, second);
    assert_string_not_equal(first, third);
    rs_run_free(run);
}

static void test_a_tool_from_begin_to_end(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    rs_tool *tool;
    node_read(node, "ann");
    assert_int_equal(rs_tool_begin(&tool, run, "c-1", "se\"arch", "{\"q\":\"rings\"}"), RS_OK);
    assert_string_equal(rs_tool_id(tool), "c-1");
    assert_ptr_equal(rs_run_tool(run, "c-1"), tool);
    assert_int_equal(rs_tool_progress(tool, "{\"percent\":50}"), RS_OK);
    assert_int_equal(rs_tool_end(tool, RS_TOOL_OK, "[\"a\"]", NULL, NULL), RS_OK);
    assert_null(rs_run_tool(run, "c-1"));
    assert_int_equal(rs_tool_end(tool, RS_TOOL_OK, NULL, NULL, NULL), RS_E_ORDER);
    assert_string_equal(node_read(node, "ann"),
        "tool_executing tool=c-1 {\"tool_name\":\"se\\\"arch\",\"args\":{\"q\":\"rings\"}}\n"
        "partial_result tool=c-1 {\"progress\":{\"percent\":50}}\n"
        "tool_completed tool=c-1 {\"tool_name\":\"se\\\"arch\",\"status\":\"ok\","
        "\"result\":[\"a\"],\"duration_ms\":0}\n");
    rs_run_free(run);
}

static void test_a_tool_that_fails_says_why(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    rs_tool *tool;
    assert_int_equal(rs_tool_begin(&tool, run, NULL, "search", NULL), RS_OK);
    assert_memory_equal(rs_tool_id(tool), "c-", 2);
    assert_int_equal(rs_tool_end(tool, RS_TOOL_ERROR, NULL, NULL, NULL), RS_E_INVALID);
    assert_int_equal(rs_tool_end(tool, RS_TOOL_ERROR, "1", "x", "y"), RS_E_INVALID);
    assert_int_equal(rs_tool_end(tool, RS_TOOL_OK, NULL, "x", "y"), RS_E_INVALID);
    assert_int_equal(rs_tool_end(tool, (enum rs_tool_status)9, NULL, "x", "y"), RS_E_INVALID);
    node_read(node, "ann");
    assert_int_equal(rs_tool_end(tool, RS_TOOL_DENIED, NULL, "no_access", "may not"), RS_OK);
    assert_non_null(strstr(node_read(node, "ann"),
        "{\"tool_name\":\"search\",\"status\":\"denied\",\"error\":{\"code\":\"no_access\","
        "\"message\":\"may not\"},\"duration_ms\":0}\n"));
    rs_run_free(run);
}

static void test_errors_and_interrupts(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(rs_error(run, "slow", "the tool was slow", true), RS_OK);
    assert_int_equal(
        rs_interrupt_request(run, "i-1", "approval", "{\"sum\":5}", 1795000000000), RS_OK);
    assert_int_equal(rs_interrupt_resolved(run, "i-1", NULL, "true"), RS_OK);
    assert_string_equal(node_read(node, "ann"),
        "error_event {\"code\":\"slow\",\"message\":\"the tool was slow\",\"fatal\":false,"
        "\"retryable\":true}\n"
        "interrupt_requested {\"interrupt_id\":\"i-1\",\"reason\":\"approval\","
        "\"payload\":{\"sum\":5},\"expires_at\":1795000000000}\n"
        "interrupt_resolved {\"interrupt_id\":\"i-1\",\"payload\":true}\n");
    rs_run_free(run);
}

static void test_invalid_arguments_are_refused(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    char name[129];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    node_read(node, "ann");
    assert_int_equal(rs_thinking_status(run, "\xff"), RS_E_INVALID);
    assert_int_equal(rs_thinking_status(run, NULL), RS_E_INVALID);
    assert_int_equal(say(run, "a b", "x"), RS_E_INVALID);
    assert_int_equal(rs_text(run, NULL, NULL, 3, NULL), RS_E_INVALID);
    assert_int_equal(rs_tool_begin(NULL, run, "\"", "x", NULL), RS_E_INVALID);
    assert_int_equal(rs_tool_begin(NULL, run, NULL, "", NULL), RS_E_INVALID);
    assert_int_equal(rs_tool_begin(NULL, run, NULL, name, NULL), RS_E_INVALID);
    assert_int_equal(rs_tool_begin(NULL, run, NULL, "x", "{\"a\":1},\"b\":{}"), RS_E_INVALID);
    assert_int_equal(rs_error(run, "not a code", "x", false), RS_E_INVALID);
    assert_int_equal(rs_error(run, "code", NULL, false), RS_E_INVALID);
    assert_int_equal(rs_interrupt_request(run, NULL, "x", NULL, 0), RS_E_INVALID);
    assert_int_equal(rs_interrupt_request(run, "i", NULL, NULL, 0), RS_E_INVALID);
    assert_int_equal(rs_run_complete(run, RS_SUCCESS, "{", NULL), RS_E_INVALID);
    assert_int_equal(rs_run_complete(run, (enum rs_outcome)7, NULL, NULL), RS_E_INVALID);
    assert_int_equal(rs_run_fail(run, NULL, "x", false), RS_E_INVALID);
    assert_string_equal(node_read(node, "ann"), "");
    assert_false(rs_run_ended(run));
    rs_run_free(run);
}

static void test_contexts_must_name_everything(void **state)
{
    struct node *node = *state;
    const struct rs_run_context good = {
        .user_id = "ann", .thread_id = "t", .agent = "a", .run_id = "r"};
    struct rs_run_context bad[8] = {good, good, good, good, good, good, good, good};
    rs_run *run = NULL;
    bad[0].user_id = NULL;
    bad[1].thread_id = NULL;
    bad[2].agent = NULL;
    bad[3].user_id = "";
    bad[4].run_id = "r 1";
    bad[5].request_id = "\\";
    bad[6].parent_run_id = "\x7f";
    bad[7].input_json = "{";
    for (int i = 0; i < 8; i++)
        assert_int_equal(rs_run_open(&run, node->emitter, &bad[i]), RS_E_INVALID);
    assert_null(run);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_start_carries_the_context),
        NODE_TEST(test_a_run_is_given_an_id),
        NODE_TEST(test_thinking_keeps_its_message_until_the_run_does_something_else),
        NODE_TEST(test_a_tool_from_begin_to_end),
        NODE_TEST(test_a_tool_that_fails_says_why),
        NODE_TEST(test_errors_and_interrupts),
        NODE_TEST(test_invalid_arguments_are_refused),
        NODE_TEST(test_contexts_must_name_everything),
    };
    return cmocka_run_group_tests_name("emitter-events", tests, NULL, NULL);
}
