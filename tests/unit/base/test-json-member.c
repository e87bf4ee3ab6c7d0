/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_member.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

static void assert_value(const char *object, const char *name, const char *value)
{
    struct span found = json_member_value(span_of_string(object), name);
    if (!span_is(found, value))
        fail_msg("%s in %s: %.*s, not %s", name, object, SPAN_ARG(found), value);
}

static void test_member_is_found_at_the_top_only(void **state)
{
    (void)state;
    assert_value("{\"x\":{\"delta\":1},\"delta\":2}", "delta", "2");
    assert_value("{\"x\":\"\\\"delta\\\":1\",\"delta\" : [ 2, {} ] }", "delta", "[ 2, {} ]");
    assert_value("{\"x\":\"}\\\\\",\"delta\":\"a\\\\\\\"b\"}", "delta", "\"a\\\\\\\"b\"");
    assert_value(" {\n\t\"delta\"\r:\n-1.5e3 } ", "delta", "-1.5e3");
    assert_value("{\"deltas\":1,\"delt\":2}", "delta", "");
    assert_value("{}", "delta", "");
}

/* Wherever the quote stands, and whatever stands before it. */
static void test_a_string_ends_where_it_does_at_any_length(void **state)
{
    (void)state;
    char text[192];
    for (int len = 0; len < 40; len++) {
        for (int backslashes = 0; backslashes < 4; backslashes++) {
            char fill[64] = "";
            memset(fill, 'x', (size_t)len);
            memset(fill + len, '\\', 2 * (size_t)backslashes);
            snprintf(text, sizeof(text), "{\"a\":\"%s\\\"\",\"b\":\"%s\",\"c\":1}", fill, fill);
            assert_value(text, "c", "1");
            struct span inside = json_member_inside(json_member_value(span_of_string(text), "b"));
            assert_true(span_is(inside, fill));
        }
    }
}

static void test_of_a_repeated_member_the_last_counts(void **state)
{
    (void)state;
    assert_value("{\"a\":1,\"b\":2,\"a\":null}", "a", "null");
}

static void test_text_that_is_no_object_is_never_read_beyond_its_end(void **state)
{
    (void)state;
    const char *whole = "{\"a\":{\"b\":[1,\"\\\\\\\"x\"]},\"c\":\"d\",\"a\":true}";
    for (size_t len = 0; len <= strlen(whole); len++) {
        char *copy = malloc(len + 1); /* its end is an error to read behind, with a sanitizer */
        assert_non_null(copy);
        memcpy(copy, whole, len);
        struct span found = json_member_value(span_of(copy, len), "a");
        assert_true(found.len <= len);
        free(copy);
    }
}

static void test_inside_of_a_string_is_as_it_was_written(void **state)
{
    (void)state;
    assert_true(span_is(json_member_inside(span_of_string("\"a\\nb\"")), "a\\nb"));
    assert_int_equal(json_member_inside(span_of_string("\"\"")).len, 0);
    assert_int_equal(json_member_inside(span_of_string("12")).len, 0);
    assert_int_equal(json_member_inside(SPAN_EMPTY).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_member_is_found_at_the_top_only),
        cmocka_unit_test(test_a_string_ends_where_it_does_at_any_length),
        cmocka_unit_test(test_of_a_repeated_member_the_last_counts),
        cmocka_unit_test(test_text_that_is_no_object_is_never_read_beyond_its_end),
        cmocka_unit_test(test_inside_of_a_string_is_as_it_was_written),
    };
    return cmocka_run_group_tests_name("base-json-member", tests, NULL, NULL);
}
