/* SPDX-License-Identifier: Apache-2.0 */
/* Events whose data an agent made. */
#include "emitter-test.h"

static void test_what_the_agent_left_out_is_filled_in(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(
        rs_emit(run, "tool_executing", NULL, "c-1", "{\"tool_name\":\"se\\u0061rch\" }"), RS_OK);
    assert_int_equal(rs_emit(run, "tool_completed", NULL, "c-1",
                         "{\"status\":\"ok\",\"result\":{\"tool_name\":\"inner\"}}"),
        RS_OK);
    assert_int_equal(
        rs_emit(run, "error_event", NULL, NULL, "{\"code\":\"slow\",\"message\":\"\"}"), RS_OK);
    assert_string_equal(node_read(node, "ann"),
        "tool_executing tool=c-1 {\"tool_name\":\"se\\u0061rch\",\"args\":{}}\n"
        "tool_completed tool=c-1 {\"status\":\"ok\",\"result\":{\"tool_name\":\"inner\"},"
        "\"tool_name\":\"se\\u0061rch\",\"duration_ms\":0}\n"
        "error_event {\"code\":\"slow\",\"message\":\"\",\"fatal\":false,\"retryable\":false}\n");
    rs_run_free(run);
}

static void test_the_agents_own_members_pass(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(
        rs_emit(run, "agent_thinking", "m-9", NULL, " {\"status\":\"x\",\"step\":[1,{}]} "), RS_OK);
    assert_int_equal(rs_emit(run, "partial_result", "m-1", NULL,
                         "{\"delta\":\"whole\",\"final\":true,\"lang\":\"en\"}"),
        RS_OK);
    assert_string_equal(node_read(node, "ann"),
        "agent_thinking message=m-9  {\"status\":\"x\",\"step\":[1,{}]}\n"
        "partial_result message=m-1 final {\"delta\":\"whole\",\"final\":true,\"lang\":\"en\"}\n");
    assert_int_equal(rs_text_final(run, "m-1"), RS_E_ORDER);
    rs_run_free(run);
}

static void test_both_ways_to_emit_share_one_grammar(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(
        rs_emit(run, "tool_executing", NULL, "c-1", "{\"tool_name\":\"a\",\"args\":[]}"), RS_OK);
    rs_tool *tool = rs_run_tool(run, "c-1");
    assert_non_null(tool);
    assert_int_equal(rs_tool_end(tool, RS_TOOL_OK, NULL, NULL, NULL), RS_OK);
    assert_int_equal(
        rs_emit(run, "tool_completed", NULL, "c-1", "{\"status\":\"ok\"}"), RS_E_ORDER);
    assert_int_equal(rs_emit(run, "interrupt_requested", NULL, NULL,
                         "{\"interrupt_id\":\"i\",\"reason\":\"ask\"}"),
        RS_OK);
    assert_int_equal(rs_interrupt_resolved(run, "i", NULL, NULL), RS_OK);
    assert_int_equal(
        rs_emit(run, "interrupt_resolved", NULL, NULL, "{\"interrupt_id\":\"i\"}"), RS_E_ORDER);
    rs_run_free(run);
}

static void test_a_fatal_error_of_the_agent_ends_the_run(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(say(run, "m-1", "x"), RS_OK);
    node_read(node, "ann");
    assert_int_equal(rs_emit(run, "error_event", NULL, NULL,
                         "{\"code\":\"bad\",\"message\":\"no\",\"fatal\":true}"),
        RS_OK);
    assert_true(rs_run_ended(run));
    assert_string_equal(node_read(node, "ann"),
        "partial_result message=m-1 final {\"delta\":\"\",\"final\":true,\"truncated\":true}\n"
        "error_event fatal {\"code\":\"bad\",\"message\":\"no\",\"fatal\":true,"
        "\"retryable\":false}\n");
    rs_run_free(run);
}

static void test_a_completion_of_the_agent_is_flagged_by_its_outcome(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(
        rs_emit(run, "agent_completed", NULL, NULL, "{\"outcome\":\"cancelled\"}"), RS_OK);
    assert_string_equal(
        node_read(node, "ann"), "agent_completed cancelled {\"outcome\":\"cancelled\"}\n");
    rs_run_free(run);
}

