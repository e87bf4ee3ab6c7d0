/* SPDX-License-Identifier: Apache-2.0 */
#include "base/identifier.h"
#include "unit.h"

#include <string.h>

static void test_identifier_accepts_each_printable_byte_but_space_quote_and_backslash(void **state)
{
    (void)state;
    char text[32];
    for (size_t len = 1; len <= sizeof(text); len++) {
        for (size_t place = 0; place < len; place++) {
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'a', sizeof(text));
                text[place] = (char)byte;
                bool expected = byte > 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
                if (identifier_valid(span_of(text, len)) != expected)
                    fail_msg("byte %d at %zu of %zu", byte, place, len);
            }
        }
    }
}

static void test_identifier_is_1_to_127_bytes_long(void **state)
{
    (void)state;
    char text[IDENTIFIER_MAX + 1];
    memset(text, 'x', sizeof(text));
    assert_false(identifier_valid(span_of(text, 0)));
    assert_false(identifier_valid(SPAN_EMPTY));
    assert_true(identifier_valid(span_of(text, 1)));
    assert_true(identifier_valid(span_of(text, IDENTIFIER_MAX)));
    assert_false(identifier_valid(span_of(text, IDENTIFIER_MAX + 1)));
}

static void test_identifier_made_is_valid_and_prefixed(void **state)
{
    (void)state;
    char text[IDENTIFIER_MADE_SIZE];
    identifier_make(text, "r-");
    assert_int_equal(strlen(text), 2 + 26);
    assert_memory_equal(text, "r-", 2);
    assert_true(identifier_valid(span_of_string(text)));
    identifier_make(text, "abcdef");
    assert_int_equal(strlen(text), 3 + 26);
}

static void test_identifiers_made_never_repeat_and_sort_by_time(void **state)
{
    (void)state;
    static char made[2000][IDENTIFIER_MADE_SIZE];
    for (int i = 0; i < 2000; i++) {
        identifier_make(made[i], "r-");
        if (i > 0)
            assert_true(memcmp(made[i - 1], made[i], 2 + 10) <= 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(made[i], made[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identifier_accepts_each_printable_byte_but_space_quote_and_backslash),
        cmocka_unit_test(test_identifier_is_1_to_127_bytes_long),
        cmocka_unit_test(test_identifier_made_is_valid_and_prefixed),
        cmocka_unit_test(test_identifiers_made_never_repeat_and_sort_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
