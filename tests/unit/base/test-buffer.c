/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"
#include "unit.h"

#include <errno.h>
#include <inttypes.h>

static void test_buffer_grows_and_keeps_what_was_appended(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    for (unsigned i = 0; i < 5000; i++)
        buffer_append_char(&buffer, (char)i);
    assert_int_equal(buffer.len, 5000);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal((unsigned char)buffer.data[i], i & 0xff);
    assert_int_equal(buffer_error(&buffer), 0);
    buffer_deinit(&buffer);
    assert_null(buffer.data);
}

static void test_buffer_writes_numbers_as_printf_does(void **state)
{
    (void)state;
    const uint64_t numbers[] = {0, 9, 10, 99, 100, 1234567890, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct buffer ours = BUFFER_INIT;
        struct buffer theirs = BUFFER_INIT;
        buffer_append_uint(&ours, numbers[i]);
        buffer_printf(&theirs, "%" PRIu64, numbers[i]);
        assert_true(span_equal(buffer_span(&ours), buffer_span(&theirs)));
        buffer_deinit(&ours);
        buffer_deinit(&theirs);
    }
}

static void test_buffer_consume_takes_from_the_front_and_never_too_much(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    buffer_append_string(&buffer, "abcdef");
    buffer_consume(&buffer, 2);
    assert_true(span_is(buffer_span(&buffer), "cdef"));
    buffer_consume(&buffer, 0);
    assert_true(span_is(buffer_span(&buffer), "cdef"));
    buffer_consume(&buffer, 100);
    assert_int_equal(buffer.len, 0);
    buffer_deinit(&buffer);
}

static void test_buffer_remembers_a_growth_that_failed_until_cleared(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    buffer_append_string(&buffer, "kept");
    assert_null(buffer_reserve(&buffer, SIZE_MAX / 2));
    buffer_append_string(&buffer, ",");
    assert_int_equal(buffer_error(&buffer), -ENOMEM);
    assert_memory_equal(buffer.data, "kept", 4);
    buffer_clear(&buffer);
    assert_int_equal(buffer_error(&buffer), 0);
    assert_int_equal(buffer.len, 0);
    buffer_deinit(&buffer);
}

static void test_buffer_accepts_empty_spans_without_memory(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    buffer_append_span(&buffer, SPAN_EMPTY);
    buffer_append_string(&buffer, "");
    assert_int_equal(buffer.len, 0);
    assert_int_equal(buffer_error(&buffer), 0);
    buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_grows_and_keeps_what_was_appended),
        cmocka_unit_test(test_buffer_writes_numbers_as_printf_does),
        cmocka_unit_test(test_buffer_consume_takes_from_the_front_and_never_too_much),
        cmocka_unit_test(test_buffer_remembers_a_growth_that_failed_until_cleared),
        cmocka_unit_test(test_buffer_accepts_empty_spans_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
