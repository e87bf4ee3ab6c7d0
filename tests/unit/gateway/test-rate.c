/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"
#include "unit.h"

static unsigned take_many(
    struct rate *rate, uint64_t now_ms, unsigned count, enum rate_verdict wanted)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < count; i++)
        seen += rate_take(rate, now_ms) == wanted;
    return seen;
}

static void test_rate_lets_one_second_through_at_once_and_then_refuses(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 200, 5000);
    assert_int_equal(take_many(&rate, 5000, 200, RATE_FINE), 200);
    assert_int_equal(take_many(&rate, 5000, 100, RATE_OVER), 100);
}

static void test_rate_fills_evenly(void **state)
{
    (void)state;
    struct rate rate;
    unsigned fine = 0;
    rate_init(&rate, 100, 0);
    take_many(&rate, 0, 100, RATE_FINE);
    for (uint64_t now = 1; now <= 10000; now++)
        fine += rate_take(&rate, now) == RATE_FINE;
    assert_in_range(fine, 990, 1001);
}

static void test_rate_calls_it_abuse_after_ten_seconds_worth(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 10, 0);
    assert_int_equal(take_many(&rate, 0, 10, RATE_FINE), 10);
    assert_int_equal(take_many(&rate, 0, 100, RATE_OVER), 100);
    assert_int_equal(rate_take(&rate, 0), RATE_ABUSE);
}

static void test_rate_forgives_after_a_pause(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 10, 0);
    take_many(&rate, 0, 105, RATE_OVER);
    assert_int_equal(take_many(&rate, 2000, 10, RATE_FINE), 10);
    assert_int_equal(take_many(&rate, 2000, 100, RATE_OVER), 100);
}

static void test_rate_survives_a_very_long_silence(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 1000000, 0);
    assert_int_equal(rate_take(&rate, UINT64_MAX / 2), RATE_FINE);
    assert_int_equal(rate.tokens, 999999000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_lets_one_second_through_at_once_and_then_refuses),
        cmocka_unit_test(test_rate_fills_evenly),
        cmocka_unit_test(test_rate_calls_it_abuse_after_ten_seconds_worth),
        cmocka_unit_test(test_rate_forgives_after_a_pause),
        cmocka_unit_test(test_rate_survives_a_very_long_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
