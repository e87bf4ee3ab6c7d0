/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "protocol/agent.h"

static const char *reason;

static int parse(struct agent_message *ret_message, const char *method, const char *params)
{
    struct rpc_message rpc = {.kind = RPC_NOTIFICATION, .params = span_of_string(params)};
    strcpy(rpc.method, method);
    reason = "";
    return agent_message_parse(ret_message, &rpc, &reason);
}

static void test_events_are_taken_with_their_data_as_it_is(void **state)
{
    struct agent_message message;
    (void)state;
    assert_int_equal(parse(&message, "event",
                         "{\"type\":\"partial_result\",\"message_id\":\"m-1\","
                         "\"data\":{ \"delta\":\"x\", \"final\":true, \"own\":0.10 }}"),
        0);
    assert_int_equal(message.kind, AGENT_MESSAGE_EVENT);
    assert_string_equal(message.event.type, "partial_result");
    assert_string_equal(message.event.message_id, "m-1");
    assert_string_equal(message.event.tool_call_id, "");
    assert_true(span_is(message.event.data, "{ \"delta\":\"x\", \"final\":true, \"own\":0.10 }"));
    assert_true(span_is(message.event.delta, "\"x\""));
    assert_true(message.event.final);
}

static void test_calls_and_ends_are_taken_with_what_may_be_left_out(void **state)
{
    struct agent_message message;
    (void)state;
    assert_int_equal(parse(&message, "tool/call", "{\"name\":\"search\"}"), 0);
    assert_string_equal(message.tool_call.name, "search");
    assert_true(span_is(message.tool_call.args, "{}"));
    assert_int_equal(parse(&message, "run/finished", ""), 0);
    assert_int_equal(message.finished.outcome, AGENT_OUTCOME_SUCCESS);
    assert_int_equal(message.finished.result.len, 0);
    assert_int_equal(parse(&message, "run/finished",
                         "{\"outcome\":\"cancelled\",\"result\":[1],\"usage\":{\"tokens\":3}}"),
        0);
    assert_int_equal(message.finished.outcome, AGENT_OUTCOME_CANCELLED);
    assert_true(span_is(message.finished.result, "[1]"));
    assert_true(span_is(message.finished.usage, "{\"tokens\":3}"));
    assert_int_equal(parse(&message, "run/failed", "{}"), 0);
    assert_string_equal(message.failed.code, "agent_failed");
    assert_false(message.failed.retryable);
    assert_int_equal(parse(&message, "run/failed",
                         "{\"code\":\"no_luck\",\"message\":\"why\",\"retryable\":true,"
                         "\"usage\":{\"tokens\":4}}"),
        0);
    assert_string_equal(message.failed.code, "no_luck");
    assert_true(message.failed.retryable);
    assert_true(span_is(message.failed.usage, "{\"tokens\":4}"));
}

static void test_wrong_params_are_told_apart_from_unknown_methods(void **state)
{
    static const char *const bad[][2] = {
        {"event", "[]"},
        {"event", "{}"},
        {"event", "{\"type\":7}"},
        {"event", "{\"type\":\"agent_completed\",\"data\":{}}"},
        {"event", "{\"type\":\"tool_executing\",\"tool_call_id\":\"c\",\"data\":{}}"},
        {"event", "{\"type\":\"partial_result\",\"data\":\"text\"}"},
        {"event", "{\"type\":\"partial_result\",\"message_id\":\"a b\",\"data\":{}}"},
        {"event", "{\"type\":\"partial_result\",\"tool_call_id\":3,\"data\":{}}"},
        {"event", "{\"type\":\"error_event\",\"data\":{\"fatal\":true}}"},
        {"tool/call", "{}"},
        {"tool/call", "{\"name\":\"\"}"},
        {"tool/call", "{\"name\":\"a\",\"args\":[]}"},
        {"tool/call", "{\"name\":\"a\",\"tool_call_id\":\"\"}"},
        {"run/finished", "{\"outcome\":\"excellent\"}"},
        {"run/finished", "{\"usage\":7}"},
        {"run/failed", "{\"code\":\"a b\"}"},
        {"run/failed", "{\"message\":7}"},
        {"run/failed", "{\"retryable\":\"yes\"}"},
        {"run/failed", "{\"usage\":[]}"},
    };
    struct agent_message message;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(&message, bad[i][0], bad[i][1]) != RPC_E_PARAMS)
            fail_msg("taken: %s %s", bad[i][0], bad[i][1]);
        assert_true(reason[0] != '\0');
    }
    assert_int_equal(parse(&message, "run/paused", "{}"), RPC_E_UNKNOWN_METHOD);
    assert_int_equal(parse(&message, "", ""), RPC_E_UNKNOWN_METHOD);
}

