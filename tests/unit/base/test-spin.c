/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/spin.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static void test_what_pays_is_learnt_and_is_bounded(void **state)
{
    uint32_t span = 100;
    (void)state;
    assert_int_equal(spin_next(100, span, 10), 21);
    assert_int_equal(spin_next(100, span, 90), 100);
    assert_int_equal(spin_next(100, 0, 30), 61); /* also after it had given up */
    for (int i = 0; i < 8; i++)
        span = spin_next(100, span, 5000);
    assert_int_equal(span, 0);
    assert_int_equal(spin_next(0, 0, 0), 0);
}

static void test_looks_go_on_for_the_span_and_no_longer(void **state)
{
    struct spin spin;
    (void)state;
    spin_init(&spin, 100);
    assert_true(spin_look(&spin, 1 * MS));
    assert_true(spin_look(&spin, 1 * MS + 99 * US));
    assert_false(spin_look(&spin, 1 * MS + 100 * US));
    assert_false(spin_look(&spin, 1 * MS + 101 * US)); /* nor after waking up for nothing */
    spin_news(&spin);
    assert_true(spin_look(&spin, 3 * MS));
}

static void test_without_a_span_there_is_no_look(void **state)
{
    struct spin spin;
    (void)state;
    spin_init(&spin, 100);
    spin.span_us = 0;
    assert_false(spin_look(&spin, 1 * MS));
    spin_init(&spin, 0);
    assert_false(spin_again(&spin));
}

static void test_whoever_gets_the_processor_back_late_sleeps_for_some_time(void **state)
{
    struct spin spin;
    (void)state;
    spin_init(&spin, 1000);
    assert_true(spin_look(&spin, 1 * MS));
    assert_false(spin_look(&spin, 2 * MS));
    spin.since_ns = 0;
    assert_false(spin_look(&spin, 11 * MS));
    spin.since_ns = 0;
    assert_true(spin_look(&spin, 12 * MS));
}

static void test_time_asleep_is_not_time_without_the_processor(void **state)
{
    struct spin spin;
    (void)state;
    spin_init(&spin, 100);
    assert_true(spin_look(&spin, 1 * MS));
    assert_false(spin_look(&spin, 1 * MS + 100 * US));
    assert_false(spin_look(&spin, 900 * MS));
    assert_int_equal(spin.sleep_until_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_pays_is_learnt_and_is_bounded),
        cmocka_unit_test(test_looks_go_on_for_the_span_and_no_longer),
        cmocka_unit_test(test_without_a_span_there_is_no_look),
        cmocka_unit_test(test_whoever_gets_the_processor_back_late_sleeps_for_some_time),
        cmocka_unit_test(test_time_asleep_is_not_time_without_the_processor),
    };
    return cmocka_run_group_tests_name("base-spin", tests, NULL, NULL);
}