static const struct row {
    const char *type;
    const char *message_id;
    const char *tool_call_id;
    const char *data;
    int expected;
} refused[] = {
    {"agent_started", NULL, NULL, "{\"agent\":\"a\"}", RS_E_TYPE},
    {"run_queued", NULL, NULL, "{}", RS_E_TYPE},
    {"chat_message", NULL, NULL, "{}", RS_E_TYPE},
    {"agent_exploded", NULL, NULL, "{}", RS_E_TYPE},
    {"agent_thinking", NULL, NULL, "{}", RS_E_INVALID},
    {"agent_thinking", NULL, NULL, "{\"status\":\"a\",\"delta\":\"b\"}", RS_E_INVALID},
    {"agent_thinking", NULL, NULL, "{\"status\":1}", RS_E_INVALID},
    {"agent_thinking", NULL, "c-1", "{\"status\":\"a\"}", RS_E_INVALID},
    {"agent_thinking", NULL, NULL, "{\"status\":\"a\"},{}", RS_E_INVALID},
    {"agent_thinking", NULL, NULL, "[\"status\"]", RS_E_INVALID},
    {"agent_thinking", "a b", NULL, "{\"status\":\"a\"}", RS_E_INVALID},
    {"partial_result", NULL, NULL, "{\"final\":true}", RS_E_INVALID},
    {"partial_result", NULL, NULL, "{\"delta\":\"a\",\"final\":1}", RS_E_INVALID},
    {"partial_result", NULL, NULL, "{\"delta\":\"a\",\"delta\":\"b\"}", RS_E_INVALID},
    {"partial_result", NULL, NULL, "{\"delta\":\"a\",\"fin\\u0061l\":true}", RS_E_INVALID},
    {"partial_result", "m-1", "c-1", "{\"delta\":\"a\"}", RS_E_INVALID},
    {"partial_result", NULL, "c-1", "{\"delta\":\"a\"}", RS_E_INVALID},
    {"tool_executing", NULL, "c-2", "{\"args\":{}}", RS_E_INVALID},
    {"tool_executing", NULL, "c-2", "{\"tool_name\":\"\"}", RS_E_INVALID},
    {"tool_executing", NULL, NULL, "{\"tool_name\":\"a\"}", RS_E_INVALID},
    {"tool_executing", "m-1", "c-2", "{\"tool_name\":\"a\"}", RS_E_INVALID},
    {"tool_executing", NULL, "c-1", "{\"tool_name\":\"a\"}", RS_E_ORDER},
    {"tool_completed", NULL, "c-1", "{}", RS_E_INVALID},
    {"tool_completed", NULL, "c-1", "{\"status\":\"fine\"}", RS_E_INVALID},
    {"tool_completed", NULL, "c-1", "{\"status\":\"ok\",\"duration_ms\":-1}", RS_E_INVALID},
    {"tool_completed", NULL, "c-1", "{\"status\":\"error\",\"error\":\"x\"}", RS_E_INVALID},
    {"tool_completed", NULL, "c-1", "{\"status\":\"error\",\"error\":{\"code\":\"x\"}}",
        RS_E_INVALID},
    {"tool_completed", NULL, "c-2", "{\"status\":\"ok\"}", RS_E_ORDER},
    {"agent_completed", NULL, NULL, "{}", RS_E_INVALID},
    {"agent_completed", NULL, NULL, "{\"outcome\":\"great\"}", RS_E_INVALID},
    {"error_event", NULL, NULL, "{\"code\":\"a\"}", RS_E_INVALID},
    {"error_event", NULL, NULL, "{\"code\":\"a b\",\"message\":\"\"}", RS_E_INVALID},
    {"error_event", NULL, NULL, "{\"code\":\"a\",\"message\":\"\",\"fatal\":\"no\"}", RS_E_INVALID},
    {"interrupt_requested", NULL, NULL, "{\"interrupt_id\":\"i\"}", RS_E_INVALID},
    {"interrupt_requested", NULL, NULL, "{\"reason\":\"i\"}", RS_E_INVALID},
    {"interrupt_resolved", NULL, NULL, "{\"interrupt_id\":\"i\"}", RS_E_ORDER},
    {"agent_thinking", NULL, NULL, NULL, RS_E_INVALID},
    {NULL, NULL, NULL, "{}", RS_E_INVALID},
};

static void test_malformed_data_is_refused_without_a_trace(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(rs_tool_begin(NULL, run, "c-1", "a", NULL), RS_OK);
    node_read(node, "ann");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const struct row *row = &refused[i];
        int rc = rs_emit(run, row->type, row->message_id, row->tool_call_id, row->data);
        if (rc != row->expected)
            fail_msg("row %zu: %s", i, rs_strerror(rc));
    }
    assert_string_equal(node_read(node, "ann"), "");
    rs_run_free(run);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_what_the_agent_left_out_is_filled_in),
        NODE_TEST(test_the_agents_own_members_pass),
        NODE_TEST(test_both_ways_to_emit_share_one_grammar),
        NODE_TEST(test_a_fatal_error_of_the_agent_ends_the_run),
        NODE_TEST(test_a_completion_of_the_agent_is_flagged_by_its_outcome),
        NODE_TEST(test_malformed_data_is_refused_without_a_trace),
    };
    return cmocka_run_group_tests_name("emitter-emit", tests, NULL, NULL);
}