#define CALL "{\"jsonrpc\":\"2.0\""

static void test_an_agent_is_told_all_about_its_run(void **state)
{
    const struct agent_run run = {.run_id = "r-1",
        .settings = "{\"deep\":true}",
        .thread_id = "t-1",
        .request_id = "q-1",
        .user_id = "alice",
        .message_id = "m-1",
        .agent = "librarian",
        .content = SPAN_LITERAL("[\n{\"text\":\"a\"}]"),
        .deadline = 1795000000000};
    struct buffer out = BUFFER_INIT;
    (void)state;
    agent_append_initialize(&out, 1, &run, SPAN_LITERAL("[{\"name\":\"list\"}]"));
    agent_append_run_start(&out, 2, &run);
    agent_append_run_cancel(&out, "r-1", SPAN_LITERAL("user"));
    agent_append_shutdown(&out);
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data, CALL
        ",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocol_version\":1,"
        "\"run_id\":\"r-1\",\"agent\":\"librarian\",\"tools\":[{\"name\":\"list\"}],"
        "\"settings\":{\"deep\":true}}}\n" CALL
        ",\"id\":2,\"method\":\"run/start\",\"params\":{\"run_id\":\"r-1\","
        "\"thread_id\":\"t-1\",\"request_id\":\"q-1\",\"user_id\":\"alice\","
        "\"message_id\":\"m-1\",\"input\":{\"content\":[ {\"text\":\"a\"}]},"
        "\"deadline\":1795000000000}}\n" CALL
        ",\"method\":\"run/cancel\",\"params\":{\"run_id\":\"r-1\",\"reason\":\"user\"}}\n" CALL
        ",\"method\":\"shutdown\",\"params\":{}}\n");
    buffer_deinit(&out);
}

static void test_a_tool_result_is_a_result_or_an_error(void **state)
{
    const struct agent_tool_result ok = {"ok", SPAN_LITERAL("{\n\"a\":1}"), 12};
    const struct agent_tool_result bad = {"error", SPAN_LITERAL("{\"code\":\"x\"}"), 3};
    struct buffer out = BUFFER_INIT;
    (void)state;
    agent_append_tool_result(&out, SPAN_LITERAL("\"c\""), &ok);
    agent_append_tool_result(&out, SPAN_LITERAL("4"), &bad);
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data,
        CALL ",\"id\":\"c\",\"result\":{\"status\":\"ok\",\"result\":{ \"a\":1},"
             "\"duration_ms\":12}}\n" CALL
             ",\"id\":4,\"result\":{\"status\":\"error\",\"error\":{\"code\":\"x\"},"
             "\"duration_ms\":3}}\n");
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_taken_with_their_data_as_it_is),
        cmocka_unit_test(test_calls_and_ends_are_taken_with_what_may_be_left_out),
        cmocka_unit_test(test_wrong_params_are_told_apart_from_unknown_methods),
        cmocka_unit_test(test_an_agent_is_told_all_about_its_run),
        cmocka_unit_test(test_a_tool_result_is_a_result_or_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
