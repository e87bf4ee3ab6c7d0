/* SPDX-License-Identifier: Apache-2.0 */
#include "event_line.h"

#include "unit.h"

#include <jansson.h>
#include <stdlib.h>

static struct event event_of(enum event_type type, const char *data)
{
    return (struct event){.type = type,
        .seq = 7,
        .timestamp = 1795000000123,
        .run_id = SPAN_LITERAL("r-0123456789"),
        .data = span_of_string(data)};
}

static void assert_text(enum event_type type, const char *data, const char *expected)
{
    const struct event event = event_of(type, data);
    struct buffer text = BUFFER_INIT;
    event_text_append(&text, &event);
    buffer_append_char(&text, '\0');
    assert_string_equal(text.data, expected);
    buffer_deinit(&text);
}

static void test_each_type_says_what_matters(void **state)
{
    (void)state;
    assert_text(EVENT_RUN_QUEUED, "{\"position\":3}", "3");
    assert_text(EVENT_CHAT_MESSAGE, "{\"role\":\"user\",\"content\":\"hi\"}", "user: hi");
    assert_text(EVENT_CHAT_MESSAGE, "{\"role\":\"user\",\"content\":[1]}", "user: [1]");
    assert_text(EVENT_AGENT_STARTED, "{\"agent\":\"echo\"}", "echo");
    assert_text(EVENT_AGENT_THINKING, "{\"status\":\"reading\"}", "reading");
    assert_text(EVENT_TOOL_EXECUTING, "{\"tool_name\":\"search\",\"args\":{\"q\":\"x\"}}",
        "search {\"q\":\"x\"}");
    assert_text(EVENT_TOOL_COMPLETED,
        "{\"tool_name\":\"search\",\"status\":\"ok\",\"duration_ms\":12,\"result\":[1,2]}",
        "search: ok, 12 ms  [1,2]");
    assert_text(EVENT_TOOL_COMPLETED,
        "{\"tool_name\":\"s\",\"status\":\"error\",\"error\":{\"code\":\"c\",\"message\":\"no\"}}",
        "s: error: no");
    assert_text(EVENT_PARTIAL_RESULT, "{\"delta\":\"some text\"}", "some text");
    assert_text(EVENT_AGENT_COMPLETED, "{\"outcome\":\"success\"}", "success");
    assert_text(EVENT_ERROR_EVENT,
        "{\"code\":\"worker_lost\",\"message\":\"gone\",\"fatal\":true,\"retryable\":true}",
        "worker_lost: gone");
    assert_text(EVENT_INTERRUPT_REQUESTED, "{\"interrupt_id\":\"i\"}", "{\"interrupt_id\":\"i\"}");
}

static void test_texts_cannot_steer_the_terminal(void **state)
{
    (void)state;
    assert_text(EVENT_PARTIAL_RESULT, "{\"delta\":\"a\\u001b[2Jb\\nc\\u007fd\"}", "a [2Jb c d");
    assert_text(EVENT_PARTIAL_RESULT, "{\"delta\":\"a\\u009bb \\u00e9\"}", "a  b \xc3\xa9");
}

static void test_data_that_is_no_json_shows_nothing(void **state)
{
    (void)state;
    assert_text(EVENT_PARTIAL_RESULT, "{\"delta\":", "");
    assert_text(EVENT_PARTIAL_RESULT, "", "");
}

static void test_line_has_time_type_and_text(void **state)
{
    (void)state;
    const struct event event = event_of(EVENT_AGENT_STARTED, "{\"agent\":\"echo\"}");
    struct event_view view = {.json = false};
    struct buffer line = BUFFER_INIT;
    event_line_append(&line, &view, &event, 6);
    buffer_append_char(&line, '\0');
    assert_string_equal(line.data, "11:06:40.123  agent_started    echo\n");
    buffer_deinit(&line);
}

