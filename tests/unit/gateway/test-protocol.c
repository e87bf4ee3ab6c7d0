/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"
#include "protocol.h"
#include "unit.h"

#include "base/json_scan.h"
#include "wire/message.h"

#include <stdlib.h>
#include <string.h>

#define SUBSCRIBE(params) "{\"id\":1,\"method\":\"subscribe\",\"params\":{" params "}}"
#define RESPOND(params) "{\"id\":1,\"method\":\"interrupt.respond\",\"params\":{" params "}}"
#define RUNS_LIST(params) "{\"id\":1,\"method\":\"runs.list\",\"params\":{" params "}}"
#define CHAT "\"method\":\"chat.send\",\"params\":{\"thread_id\":\"t\",\"message_id\":\"m\""

static void test_protocol_reads_a_chat_send_whole(void **state)
{
    (void)state;
    struct protocol_request request;
    struct protocol_error error;
    assert_int_equal(
        protocol_decode(&request, &error,
            SPAN_LITERAL(
                "{\"id\":\"c-7\"," CHAT ",\"content\":\"a \\\"b\\\" \\u0000\","
                "\"agent\":\"echo\",\"on_busy\":\"interrupt\",\"on_disconnect\":\"cancel\","
                "\"retry_of\":\"r-1\",\"later\":1}}")),
        PROTOCOL_DECODED);
    assert_int_equal(request.method, METHOD_CHAT_SEND);
    assert_true(span_is(buffer_span(&request.id), "\"c-7\""));
    assert_true(span_is(request.thread_id, "t"));
    assert_true(span_is(request.message_id, "m"));
    assert_true(span_is(buffer_span(&request.content), "\"a \\\"b\\\" \\u0000\""));
    assert_true(span_is(request.agent, "echo"));
    assert_true(span_is(request.on_busy, "interrupt"));
    assert_true(span_is(request.on_disconnect, "cancel"));
    assert_true(span_is(request.retry_of, "r-1"));
    protocol_request_deinit(&request);
}

static void test_protocol_reads_every_method(void **state)
{
    (void)state;
    const struct {
        const char *text;
        enum protocol_method method;
    } rows[] = {
        {"{\"id\":\"1\"," CHAT ",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}}",
            METHOD_CHAT_SEND},
        {"{" CHAT ",\"content\":[{\"type\":\"image\",\"url\":{\"a\":[1]}}]}}", METHOD_CHAT_SEND},
        {"{\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r\"}}", METHOD_RUN_CANCEL},
        {"{\"method\":\"run.cancel\",\"params\":{\"thread_id\":\"t\",\"reason\":\"\xc3\xa4\"}}",
            METHOD_RUN_CANCEL},
        {"{\"id\":1,\"method\":\"runs.list\"}", METHOD_RUNS_LIST},
        {"{\"id\":1,\"method\":\"runs.list\",\"params\":{\"thread_id\":\"t\",\"state\":"
         "\"running\",\"after\":\"o7\",\"limit\":100}}",
            METHOD_RUNS_LIST},
        {"{\"id\":1,\"method\":\"run.get\",\"params\":{\"run_id\":\"r\"}}", METHOD_RUN_GET},
        {RESPOND("\"interrupt_id\":\"i\",\"status\":\"resolved\""), METHOD_INTERRUPT_RESPOND},
        {RESPOND("\"interrupt_id\":\"i\",\"status\":\"cancelled\",\"run_id\":\"r\","
                 "\"payload\":[null]"),
            METHOD_INTERRUPT_RESPOND},
        {"{\"id\":1,\"method\":\"subscribe\"}", METHOD_SUBSCRIBE},
        {"{\"id\":1,\"method\":\"subscribe\",\"params\":{\"cursor\":\"start\",\"threads\":[],"
         "\"snapshots\":true}}",
            METHOD_SUBSCRIBE},
        {"{\"method\":\"ack\",\"params\":{\"seq\":0}}", METHOD_ACK},
        {"{\"method\":\"auth.refresh\",\"params\":{\"token\":\"a.b.c\"}}", METHOD_AUTH_REFRESH},
        {"{\"id\":\"\",\"method\":\"ping\"}", METHOD_PING},
        {"{\"id\":-3,\"method\":\"ping\",\"params\":{}}", METHOD_PING},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct protocol_request request;
        struct protocol_error error;
        assert_int_equal(
            protocol_decode(&request, &error, span_of_string(rows[i].text)), PROTOCOL_DECODED);
        assert_int_equal(request.method, rows[i].method);
        protocol_request_deinit(&request);
    }
}

