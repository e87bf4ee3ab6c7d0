/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/json_scan.h"
#include "unit.h"

#include <jansson.h>

static json_t *load(const struct buffer *buffer)
{
    json_error_t error;
    json_t *value = json_loadb(buffer->data, buffer->len,
        JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (!value)
        fail_msg("%s in %.*s", error.text, SPAN_ARG(buffer_span(buffer)));
    return value;
}

static void test_json_string_of_any_ascii_is_read_back_the_same(void **state)
{
    (void)state;
    char text[128];
    for (int i = 0; i < 128; i++)
        text[i] = (char)i;
    struct buffer out = BUFFER_INIT;
    json_append_string(&out, span_of(text, sizeof(text)));
    assert_true(json_scan_valid(buffer_span(&out)));
    json_t *value = load(&out);
    assert_int_equal(json_string_length(value), sizeof(text));
    assert_memory_equal(json_string_value(value), text, sizeof(text));
    json_decref(value);
    buffer_deinit(&out);
}

static void test_json_string_keeps_utf8_as_it_is(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    json_append_string(&out, SPAN_LITERAL("grüße \xf0\x9f\x91\x8b"));
    assert_true(span_is(buffer_span(&out), "\"grüße \xf0\x9f\x91\x8b\""));
    buffer_clear(&out);
    json_append_string(&out, SPAN_EMPTY);
    assert_true(span_is(buffer_span(&out), "\"\""));
    buffer_deinit(&out);
}

static void test_json_members_get_commas_between_them_only(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    buffer_append_char(&out, '{');
    json_append_member(&out, "text", SPAN_LITERAL("a\"b"));
    json_append_member_uint(&out, "number", UINT64_MAX);
    json_append_member_bool(&out, "flag", false);
    json_append_name(&out, "inner");
    buffer_append_char(&out, '{');
    json_append_member_raw(&out, "raw", SPAN_LITERAL("[1,2]"));
    buffer_append_string(&out, "}}");
    assert_true(span_is(buffer_span(&out), "{\"text\":\"a\\\"b\",\"number\":18446744073709551615,"
                                           "\"flag\":false,\"inner\":{\"raw\":[1,2]}}"));
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_string_of_any_ascii_is_read_back_the_same),
        cmocka_unit_test(test_json_string_keeps_utf8_as_it_is),
        cmocka_unit_test(test_json_members_get_commas_between_them_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
