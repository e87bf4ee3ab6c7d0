/* SPDX-License-Identifier: Apache-2.0 */
#include "quota.h"
#include "unit.h"

#define ALICE SPAN_LITERAL("alice")
#define BOB SPAN_LITERAL("bob")
#define MANY 16

static const struct quota_limits limits = {.at_once = 4, .per_second = 2};

static int set_up(void **state)
{
    static struct quotas quotas;
    quotas_init(&quotas);
    *state = &quotas;
    return 0;
}

static int tear_down(void **state)
{
    quotas_deinit(*state);
    return 0;
}

/* Lets in if it may; what was said of it. */
static enum quota_verdict attempt(
    struct quotas *quotas, struct span name, uint64_t now, struct quota_place **ret_place)
{
    uint64_t wait_ms = 0;
    enum quota_verdict verdict = quotas_check(quotas, name, &limits, now, &wait_ms);
    assert_true((verdict == QUOTA_HASTY) == (wait_ms > 0));
    if (verdict == QUOTA_FINE)
        assert_int_equal(quotas_enter(ret_place, quotas, name, &limits, now), 0);
    return verdict;
}

/* Comes and goes `times` times at one instant; how often it was let in. */
static unsigned come_and_go(struct quotas *quotas, uint64_t now, unsigned times)
{
    unsigned fine = 0;
    for (unsigned i = 0; i < times; i++) {
        struct quota_place *place = NULL;
        fine += attempt(quotas, ALICE, now, &place) == QUOTA_FINE;
        quota_leave(place, now);
    }
    return fine;
}

static void test_as_many_as_may_be_at_once_come_at_once(void **state)
{
    struct quotas *quotas = *state;
    struct quota_place *places[MANY] = {NULL};
    for (int i = 0; i < 4; i++)
        assert_int_equal(attempt(quotas, ALICE, 1000, &places[i]), QUOTA_FINE);
    assert_int_equal(attempt(quotas, ALICE, 60000, &places[4]), QUOTA_CROWDED);
    assert_int_equal(attempt(quotas, BOB, 1000, &places[5]), QUOTA_FINE);
    quota_leave(places[0], 60000);
    assert_int_equal(attempt(quotas, ALICE, 60000, &places[0]), QUOTA_FINE);
    for (int i = 0; i < MANY; i++)
        quota_leave(places[i], 60000);
}

static void test_the_bucket_fills_evenly(void **state)
{
    struct quotas *quotas = *state;
    assert_int_equal(come_and_go(quotas, 1000, MANY), 4);
    assert_int_equal(come_and_go(quotas, 1499, MANY), 0);
    assert_int_equal(come_and_go(quotas, 1500, MANY), 1);
    assert_int_equal(come_and_go(quotas, 2500, MANY), 2);
    assert_int_equal(come_and_go(quotas, 60000, MANY), 4);
}

static void test_the_wait_is_as_long_as_it_says(void **state)
{
    struct quotas *quotas = *state;
    uint64_t wait_ms = 0;
    come_and_go(quotas, 1000, MANY);
    assert_int_equal(quotas_check(quotas, ALICE, &limits, 1100, &wait_ms), QUOTA_HASTY);
    assert_int_equal(wait_ms, 400);
    assert_int_equal(come_and_go(quotas, 1100 + wait_ms, 1), 1);
}

static void test_refused_attempts_cost_nothing(void **state)
{
    struct quotas *quotas = *state;
    come_and_go(quotas, 1000, 4);
    for (uint64_t now = 1000; now < 1500; now++)
        assert_int_equal(come_and_go(quotas, now, 10), 0);
    assert_int_equal(come_and_go(quotas, 1500, 1), 1);
}

static void test_a_place_is_forgotten_when_its_bucket_is_full_and_not_before(void **state)
{
    struct quotas *quotas = *state;
    come_and_go(quotas, 1000, 4);
    quotas_tick(quotas, &limits, 2999);
    assert_int_equal(quotas->places.count, 1);
    quotas_tick(quotas, &limits, 3000);
    assert_int_equal(quotas->places.count, 0);
    assert_int_equal(come_and_go(quotas, 3000, MANY), 4);
}

static void test_a_place_with_connections_is_not_forgotten(void **state)
{
    struct quotas *quotas = *state;
    struct quota_ticket ticket = {NULL, NULL};
    come_and_go(quotas, 1000, 1);
    assert_int_equal(attempt(quotas, ALICE, 1000, &ticket.user), QUOTA_FINE);
    quotas_tick(quotas, &limits, 99000);
    assert_int_equal(quotas->places.count, 1);
    quota_ticket_return(&ticket, 99000);
    assert_null(ticket.user);
    quotas_tick(quotas, &limits, 199000);
    assert_int_equal(quotas->places.count, 0);
}

static void test_without_limits_anything_goes(void **state)
{
    struct quotas *quotas = *state;
    const struct quota_limits none = {0, 0};
    struct quota_place *places[MANY];
    uint64_t wait_ms;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(quotas_check(quotas, ALICE, &none, 5, &wait_ms), QUOTA_FINE);
        assert_int_equal(quotas_enter(&places[i], quotas, ALICE, &none, 5), 0);
    }
    for (int i = 0; i < MANY; i++)
        quota_leave(places[i], 5);
    quotas_tick(quotas, &none, 5);
    assert_int_equal(quotas->places.count, 0);
}

static void test_a_rate_without_a_number_has_ten_seconds_worth(void **state)
{
    struct quotas *quotas = *state;
    const struct quota_limits rate = {.at_once = 0, .per_second = 1};
    struct quota_place *place;
    uint64_t wait_ms;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(quotas_check(quotas, ALICE, &rate, 5, &wait_ms), QUOTA_FINE);
        assert_int_equal(quotas_enter(&place, quotas, ALICE, &rate, 5), 0);
        quota_leave(place, 5);
    }
    assert_int_equal(quotas_check(quotas, ALICE, &rate, 5, &wait_ms), QUOTA_HASTY);
    assert_int_equal(wait_ms, 1000);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(test_as_many_as_may_be_at_once_come_at_once),
        FRESH(test_the_bucket_fills_evenly),
        FRESH(test_the_wait_is_as_long_as_it_says),
        FRESH(test_refused_attempts_cost_nothing),
        FRESH(test_a_place_is_forgotten_when_its_bucket_is_full_and_not_before),
        FRESH(test_a_place_with_connections_is_not_forgotten),
        FRESH(test_without_limits_anything_goes),
        FRESH(test_a_rate_without_a_number_has_ten_seconds_worth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
