/* SPDX-License-Identifier: Apache-2.0 */
#include "drain_pace.h"

#include "unit.h"

#define WINDOW 10000
#define STEP 50

/* Who is left, and how many of each have gone, as time goes on. */
struct drain {
    struct drain_pace pace;
    uint64_t now;
    struct drain_share left;
    struct drain_share gone;
};

static struct drain begin(size_t idle, size_t busy)
{
    struct drain drain = {.left = {idle, busy}};
    drain_pace_begin(&drain.pace, WINDOW);
    return drain;
}

/* Steps until `until`; the largest step's share of connections. */
static size_t go_on(struct drain *drain, uint64_t until)
{
    size_t largest = 0;
    for (; drain->now <= until; drain->now += STEP) {
        struct drain_share due =
            drain_pace_step(&drain->pace, drain->now, drain->left.idle, drain->left.busy);
        assert_true(due.idle <= drain->left.idle && due.busy <= drain->left.busy);
        drain->left.idle -= due.idle;
        drain->left.busy -= due.busy;
        drain->gone.idle += due.idle;
        drain->gone.busy += due.busy;
        largest = due.idle + due.busy > largest ? due.idle + due.busy : largest;
    }
    return largest;
}

static void test_the_idle_are_spread_over_the_whole_window_where_nobody_is_busy(void **state)
{
    (void)state;
    struct drain drain = begin(10000, 0);
    assert_in_range(go_on(&drain, WINDOW / 4), 49, 52);
    assert_in_range(drain.gone.idle, 2450, 2550);
    assert_in_range(go_on(&drain, WINDOW - STEP), 49, 52);
    assert_in_range(drain.gone.idle, 9900, 10000);
    go_on(&drain, WINDOW);
    assert_int_equal(drain.left.idle, 0);
}

static void test_the_busy_stay_until_the_idle_are_gone(void **state)
{
    (void)state;
    struct drain drain = begin(1000, 1000);
    go_on(&drain, WINDOW / 2);
    assert_int_equal(drain.gone.idle, 1000);
    assert_int_equal(drain.gone.busy, 0);
    assert_in_range(go_on(&drain, WINDOW * 3 / 4), 9, 12);
    assert_in_range(drain.gone.busy, 480, 520);
    go_on(&drain, WINDOW);
    assert_int_equal(drain.left.busy, 0);
}

static void test_who_becomes_idle_late_goes_soon(void **state)
{
    (void)state;
    struct drain drain = begin(0, 100);
    go_on(&drain, WINDOW / 2);
    assert_int_equal(drain.gone.busy, 0);
    drain.left = (struct drain_share){10, 90};
    go_on(&drain, WINDOW / 2 + WINDOW / 5);
    assert_in_range(drain.gone.idle, 8, 10);
    assert_in_range(drain.gone.busy, 30, 45);
}

static void test_the_first_goes_at_once_and_one_is_enough(void **state)
{
    (void)state;
    struct drain drain = begin(1, 0);
    go_on(&drain, 0);
    assert_int_equal(drain.gone.idle, 1);
}

static void test_without_a_window_all_go_at_once(void **state)
{
    (void)state;
    struct drain_pace pace;
    drain_pace_begin(&pace, 0);
    struct drain_share due = drain_pace_step(&pace, 0, 7, 8);
    assert_int_equal(due.idle, 7);
    assert_int_equal(due.busy, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_idle_are_spread_over_the_whole_window_where_nobody_is_busy),
        cmocka_unit_test(test_the_busy_stay_until_the_idle_are_gone),
        cmocka_unit_test(test_who_becomes_idle_late_goes_soon),
        cmocka_unit_test(test_the_first_goes_at_once_and_one_is_enough),
        cmocka_unit_test(test_without_a_window_all_go_at_once),
    };
    return cmocka_run_group_tests_name("drain-pace", tests, NULL, NULL);
}
