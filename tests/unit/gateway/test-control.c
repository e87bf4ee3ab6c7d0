/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"
#include "counters.h"
#include "unit.h"

#include "base/json_scan.h"

#include <string.h>

static void assert_text(struct buffer *json, const char *wanted)
{
    assert_true(json_scan_valid_object(buffer_span(json)));
    buffer_append_char(json, '\0');
    assert_string_equal(json->data, wanted);
    buffer_deinit(json);
}

static void test_welcome_has_every_field_of_the_contract(void **state)
{
    (void)state;
    struct buffer json = BUFFER_INIT;
    const struct control_welcome welcome = {
        .connection_id = "cn1",
        .user_id = "alice",
        .epoch = SPAN_LITERAL("e1"),
        .head = 9,
        .oldest = 3,
        .runs = SPAN_LITERAL("[{\"run_id\":\"r\"}]"),
        .heartbeat_ms = 25000,
        .limits = {.max_frame = 1,
            .max_content = 2,
            .max_messages_per_second = 3,
            .max_pending_requests = 4,
            .max_filter_threads = 5},
        .resume = "replay",
    };
    control_append_welcome(&json, &welcome);
    assert_text(&json,
        "{\"type\":\"welcome\",\"protocol\":\"ringside.v1\",\"connection_id\":\"cn1\","
        "\"user_id\":\"alice\",\"epoch\":\"e1\",\"head\":9,\"oldest\":3,"
        "\"runs\":[{\"run_id\":\"r\"}],\"heartbeat_ms\":25000,"
        "\"limits\":{\"max_frame\":1,\"max_content\":2,\"max_messages_per_second\":3,"
        "\"max_pending_requests\":4,\"max_filter_threads\":5},\"resume\":\"replay\"}");
}

static void test_welcome_without_runs_has_an_empty_list(void **state)
{
    (void)state;
    struct buffer json = BUFFER_INIT;
    const struct control_welcome welcome = {
        .connection_id = "c", .user_id = "u", .epoch = SPAN_LITERAL("e"), .resume = "live"};
    control_append_welcome(&json, &welcome);
    buffer_append_char(&json, '\0');
    assert_non_null(strstr(json.data, "\"runs\":[],"));
    buffer_deinit(&json);
}

static void test_control_frames_are_as_the_contract_says(void **state)
{
    (void)state;
    struct buffer json = BUFFER_INIT;
    control_append_gap(&json, 4, 8, "trimmed");
    assert_text(&json, "{\"type\":\"gap\",\"from\":4,\"to\":8,\"reason\":\"trimmed\"}");
    control_append_caught_up(&json, 12);
    assert_text(&json, "{\"type\":\"caught_up\",\"seq\":12}");
    const struct control_going_away going_away = {
        .reason = "draining", .reconnect_after_ms = 700, .epoch = "e1", .seq = 12};
    control_append_going_away(&json, &going_away);
    assert_text(&json,
        "{\"type\":\"going_away\",\"reason\":\"draining\",\"reconnect_after_ms\":700,"
        "\"cursor\":\"e1.12\"}");
}

static void test_replies_have_no_type_and_repeat_the_id(void **state)
{
    (void)state;
    struct buffer json = BUFFER_INIT;
    struct protocol_error error;
    control_append_result(&json, SPAN_LITERAL("\"c-1\""), SPAN_LITERAL("{\"run_id\":\"r\"}"));
    assert_text(&json, "{\"id\":\"c-1\",\"result\":{\"run_id\":\"r\"}}");
    control_append_result(&json, SPAN_LITERAL("7"), SPAN_EMPTY);
    assert_text(&json, "{\"id\":7,\"result\":{}}");
    protocol_error_set(&error, "rate_limited", "slow %s", "down");
    error.retryable = true;
    control_append_error(&json, SPAN_LITERAL("7"), &error, SPAN_LITERAL("{\"a\":1}"));
    assert_text(&json, "{\"id\":7,\"error\":{\"code\":\"rate_limited\",\"message\":\"slow down\","
                       "\"retryable\":true,\"data\":{\"a\":1}}}");
    control_append_http_error(&json, &error);
    assert_text(&json, "{\"error\":{\"code\":\"rate_limited\",\"message\":\"slow down\","
                       "\"retryable\":true}}");
}

static void test_counters_appear_in_metrics_and_in_the_report(void **state)
{
    (void)state;
    struct buffer text = BUFFER_INIT;
    const struct counters counters = {.connections = 5, .writes = 77};
    counters_append_metrics(&text, &counters);
    buffer_append_char(&text, '\0');
    assert_non_null(strstr(text.data, "\n# TYPE ringside_gateway_writes_total counter\n"
                                      "ringside_gateway_writes_total 77\n"));
    assert_non_null(strstr(text.data, "# TYPE ringside_gateway_connections gauge\n"
                                      "ringside_gateway_connections 5\n"));
    buffer_clear(&text);
    counters_append_json(&text, &counters);
    assert_true(json_scan_valid_object(buffer_span(&text)));
    buffer_append_char(&text, '\0');
    assert_non_null(strstr(text.data, "\"writes\":77"));
    buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_welcome_has_every_field_of_the_contract),
        cmocka_unit_test(test_welcome_without_runs_has_an_empty_list),
        cmocka_unit_test(test_control_frames_are_as_the_contract_says),
        cmocka_unit_test(test_replies_have_no_type_and_repeat_the_id),
        cmocka_unit_test(test_counters_appear_in_metrics_and_in_the_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