static void test_protocol_repeats_ids_as_they_came(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *id;
    } rows[] = {
        {"{\"id\":\"\\u00e4\\n\\\"\",\"method\":\"ping\"}", "\"\xc3\xa4\\n\\\"\""},
        {"{\"id\":9007199254740993,\"method\":\"ping\"}", "9007199254740993"},
        {"{\"method\":\"ping\"}", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct protocol_request request;
        struct protocol_error error;
        protocol_decode(&request, &error, span_of_string(rows[i].text));
        assert_true(span_is(buffer_span(&request.id), rows[i].id));
        protocol_request_deinit(&request);
    }
}

struct broken_rule {
    const char *text;
    const char *code;
    const char *about; /* what the message must name */
};

static void assert_refused(const struct broken_rule *rule)
{
    struct protocol_request request;
    struct protocol_error error;
    assert_int_equal(
        protocol_decode(&request, &error, span_of_string(rule->text)), PROTOCOL_REFUSED);
    assert_string_equal(error.code, rule->code);
    assert_non_null(strstr(error.message, rule->about));
    assert_true(span_is(buffer_span(&request.id), "1"));
    protocol_request_deinit(&request);
}

static void test_protocol_refuses_what_breaks_the_rules_of_chat_send(void **state)
{
    (void)state;
    static const struct broken_rule rules[] = {
        {"{\"id\":1,\"method\":\"chat.send\"}", "invalid_argument", "thread_id"},
        {"{\"id\":1,\"method\":\"chat.send\",\"params\":{\"thread_id\":\"a b\"}}",
            "invalid_argument", "thread_id"},
        {"{\"id\":1,\"method\":\"chat.send\",\"params\":{\"thread_id\":\"t\",\"message_id\":5}}",
            "invalid_argument", "message_id"},
        {"{\"id\":1," CHAT "}}", "invalid_argument", "content"},
        {"{\"id\":1," CHAT ",\"content\":\"\"}}", "invalid_argument", "content"},
        {"{\"id\":1," CHAT ",\"content\":[]}}", "invalid_argument", "content"},
        {"{\"id\":1," CHAT ",\"content\":{}}}", "invalid_argument", "content"},
        {"{\"id\":1," CHAT ",\"content\":null}}", "invalid_argument", "content"},
        {"{\"id\":1," CHAT ",\"content\":[\"x\"]}}", "invalid_argument", "content"},
        {"{\"id\":1," CHAT ",\"content\":[{}]}}", "invalid_argument", "content"},
        {"{\"id\":1," CHAT ",\"content\":[{\"type\":\"text\"}]}}", "invalid_argument", "content"},
        {"{\"id\":1," CHAT ",\"content\":\"x\",\"agent\":\"\"}}", "invalid_argument", "agent"},
        {"{\"id\":1," CHAT ",\"content\":\"x\",\"agent\":null}}", "invalid_argument", "agent"},
        {"{\"id\":1," CHAT ",\"content\":\"x\",\"on_busy\":\"wait\"}}", "invalid_argument",
            "on_busy"},
        {"{\"id\":1," CHAT ",\"content\":\"x\",\"on_busy\":\"\"}}", "invalid_argument", "on_busy"},
        {"{\"id\":1," CHAT ",\"content\":\"x\",\"on_busy\":\"enqueue|reject\"}}",
            "invalid_argument", "on_busy"},
        {"{\"id\":1," CHAT ",\"content\":\"x\",\"on_disconnect\":true}}", "invalid_argument",
            "on_disconnect"},
        {"{\"id\":1," CHAT ",\"content\":\"x\",\"retry_of\":\"a b\"}}", "invalid_argument",
            "retry_of"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        assert_refused(&rules[i]);
}

static void test_protocol_refuses_what_breaks_a_methods_rules(void **state)
{
    (void)state;
    static const struct broken_rule rules[] = {
        {"{\"id\":1,\"method\":\"nope\"}", "unknown_method", "nope"},
        {"{\"id\":1,\"method\":\"\"}", "unknown_method", "name"},
        {"{\"id\":1,\"method\":\"Subscribe\",\"params\":{}}", "unknown_method", "Subscribe"},
        {SUBSCRIBE("\"cursor\":\"\""), "invalid_argument", "cursor"},
        {SUBSCRIBE("\"cursor\":7"), "invalid_argument", "cursor"},
        {SUBSCRIBE("\"cursor\":\"e.x\""), "invalid_argument", "cursor"},
        {SUBSCRIBE("\"cursor\":\"e.99999999999999999999\""), "invalid_argument", "cursor"},
        {SUBSCRIBE("\"threads\":\"t\""), "invalid_argument", "threads"},
        {SUBSCRIBE("\"threads\":[\"a b\"]"), "invalid_argument", "threads"},
        {SUBSCRIBE("\"threads\":[7]"), "invalid_argument", "threads"},
        {SUBSCRIBE("\"snapshots\":1"), "invalid_argument", "snapshots"},
        {RESPOND("\"status\":\"resolved\""), "invalid_argument", "interrupt_id"},
        {RESPOND("\"interrupt_id\":\"i\""), "invalid_argument", "status"},
        {RESPOND("\"interrupt_id\":\"i\",\"status\":\"expired\""), "invalid_argument", "status"},
        {RESPOND("\"interrupt_id\":\"i\",\"status\":\"resolved\",\"run_id\":\"\""),
            "invalid_argument", "run_id"},
        {RESPOND("\"interrupt_id\":\"i\",\"status\":\"resolved\",\"payload\":"
                 "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"),
            "invalid_argument", "payload"},
        {"{\"id\":1,\"method\":\"run.get\"}", "invalid_argument", "run_id"},
        {RUNS_LIST("\"thread_id\":\"\""), "invalid_argument", "thread_id"},
        {RUNS_LIST("\"state\":7"), "invalid_argument", "state"},
        {RUNS_LIST("\"after\":\"\""), "invalid_argument", "after"},
        {RUNS_LIST("\"after\":7"), "invalid_argument", "after"},
        {RUNS_LIST("\"limit\":0"), "invalid_argument", "limit"},
        {RUNS_LIST("\"limit\":101"), "invalid_argument", "limit"},
        {RUNS_LIST("\"limit\":\"9\""), "invalid_argument", "limit"},
        {"{\"id\":1,\"method\":7}", "invalid_argument", "method"},
        {"{\"id\":1}", "invalid_argument", "method"},
        {"{\"id\":1,\"method\":\"ping\",\"params\":[]}", "invalid_argument", "params"},
        {"{\"id\":1,\"method\":\"ping\",\"params\":null}", "invalid_argument", "params"},
        {"{\"id\":1,\"method\":\"run.cancel\"}", "invalid_argument", "run_id"},
        {"{\"id\":1,\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r\",\"reason\":1}}",
            "invalid_argument", "reason"},
        {"{\"id\":1,\"method\":\"ack\",\"params\":{\"seq\":-1}}", "invalid_argument", "seq"},
        {"{\"id\":1,\"method\":\"ack\",\"params\":{\"seq\":1.5}}", "invalid_argument", "seq"},
        {"{\"id\":1,\"method\":\"ack\",\"params\":{\"seq\":\"1\"}}", "invalid_argument", "seq"},
        {"{\"id\":1,\"method\":\"auth.refresh\",\"params\":{}}", "invalid_argument", "token"},
        {"{\"id\":1,\"method\":\"auth.refresh\",\"params\":{\"token\":\"\"}}", "invalid_argument",
            "token"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        assert_refused(&rules[i]);
}

static void test_protocol_reads_a_subscribe_whole(void **state)
{
    (void)state;
    struct protocol_request request;
    struct protocol_error error;
    assert_int_equal(
        protocol_decode(&request, &error,
            SPAN_LITERAL(SUBSCRIBE("\"cursor\":\"e.1.42\",\"threads\":[\"a\",\"b\"]"))),
        PROTOCOL_DECODED);
    assert_int_equal(request.subscribe->mode, WIRE_OPEN_CURSOR);
    assert_string_equal(request.subscribe->epoch, "e.1");
    assert_int_equal(request.subscribe->after, 42);
    assert_false(request.subscribe->snapshots);
    assert_int_equal(request.subscribe->filter.count, 2);
    assert_string_equal(request.subscribe->filter.threads[1], "b");
    protocol_request_deinit(&request);
}

static enum protocol_verdict decode_threads(int count, struct protocol_error *error)
{
    struct protocol_request request;
    struct buffer text = BUFFER_INIT;
    buffer_append_string(
        &text, "{\"id\":1,\"method\":\"subscribe\",\"params\":{\"threads\":[\"t\"");
    for (int i = 1; i < count; i++)
        buffer_append_string(&text, ",\"t\"");
    buffer_append_string(&text, "]}}");
    enum protocol_verdict verdict = protocol_decode(&request, error, buffer_span(&text));
    protocol_request_deinit(&request);
    buffer_deinit(&text);
    return verdict;
}

static void test_protocol_bounds_the_threads_of_a_filter(void **state)
{
    (void)state;
    struct protocol_error error;
    assert_int_equal(decode_threads(FILTER_THREADS_MAX, &error), PROTOCOL_DECODED);
    assert_int_equal(decode_threads(FILTER_THREADS_MAX + 1, &error), PROTOCOL_REFUSED);
    assert_string_equal(error.code, "invalid_argument");
}

static enum protocol_verdict decode_payload(size_t text_bytes, struct protocol_error *error)
{
    struct protocol_request request;
    struct buffer text = BUFFER_INIT;
    buffer_append_string(&text,
        "{\"id\":1,\"method\":\"interrupt.respond\",\"params\":{\"interrupt_id\":\"i\","
        "\"status\":\"resolved\",\"payload\":\"");
    for (size_t i = 0; i < text_bytes; i++)
        buffer_append_char(&text, 'x');
    buffer_append_string(&text, "\"}}");
    enum protocol_verdict verdict = protocol_decode(&request, error, buffer_span(&text));
    protocol_request_deinit(&request);
    buffer_deinit(&text);
    return verdict;
}

static void test_protocol_bounds_an_answers_payload_to_the_byte(void **state)
{
    (void)state;
    struct protocol_error error;
    assert_int_equal(decode_payload(PROTOCOL_PAYLOAD_MAX - 2, &error), PROTOCOL_DECODED);
    assert_int_equal(decode_payload(PROTOCOL_PAYLOAD_MAX - 1, &error), PROTOCOL_REFUSED);
    assert_string_equal(error.code, "payload_too_large");
}

static void test_protocol_calls_it_a_violation_when_nothing_can_be_answered(void **state)
{
    (void)state;
    const char *const bad[] = {"", " ", "{", "[]", "null", "\"x\"", "7", "{}", "{}{}",
        "{\"id\":1}}", "{\"method\":7}", "{\"params\":{}}", "{\"id\":null,\"method\":\"ping\"}",
        "{\"id\":{},\"method\":\"ping\"}", "{\"id\":1.5,\"method\":\"ping\"}",
        "{\"id\":true,\"method\":\"ping\"}", "{\"id\":1,\"id\":2,\"method\":\"ping\"}", "{'id':1}",
        "{\"id\":1,\"method\":\"ping\",}", "{\"id\":\"\xff\",\"method\":\"ping\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct protocol_request request;
        struct protocol_error error;
        assert_int_equal(
            protocol_decode(&request, &error, span_of_string(bad[i])), PROTOCOL_VIOLATION);
        assert_true(strlen(error.message) > 0);
        protocol_request_deinit(&request);
    }
}

static enum protocol_verdict decode_content(size_t text_bytes, struct protocol_error *error)
{
    struct protocol_request request;
    struct buffer text = BUFFER_INIT;
    buffer_append_string(&text, "{\"id\":1," CHAT ",\"content\":\"");
    char *room = buffer_reserve(&text, text_bytes);
    assert_non_null(room);
    memset(room, 'x', text_bytes);
    text.len += text_bytes;
    buffer_append_string(&text, "\"}}");
    enum protocol_verdict verdict = protocol_decode(&request, error, buffer_span(&text));
    protocol_request_deinit(&request);
    buffer_deinit(&text);
    return verdict;
}

static void test_protocol_bounds_content_to_the_byte(void **state)
{
    (void)state;
    struct protocol_error error;
    assert_int_equal(decode_content(WIRE_CONTENT_MAX - 2, &error), PROTOCOL_DECODED);
    assert_int_equal(decode_content(WIRE_CONTENT_MAX - 1, &error), PROTOCOL_REFUSED);
    assert_string_equal(error.code, "payload_too_large");
    assert_int_equal(decode_content(1 << 20, &error), PROTOCOL_REFUSED);
    assert_string_equal(error.code, "payload_too_large");
}

static enum protocol_verdict decode_nested(unsigned depth, struct protocol_error *error)
{
    struct protocol_request request;
    struct buffer text = BUFFER_INIT;
    buffer_append_string(&text, "{\"id\":1," CHAT ",\"content\":[{\"type\":\"x\",\"v\":");
    for (unsigned i = 0; i < depth; i++)
        buffer_append_char(&text, '[');
    for (unsigned i = 0; i < depth; i++)
        buffer_append_char(&text, ']');
    buffer_append_string(&text, "}]}}");
    enum protocol_verdict verdict = protocol_decode(&request, error, buffer_span(&text));
    protocol_request_deinit(&request);
    buffer_deinit(&text);
    return verdict;
}

static void test_protocol_bounds_the_depth_of_content(void **state)
{
    (void)state;
    struct protocol_error error;
    assert_int_equal(decode_nested(PROTOCOL_CONTENT_DEPTH - 2, &error), PROTOCOL_DECODED);
    assert_int_equal(decode_nested(PROTOCOL_CONTENT_DEPTH - 1, &error), PROTOCOL_REFUSED);
    assert_string_equal(error.code, "invalid_argument");
    assert_int_equal(decode_nested(100000, &error), PROTOCOL_VIOLATION);
}

/* Whatever comes in, what goes on to the broker is JSON, and ids are. */
static void test_protocol_survives_mangled_frames(void **state)
{
    (void)state;
    const char *sample =
        "{\"id\":\"c-1\"," CHAT ",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}],"
        "\"agent\":\"echo\",\"on_busy\":\"reject\"}}";
    struct chance chance = chance_make();
    unsigned decoded = 0;
    for (int round = 0; round < 20000; round++) {
        char text[256];
        size_t len = strlen(sample);
        memcpy(text, sample, len);
        len = chance_mutate(&chance, text, len, sizeof(text), "{}[]\",:\\u0");
        struct protocol_request request;
        struct protocol_error error;
        if (protocol_decode(&request, &error, span_of(text, len)) == PROTOCOL_DECODED) {
            decoded++;
            assert_true(json_scan_valid(buffer_span(&request.content)));
        }
        if (request.id.len)
            assert_true(json_scan_valid(buffer_span(&request.id)));
        protocol_request_deinit(&request);
    }
    assert_true(decoded > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocol_reads_a_chat_send_whole),
        cmocka_unit_test(test_protocol_reads_every_method),
        cmocka_unit_test(test_protocol_repeats_ids_as_they_came),
        cmocka_unit_test(test_protocol_refuses_what_breaks_the_rules_of_chat_send),
        cmocka_unit_test(test_protocol_refuses_what_breaks_a_methods_rules),
        cmocka_unit_test(test_protocol_reads_a_subscribe_whole),
        cmocka_unit_test(test_protocol_bounds_the_threads_of_a_filter),
        cmocka_unit_test(test_protocol_bounds_an_answers_payload_to_the_byte),
        cmocka_unit_test(test_protocol_calls_it_a_violation_when_nothing_can_be_answered),
        cmocka_unit_test(test_protocol_bounds_content_to_the_byte),
        cmocka_unit_test(test_protocol_bounds_the_depth_of_content),
        cmocka_unit_test(test_protocol_survives_mangled_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