static void test_line_is_cut_to_the_width_between_characters(void **state)
{
    (void)state;
    const struct event event = event_of(
        EVENT_PARTIAL_RESULT, "{\"delta\":\"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\"}");
    struct event_view view = {.width = 35};
    struct buffer line = BUFFER_INIT;
    event_line_append(&line, &view, &event, 6);
    buffer_append_char(&line, '\0');
    assert_string_equal(
        line.data + strlen("08:53:20.123  partial_result   "), "\xc3\xa4\xc3\xb6\xc3\xbc…\n");
    buffer_deinit(&line);
}

static void append_delta(
    struct buffer *out, struct event_view *view, const char *message, const char *data)
{
    struct event event = event_of(EVENT_PARTIAL_RESULT, data);
    event.message_id = span_of_string(message);
    event_line_append(out, view, &event, 6);
}

static void test_text_of_one_message_flows_in_one_line(void **state)
{
    (void)state;
    const struct event end = event_of(EVENT_AGENT_COMPLETED, "{\"outcome\":\"success\"}");
    struct event_view view = {.json = false};
    struct buffer out = BUFFER_INIT;
    append_delta(&out, &view, "m-1", "{\"delta\":\"one\"}");
    append_delta(&out, &view, "m-1", "{\"delta\":\" two\"}");
    append_delta(&out, &view, "m-1", "{\"delta\":\"\",\"final\":true}");
    append_delta(&out, &view, "m-2", "{\"delta\":\"three\"}");
    event_line_append(&out, &view, &end, 6);
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data, "11:06:40.123  partial_result   one two\n"
                                  "11:06:40.123  partial_result   three\n"
                                  "11:06:40.123  agent_completed  success\n");
    buffer_deinit(&out);
}

static void test_flowing_text_breaks_before_the_word_that_does_not_fit(void **state)
{
    (void)state;
    struct event_view view = {.width = 55};
    struct buffer out = BUFFER_INIT;
    append_delta(&out, &view, "m-1", "{\"delta\":\"twelve chars and more\"}");
    append_delta(&out, &view, "m-1", "{\"delta\":\" words\"}");
    event_line_end(&out, &view);
    event_line_end(&out, &view);
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data, "11:06:40.123  partial_result   twelve chars and more\n"
                                  "                               words\n");
    buffer_deinit(&out);
}

static void test_synthetic_events_say_so(void **state)
{
    (void)state;
    struct event event = event_of(EVENT_ERROR_EVENT, "{\"code\":\"worker_lost\"}");
    event.flags = EVENT_FLAG_SYNTHETIC | EVENT_FLAG_FATAL;
    struct event_view view = {.json = false};
    struct buffer line = BUFFER_INIT;
    event_line_append(&line, &view, &event, 6);
    buffer_append_char(&line, '\0');
    assert_non_null(strstr(line.data, "worker_lost  (by the broker)\n"));
    buffer_deinit(&line);
}

static void test_json_is_the_protocols_frame(void **state)
{
    (void)state;
    const struct event event = event_of(EVENT_AGENT_STARTED, "{\"agent\":\"echo\"}");
    struct event_view view = {.json = true, .width = 10, .colour = true};
    struct buffer line = BUFFER_INIT;
    event_line_append(&line, &view, &event, 5);
    assert_int_equal(line.data[line.len - 1], '\n');
    json_t *frame = json_loadb(line.data, line.len, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(frame, "type")), "agent_started");
    assert_int_equal(json_integer_value(json_object_get(frame, "seq")), 7);
    assert_int_equal(json_integer_value(json_object_get(frame, "prev")), 5);
    json_decref(frame);
    buffer_deinit(&line);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type_says_what_matters),
        cmocka_unit_test(test_texts_cannot_steer_the_terminal),
        cmocka_unit_test(test_data_that_is_no_json_shows_nothing),
        cmocka_unit_test(test_line_has_time_type_and_text),
        cmocka_unit_test(test_line_is_cut_to_the_width_between_characters),
        cmocka_unit_test(test_text_of_one_message_flows_in_one_line),
        cmocka_unit_test(test_flowing_text_breaks_before_the_word_that_does_not_fit),
        cmocka_unit_test(test_synthetic_events_say_so),
        cmocka_unit_test(test_json_is_the_protocols_frame),
    };
    return cmocka_run_group_tests_name("cli-event-line", tests, NULL, NULL);
}
