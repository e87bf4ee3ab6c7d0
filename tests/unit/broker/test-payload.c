/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "runs/payload.h"

#include <string.h>

static void assert_text(const char *data, const char *expected)
{
    char text[IDENTIFIER_SIZE];
    memset(text, '?', sizeof(text));
    payload_string(text, span_of_string(data), "tool_name");
    assert_string_equal(text, expected);
}

static void test_string_member_is_found_at_the_top_only(void **state)
{
    (void)state;
    assert_text("{\"tool_name\":\"search\"}", "search");
    assert_text("{\"args\":{\"tool_name\":\"no\"},\"tool_name\":\"se\\u0061rch\"}", "search");
    assert_text("{\"args\":{\"tool_name\":\"no\"}}", "");
}

static void test_member_that_is_no_string_counts_as_none(void **state)
{
    (void)state;
    assert_text("{\"tool_name\":7}", "");
    assert_text("{\"tool_name\":null}", "");
    assert_text("{\"tool_name\":{\"a\":\"b\"}}", "");
}

static void test_data_that_is_no_object_has_no_members(void **state)
{
    (void)state;
    assert_text("", "");
    assert_text("[\"tool_name\"]", "");
    assert_text("\"tool_name\"", "");
    assert_text("{\"tool_name\":\"search\"", "");
    assert_text("{\"tool_name\":\"a\",\"tool_name\":\"b\"}", "");
}

static void test_name_that_does_not_fit_is_left_out_rather_than_cut(void **state)
{
    (void)state;
    char data[512] = "{\"tool_name\":\"";
    size_t len = strlen(data);
    memset(data + len, 'x', IDENTIFIER_MAX);
    strcpy(data + len + IDENTIFIER_MAX, "\"}");
    char longest[IDENTIFIER_SIZE] = "";
    memset(longest, 'x', IDENTIFIER_MAX);
    assert_text(data, longest);
    strcpy(data + len + IDENTIFIER_MAX, "x\"}");
    assert_text(data, "");
}

static void assert_cut(const char *text, size_t max, const char *expected)
{
    struct span cut = payload_cut(span_of_string(text), max);
    assert_int_equal(cut.len, strlen(expected));
    assert_memory_equal(cut.data, expected, cut.len);
}

static void test_text_is_cut_between_characters(void **state)
{
    (void)state;
    assert_cut("abc", 8, "abc");
    assert_cut("abc", 2, "ab");
    assert_cut("a\xc3\xa9", 2, "a");
    assert_cut("a\xf0\x9f\x90\xb4z", 4, "a");
    assert_cut("a\xf0\x9f\x90\xb4z", 5, "a\xf0\x9f\x90\xb4");
    assert_cut("a\xff z", 8, "a");
    assert_cut("", 8, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_string_member_is_found_at_the_top_only),
        cmocka_unit_test(test_member_that_is_no_string_counts_as_none),
        cmocka_unit_test(test_data_that_is_no_object_has_no_members),
        cmocka_unit_test(test_text_is_cut_between_characters),
        cmocka_unit_test(test_name_that_does_not_fit_is_left_out_rather_than_cut),
    };
    return cmocka_run_group_tests_name("broker-payload", tests, NULL, NULL);
}
