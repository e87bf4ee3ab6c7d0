/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include "unit.h"

#include <errno.h>

static void test_bytes_are_read_with_their_unit(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    assert_int_equal(config_parse_bytes("0", &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(config_parse_bytes("17", &bytes), 0);
    assert_int_equal(bytes, 17);
    assert_int_equal(config_parse_bytes("64K", &bytes), 0);
    assert_int_equal(bytes, 65536);
    assert_int_equal(config_parse_bytes("3M", &bytes), 0);
    assert_int_equal(bytes, 3u << 20);
    assert_int_equal(config_parse_bytes("2G", &bytes), 0);
    assert_int_equal(bytes, 2ull << 30);
    assert_int_equal(config_parse_bytes("1T", &bytes), 0);
    assert_int_equal(bytes, 1ull << 40);
}

static void test_bytes_of_any_other_form_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "K", "-1", "+1", " 1", "1 ", "1 K", "1k", "1KB", "1.5M", "0x10", "1e3"};
    uint64_t bytes = 7;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (config_parse_bytes(wrong[i], &bytes) != -EINVAL)
            fail_msg("\"%s\" was taken for bytes", wrong[i]);
    }
    assert_int_equal(bytes, 7);
}

static void test_bytes_beyond_64_bits_are_out_of_range(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_int_equal(config_parse_bytes("18446744073709551615", &bytes), 0);
    assert_true(bytes == UINT64_MAX);
    assert_int_equal(config_parse_bytes("18446744073709551616", &bytes), -ERANGE);
    assert_int_equal(config_parse_bytes("16777216T", &bytes), -ERANGE);
}

static void test_durations_are_read_in_milliseconds(void **state)
{
    (void)state;
    uint64_t ms = 7;
    assert_int_equal(config_parse_duration("0", &ms), 0);
    assert_int_equal(ms, 0);
    assert_int_equal(config_parse_duration("250ms", &ms), 0);
    assert_int_equal(ms, 250);
    assert_int_equal(config_parse_duration("5s", &ms), 0);
    assert_int_equal(ms, 5000);
    assert_int_equal(config_parse_duration("10m", &ms), 0);
    assert_int_equal(ms, 600000);
    assert_int_equal(config_parse_duration("24h", &ms), 0);
    assert_int_equal(ms, 86400000);
    assert_int_equal(config_parse_duration("7d", &ms), 0);
    assert_int_equal(ms, 604800000);
}

static void test_durations_need_a_unit(void **state)
{
    (void)state;
    uint64_t ms = 7;
    assert_int_equal(config_parse_duration("5", &ms), -EINVAL);
    assert_int_equal(config_parse_duration("5S", &ms), -EINVAL);
    assert_int_equal(config_parse_duration("1h30m", &ms), -EINVAL);
    assert_int_equal(config_parse_duration("-5s", &ms), -EINVAL);
    assert_int_equal(config_parse_duration("s", &ms), -EINVAL);
    assert_int_equal(config_parse_duration("99999999999999999d", &ms), -ERANGE);
    assert_int_equal(ms, 7);
}

static void test_values_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 999, 1000, 1024, 1025, 1048576, 86400000, 1ull << 42};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct buffer text = BUFFER_INIT;
        uint64_t again = ~values[i];
        config_format_bytes(&text, values[i]);
        buffer_append_char(&text, '\0');
        assert_int_equal(config_parse_bytes(text.data, &again), 0);
        assert_true(again == values[i]);
        buffer_clear(&text);
        config_format_duration(&text, values[i]);
        buffer_append_char(&text, '\0');
        assert_int_equal(config_parse_duration(text.data, &again), 0);
        assert_true(again == values[i]);
        buffer_deinit(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_read_with_their_unit),
        cmocka_unit_test(test_bytes_of_any_other_form_are_refused),
        cmocka_unit_test(test_bytes_beyond_64_bits_are_out_of_range),
        cmocka_unit_test(test_durations_are_read_in_milliseconds),
        cmocka_unit_test(test_durations_need_a_unit),
        cmocka_unit_test(test_values_are_written_as_they_are_read),
    };
    return cmocka_run_group_tests_name("config-value", tests, NULL, NULL);
}
