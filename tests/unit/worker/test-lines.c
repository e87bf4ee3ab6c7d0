/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "protocol/lines.h"

#include <errno.h>

static void test_lines_come_one_by_one_however_they_arrived(void **state)
{
    struct buffer bytes = BUFFER_INIT;
    struct lines lines = {.bytes = &bytes, .max = 16};
    struct span line;
    (void)state;
    assert_int_equal(lines_peek(&line, &lines), 0);
    buffer_append_string(&bytes, "one\ntwo\r\nth");
    assert_int_equal(lines_peek(&line, &lines), 1);
    assert_true(span_is(line, "one"));
    lines_drop(&lines);
    assert_int_equal(lines_peek(&line, &lines), 1);
    assert_true(span_is(line, "two"));
    lines_drop(&lines);
    assert_int_equal(lines_peek(&line, &lines), 0);
    buffer_append_string(&bytes, "ree\n\n");
    assert_int_equal(lines_peek(&line, &lines), 1);
    assert_true(span_is(line, "three"));
    lines_drop(&lines);
    assert_int_equal(lines_peek(&line, &lines), 1);
    assert_int_equal(line.len, 0);
    lines_drop(&lines);
    assert_int_equal(lines_peek(&line, &lines), 0);
    buffer_deinit(&bytes);
}

static void test_a_line_that_is_not_dropped_is_seen_again(void **state)
{
    struct buffer bytes = BUFFER_INIT;
    struct lines lines = {.bytes = &bytes, .max = 16};
    struct span line;
    (void)state;
    buffer_append_string(&bytes, "kept\n");
    assert_int_equal(lines_peek(&line, &lines), 1);
    buffer_append_string(&bytes, "more\n");
    assert_int_equal(lines_peek(&line, &lines), 1);
    assert_true(span_is(line, "kept"));
    buffer_deinit(&bytes);
}

static void test_a_line_over_the_limit_is_refused_complete_or_not(void **state)
{
    struct buffer bytes = BUFFER_INIT;
    struct lines lines = {.bytes = &bytes, .max = 4};
    struct span line;
    (void)state;
    buffer_append_string(&bytes, "four");
    assert_int_equal(lines_peek(&line, &lines), 0);
    buffer_append_string(&bytes, "\n");
    assert_int_equal(lines_peek(&line, &lines), 1);
    lines_drop(&lines);
    buffer_append_string(&bytes, "fives");
    assert_int_equal(lines_peek(&line, &lines), -EMSGSIZE);
    buffer_append_string(&bytes, "\n");
    assert_int_equal(lines_peek(&line, &lines), -EMSGSIZE);
    buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_come_one_by_one_however_they_arrived),
        cmocka_unit_test(test_a_line_that_is_not_dropped_is_seen_again),
        cmocka_unit_test(test_a_line_over_the_limit_is_refused_complete_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
