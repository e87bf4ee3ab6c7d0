/* SPDX-License-Identifier: Apache-2.0 */
#include "event/frame.h"
#include "unit.h"

#include "sample-event.h"

#include <stdio.h>

#include <jansson.h>

static json_t *load(const struct buffer *out)
{
    json_error_t error;
    json_t *frame = json_loadb(out->data, out->len, JSON_REJECT_DUPLICATES, &error);
    if (!frame)
        fail_msg("%s in %.*s", error.text, SPAN_ARG(buffer_span(out)));
    return frame;
}

static void test_frame_carries_each_field_under_its_name(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct event event = sample_event();
    event_frame_append(&out, &event, 1041);
    assert_true(span_is(buffer_span(&out),
        "{\"type\":\"tool_executing\",\"seq\":1042,\"prev\":1041,\"timestamp\":1795000000123,"
        "\"thread_id\":\"t-7\",\"run_id\":\"r-19\",\"request_id\":\"q-3\",\"agent\":\"researcher\","
        "\"message_id\":\"m-5\",\"tool_call_id\":\"c-1\",\"synthetic\":true,"
        "\"data\":{\"tool_name\":\"search\",\"args\":{\"q\":\"rings\"}}}"));
    buffer_deinit(&out);
}

static void test_frame_of_a_folded_event_says_where_it_begins(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct event event = {.type = EVENT_PARTIAL_RESULT, .seq = 9, .first_seq = 4};
    event_frame_append(&out, &event, 3);
    json_t *frame = load(&out);
    assert_int_equal(json_integer_value(json_object_get(frame, "first_seq")), 4);
    assert_int_equal(json_integer_value(json_object_get(frame, "prev")), 3);
    json_decref(frame);
    buffer_deinit(&out);
}

static void assert_number_is_written(uint64_t number)
{
    char wanted[64];
    struct buffer out = BUFFER_INIT;
    struct event event = {.type = EVENT_RUN_QUEUED, .seq = number, .timestamp = number};
    event_frame_append(&out, &event, number);
    snprintf(wanted, sizeof(wanted), "\"seq\":%llu,\"prev\":%llu,", (unsigned long long)number,
        (unsigned long long)number);
    buffer_append_char(&out, '\0');
    if (!strstr(out.data, wanted))
        fail_msg("%s has not %s", out.data, wanted);
    buffer_deinit(&out);
}

static void test_frame_writes_numbers_of_every_length(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 20000; number++)
        assert_number_is_written(number);
    for (uint64_t power = 10; power < UINT64_MAX / 10; power *= 10) {
        assert_number_is_written(power - 1);
        assert_number_is_written(power);
        assert_number_is_written(power + power / 7);
        assert_number_is_written(9 * power + 90);
    }
    assert_number_is_written(UINT64_C(99999999) * 100000000 + 99999999);
    assert_number_is_written(UINT64_MAX);
}

static void test_frame_leaves_absent_fields_out(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct event event = {.type = EVENT_RUN_QUEUED, .seq = 1, .run_id = SPAN_LITERAL("r")};
    event_frame_append(&out, &event, 0);
    json_t *frame = load(&out);
    assert_int_equal(json_object_size(frame), 6);
    assert_int_equal(json_object_size(json_object_get(frame, "data")), 0);
    assert_null(json_object_get(frame, "synthetic"));
    json_decref(frame);
    buffer_deinit(&out);
}

static void test_frame_escapes_identifiers_that_need_it(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct event event = sample_event();
    event.thread_id = SPAN_LITERAL("a\"b");
    event.tool_call_id = SPAN_LITERAL("c\\\n");
    event_frame_append(&out, &event, 1041);
    json_t *frame = json_loadb(out.data, out.len, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(frame, "thread_id")), "a\"b");
    assert_string_equal(json_string_value(json_object_get(frame, "run_id")), "r-19");
    assert_string_equal(json_string_value(json_object_get(frame, "tool_call_id")), "c\\\n");
    json_decref(frame);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_escapes_identifiers_that_need_it),
        cmocka_unit_test(test_frame_carries_each_field_under_its_name),
        cmocka_unit_test(test_frame_of_a_folded_event_says_where_it_begins),
        cmocka_unit_test(test_frame_writes_numbers_of_every_length),
        cmocka_unit_test(test_frame_leaves_absent_fields_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
