/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "llm/request.h"

#include "base/json_scan.h"

#include <errno.h>

static void assert_json(struct buffer *out, const char *wanted)
{
    assert_true(json_scan_valid(buffer_span(out)));
    buffer_append_char(out, '\0');
    assert_string_equal(out->data, wanted);
    buffer_deinit(out);
}

static void test_a_request_has_what_it_needs_and_the_parameters(void **state)
{
    struct llm_tools tools = {0};
    struct llm_provider provider = {.model = SPAN_LITERAL("\"m\""),
        .parameters = SPAN_LITERAL("{\"seed\":1,\"stop\":[\n]}"),
        .usage = true};
    struct llm_settings settings = {.parameters = SPAN_LITERAL("{\"seed\":2,\"top_p\":3}")};
    struct buffer messages = BUFFER_INIT, out = BUFFER_INIT;
    (void)state;
    llm_request_add_message(&messages, "system", SPAN_LITERAL("\"s\""));
    llm_request_add_message(
        &messages, "user", SPAN_LITERAL("[{\"type\":\"text\",\n\"text\":\"u\"}]"));
    llm_request_append(&out, &settings, &provider, &tools, buffer_span(&messages));
    assert_json(&out,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\", \"text\":\"u\"}]}],\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true},\"seed\":1,\"stop\":[ ],\"top_p\":3}");
    provider.usage = false;
    provider.parameters = settings.parameters = SPAN_EMPTY;
    llm_request_append(&out, &settings, &provider, &tools, SPAN_EMPTY);
    assert_json(&out, "{\"model\":\"m\",\"messages\":[],\"stream\":true}");
    buffer_deinit(&messages);
}

static void test_tools_have_names_that_servers_take(void **state)
{
    struct llm_tools tools = {0};
    struct buffer out = BUFFER_INIT;
    (void)state;
    assert_int_equal(
        llm_tools_read(&tools, SPAN_LITERAL("[\"a.b\",{\"name\":\"a_b\",\"description\":\"d\","
                                            "\"input_schema\":{\"type\":\"object\",\"x\":1}},"
                                            "{\"name\":\"a/b\"}]")),
        0);
    llm_tools_append(&out, &tools);
    assert_json(&out,
        "[{\"type\":\"function\",\"function\":{\"name\":\"a_b\",\"parameters\":{\"type\":"
        "\"object\"}}},"
        "{\"type\":\"function\",\"function\":{\"name\":\"a_b_2\",\"description\":\"d\","
        "\"parameters\":{\"type\":\"object\",\"x\":1}}},"
        "{\"type\":\"function\",\"function\":{\"name\":\"a_b_3\",\"parameters\":{\"type\":"
        "\"object\"}}}]");
    assert_string_equal(llm_tools_find(&tools, SPAN_LITERAL("a_b"))->name.data, "a.b");
    assert_string_equal(llm_tools_find(&tools, SPAN_LITERAL("a_b_2"))->name.data, "a_b");
    assert_null(llm_tools_find(&tools, SPAN_LITERAL("a.b")));
    llm_tools_deinit(&tools);
}

static void test_long_names_are_cut_and_still_told_apart(void **state)
{
    struct llm_tools tools = {0};
    struct buffer list = BUFFER_INIT;
    (void)state;
    buffer_append_char(&list, '[');
    for (int i = 0; i < 2; i++)
        buffer_printf(&list, "%s\"%0100d%d\"", i ? "," : "", 0, i);
    buffer_append_char(&list, ']');
    assert_int_equal(llm_tools_read(&tools, buffer_span(&list)), 0);
    assert_int_equal(strlen(tools.tools[0].wire), LLM_TOOL_NAME_MAX);
    assert_int_equal(strlen(tools.tools[1].wire), LLM_TOOL_NAME_MAX);
    assert_string_equal(tools.tools[1].wire + LLM_TOOL_NAME_MAX - 3, "0_2");
    llm_tools_deinit(&tools);
    buffer_deinit(&list);
}

static void test_a_list_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"{}", "7", "[7]", "[{}]", "[\"\"]"};
    struct llm_tools tools = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(llm_tools_read(&tools, span_of_string(bad[i])), -EBADMSG);
    assert_int_equal(llm_tools_read(&tools, SPAN_EMPTY), 0);
    llm_tools_deinit(&tools);
}

static void test_answers_and_results_follow_each_other(void **state)
{
    struct llm_turn turn = {.call_count = 2};
    struct buffer messages = BUFFER_INIT;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        buffer_printf(&turn.calls[i].id, "c%zu", i);
        buffer_append_string(&turn.calls[i].name, "find");
        buffer_append_string(&turn.calls[i].arguments, "{\"q\":\"\xe2\x98\x83\"}");
    }
    buffer_append_char(&messages, '[');
    messages.len = 0;
    llm_request_add_answer(&messages, &turn);
    llm_request_add_result(&messages, SPAN_LITERAL("c0"), SPAN_LITERAL("\"quoted\"\n"));
    buffer_append_char(&messages, '\0');
    assert_string_equal(messages.data,
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
        "{\"id\":\"c0\",\"type\":\"function\",\"function\":{\"name\":\"find\",\"arguments\":\"{"
        "\\\"q\\\":\\\"\xe2\x98\x83\\\"}\"}},"
        "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"find\",\"arguments\":\"{"
        "\\\"q\\\":\\\"\xe2\x98\x83\\\"}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c0\",\"content\":\"\\\"quoted\\\"\\n\"}");
    llm_turn_deinit(&turn);
    buffer_deinit(&messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_has_what_it_needs_and_the_parameters),
        cmocka_unit_test(test_tools_have_names_that_servers_take),
        cmocka_unit_test(test_long_names_are_cut_and_still_told_apart),
        cmocka_unit_test(test_a_list_that_is_none_is_refused),
        cmocka_unit_test(test_answers_and_results_follow_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
