/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "protocol/rpc.h"

#include <stdio.h>

#define V "\"jsonrpc\":\"2.0\""

static const struct row {
    const char *line;
    enum rpc_kind kind;
    const char *id;
    const char *method;
    const char *params;
    const char *result;
} good[] = {
    {"{" V ",\"id\":1,\"method\":\"tool/call\",\"params\":{\"a\":1}}", RPC_REQUEST, "1",
        "tool/call", "{\"a\":1}", ""},
    {"{" V ",\"id\":\"x-1\",\"method\":\"m\"}", RPC_REQUEST, "\"x-1\"", "m", "", ""},
    {" { " V " , \"method\" : \"event\" , \"params\" : [ 1 ] } ", RPC_NOTIFICATION, "", "event",
        "[ 1 ]", ""},
    {"{\"method\":\"run\\/finished\"," V "}", RPC_NOTIFICATION, "", "run/finished", "", ""},
    {"{" V ",\"id\":7,\"result\":null}", RPC_RESULT, "7", "", "", "null"},
    {"{" V ",\"id\":7,\"result\":{\"id\":9,\"method\":\"no\"}}", RPC_RESULT, "7", "", "",
        "{\"id\":9,\"method\":\"no\"}"},
    {"{" V ",\"id\":7,\"error\":{\"code\":-1,\"message\":\"no\"}}", RPC_ERROR, "7", "", "", ""},
    {"{" V ",\"method\":\"a\",\"method\":\"b\"}", RPC_NOTIFICATION, "", "b", "", ""},
    {"{" V ",\"extra\":[{}],\"method\":\"a\"}", RPC_NOTIFICATION, "", "a", "", ""},
};

static void test_messages_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct rpc_message message;
        const char *reason = NULL;
        int rc = rpc_parse(&message, span_of_string(good[i].line), &reason);
        if (rc != 0)
            fail_msg("%s: %s", good[i].line, reason);
        assert_int_equal(message.kind, good[i].kind);
        assert_true(span_is(message.id, good[i].id));
        assert_string_equal(message.method, good[i].method);
        assert_true(span_is(message.params, good[i].params));
        assert_true(span_is(message.result, good[i].result));
    }
}

static void test_everything_else_is_refused_with_a_reason(void **state)
{
    static const char *const bad[] = {
        "",
        "Loading model...",
        "{",
        "{" V,
        "{" V ",\"method\":\"a\"} trailing",
        "[]",
        "[{" V ",\"method\":\"a\"}]",
        "\"text\"",
        "{}",
        "{\"method\":\"a\"}",
        "{\"jsonrpc\":2.0,\"method\":\"a\"}",
        "{\"jsonrpc\":\"1.0\",\"method\":\"a\"}",
        "{" V "}",
        "{" V ",\"id\":1}",
        "{" V ",\"result\":1}",
        "{" V ",\"id\":1,\"result\":1,\"error\":{}}",
        "{" V ",\"id\":1,\"error\":\"no\"}",
        "{" V ",\"id\":null,\"method\":\"a\"}",
        "{" V ",\"id\":[1],\"result\":1}",
        "{" V ",\"method\":7}",
        "{" V ",\"method\":\"a\",\"params\":7}",
        "{" V ",\"method\":\"\xff\"}",
        "{" V ",\"method\":\"a\",\"params\":{\"a\":NaN}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rpc_message message;
        const char *reason = NULL;
        if (rpc_parse(&message, span_of_string(bad[i]), &reason) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_non_null(reason);
    }
}

static void test_a_long_method_is_cut_off_and_still_unknown(void **state)
{
    char line[512];
    struct rpc_message message;
    const char *reason;
    (void)state;
    snprintf(line, sizeof(line), "{" V ",\"method\":\"%0200d\"}", 0);
    assert_int_equal(rpc_parse(&message, span_of_string(line), &reason), 0);
    assert_int_equal(strlen(message.method), RPC_METHOD_SIZE - 1);
}

static void test_only_our_numbers_are_our_ids(void **state)
{
    struct rpc_message message = {0};
    (void)state;
    message.id = SPAN_LITERAL("2");
    assert_int_equal(rpc_own_id(&message), 2);
    message.id = SPAN_LITERAL("\"2\"");
    assert_int_equal(rpc_own_id(&message), 0);
    message.id = SPAN_LITERAL("-2");
    assert_int_equal(rpc_own_id(&message), 0);
    message.id = SPAN_LITERAL("2.5");
    assert_int_equal(rpc_own_id(&message), 0);
}

static void test_what_is_written_is_one_line_that_can_be_read_again(void **state)
{
    struct buffer out = BUFFER_INIT;
    (void)state;
    rpc_append_request(&out, 3, "initialize", SPAN_LITERAL("{\"a\":1}"));
    rpc_append_notification(&out, "shutdown", SPAN_LITERAL("{}"));
    rpc_append_result(&out, SPAN_LITERAL("\"x\""), SPAN_LITERAL("[]"));
    rpc_append_error(&out, SPAN_LITERAL("9"), RPC_E_PARAMS, SPAN_LITERAL("a \"bad\" one\n"));
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data,
        "{" V ",\"id\":3,\"method\":\"initialize\",\"params\":{\"a\":1}}\n"
        "{" V ",\"method\":\"shutdown\",\"params\":{}}\n"
        "{" V ",\"id\":\"x\",\"result\":[]}\n"
        "{" V ",\"id\":9,\"error\":{\"code\":-32602,\"message\":\"a \\\"bad\\\" one\\n\"}}\n");
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_are_taken_apart),
        cmocka_unit_test(test_everything_else_is_refused_with_a_reason),
        cmocka_unit_test(test_a_long_method_is_cut_off_and_still_unknown),
        cmocka_unit_test(test_only_our_numbers_are_our_ids),
        cmocka_unit_test(test_what_is_written_is_one_line_that_can_be_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
