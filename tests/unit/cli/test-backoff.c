/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

#include "unit.h"

static void test_first_end_is_followed_at_once(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    backoff_started(&backoff, 1000);
    assert_int_equal(backoff_ended(&backoff, 1001), 0);
}

static void test_pauses_double_up_to_the_last(void **state)
{
    (void)state;
    static const uint64_t expected[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
    struct backoff backoff = {0};
    uint64_t now = 1000;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        backoff_started(&backoff, now);
        now += 50;
        assert_int_equal(backoff_ended(&backoff, now), expected[i]);
    }
}

static void test_long_life_begins_anew(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    for (int i = 0; i < 5; i++) {
        backoff_started(&backoff, 1000);
        backoff_ended(&backoff, 1050);
    }
    backoff_started(&backoff, 2000);
    assert_int_equal(backoff_ended(&backoff, 2000 + BACKOFF_RESET_MS), 0);
    backoff_started(&backoff, 20000);
    assert_int_equal(backoff_ended(&backoff, 20001), BACKOFF_FIRST_MS);
}

static void test_life_just_too_short_does_not(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    backoff_started(&backoff, 1000);
    backoff_ended(&backoff, 1001);
    backoff_started(&backoff, 2000);
    assert_int_equal(backoff_ended(&backoff, 2000 + BACKOFF_RESET_MS - 1), BACKOFF_FIRST_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_end_is_followed_at_once),
        cmocka_unit_test(test_pauses_double_up_to_the_last),
        cmocka_unit_test(test_long_life_begins_anew),
        cmocka_unit_test(test_life_just_too_short_does_not),
    };
    return cmocka_run_group_tests_name("cli-backoff", tests, NULL, NULL);
}
