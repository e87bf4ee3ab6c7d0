/* SPDX-License-Identifier: Apache-2.0 */
/* Who may be drained now: the accounts, the rings that are left alone, and the drain with both. */
#include "broker-test.h"
#include "intake/pacing.h"
#include "process-test.h"

#define START_NS UINT64_C(7000000000)
#define SECOND_NS UINT64_C(1000000000)

/* ---- accounts */

static uint64_t take_while_there_is_room(struct account *account, uint64_t now_ns, uint64_t rate)
{
    uint64_t taken = 0;
    for (; account_has_room(account, now_ns, rate) && taken < 100000; taken++)
        account_take(account, now_ns, rate, 10);
    return taken;
}

static void test_account_has_the_events_of_one_second_at_once(void **state)
{
    (void)state;
    struct account account = {0};
    assert_int_equal(take_while_there_is_room(&account, START_NS, 100), 100);
    assert_int_equal(account_room_at(&account, START_NS, 100), START_NS + SECOND_NS / 100);
    assert_int_equal(take_while_there_is_room(&account, START_NS + SECOND_NS / 2, 100), 50);
    assert_int_equal(take_while_there_is_room(&account, START_NS + 60 * SECOND_NS, 100), 100);
    assert_int_equal(account.events, 250);
    assert_int_equal(account.bytes, 2500);
}

static void test_account_without_a_rate_has_room_for_ever(void **state)
{
    (void)state;
    struct account account = {0};
    assert_int_equal(take_while_there_is_room(&account, START_NS, 0), 100000);
    assert_int_equal(account_room_at(&account, START_NS, 0), START_NS);
}

static void test_debt_is_waited_for(void **state)
{
    (void)state;
    struct account account = {0};
    for (int i = 0; i < 130; i++)
        account_take(&account, START_NS, 100, 1);
    assert_false(account_has_room(&account, START_NS + 300 * SECOND_NS / 1000, 100));
    assert_true(account_has_room(&account, START_NS + 310 * SECOND_NS / 1000, 100));
}

static void test_rate_is_that_of_the_last_second(void **state)
{
    (void)state;
    struct account account = {0};
    for (int i = 0; i < 1000; i++)
        account_take(&account, START_NS, 0, 1);
    assert_int_equal(account_rate(&account, START_NS), 1000);
    assert_int_equal(account_rate(&account, START_NS + SECOND_NS + SECOND_NS / 4), 750);
    account_take(&account, START_NS + SECOND_NS + SECOND_NS / 4, 0, 1);
    assert_int_equal(account_rate(&account, START_NS + SECOND_NS + SECOND_NS / 2), 501);
    assert_int_equal(account_rate(&account, START_NS + 9 * SECOND_NS), 0);
}

/* ---- rings that are left alone */

struct bench {
    struct counters counters;
    struct pacing pacing;
    struct user users[2];
};

static void bench_up(struct bench *bench, uint64_t user_rate, uint64_t worker_rate)
{
    *bench = (struct bench){0};
    const struct pacing_options options = {.user_rate = user_rate,
        .worker_rate = worker_rate,
        .ring_count = 64,
        .process_count = 4,
        .counters = &bench->counters};
    assert_int_equal(pacing_init(&bench->pacing, &options), 0);
    pacing_begin(&bench->pacing, START_NS);
}

/* Takes what the ring of the user gives, of `count` records of this process. */
static int drain_some(struct bench *bench, uint32_t user, uint32_t process, int count)
{
    const struct pacing_record record = {process, 1, 10};
    int taken = 0;
    bool allowed = pacing_allows(&bench->pacing, user, 0, &bench->users[user], NULL);
    while (taken < count && allowed) {
        pacing_note(&bench->pacing, &bench->users[user], &record);
        taken++;
        allowed = pacing_allows(&bench->pacing, user, 0, &bench->users[user], &record);
    }
    return taken;
}

static void test_user_over_its_rate_is_held_and_no_other(void **state)
{
    (void)state;
    struct bench bench;
    bench_up(&bench, 100, 0);
    assert_int_equal(drain_some(&bench, 0, 1, 500), 100);
    assert_true(pacing_is_held(&bench.pacing, 0));
    assert_counted(bench.counters.rings_held_for_user, 1);
    assert_int_equal(bench.users[0].account.held, 1);
    assert_int_equal(drain_some(&bench, 1, 1, 50), 50);
    assert_false(pacing_is_held(&bench.pacing, 1));
    assert_int_equal(bench.counters.rings_held_for_worker, 0);
    pacing_deinit(&bench.pacing);
}

static void test_held_ring_is_due_when_there_is_room_again(void **state)
{
    (void)state;
    struct bench bench;
    bench_up(&bench, 100, 0);
    assert_int_equal(pacing_due_ns(&bench.pacing), 0);
    drain_some(&bench, 0, 1, 500);
    uint64_t due = pacing_due_ns(&bench.pacing);
    assert_int_equal(due, START_NS + SECOND_NS / 100);
    pacing_begin(&bench.pacing, due - 1);
    assert_int_equal(pacing_next_due(&bench.pacing), UINT32_MAX);
    pacing_begin(&bench.pacing, due);
    assert_int_equal(pacing_next_due(&bench.pacing), 0);
    assert_int_equal(pacing_due_ns(&bench.pacing), 0);
    assert_int_equal(drain_some(&bench, 0, 1, 500), 1);
    pacing_deinit(&bench.pacing);
}

static void test_fast_rate_is_taken_in_handfuls(void **state)
{
    (void)state;
    struct bench bench;
    bench_up(&bench, 10000, 0);
    assert_int_equal(drain_some(&bench, 0, 1, 50000), 10000);
    assert_int_equal(pacing_due_ns(&bench.pacing), START_NS + PACING_HOLD_NS);
    pacing_begin(&bench.pacing, START_NS + PACING_HOLD_NS);
    assert_int_equal(pacing_next_due(&bench.pacing), 0);
    assert_int_equal(drain_some(&bench, 0, 1, 50000), 50);
    pacing_deinit(&bench.pacing);
}

static void test_worker_over_its_rate_holds_the_rings_it_writes_to(void **state)
{
    (void)state;
    struct bench bench;
    bench_up(&bench, 0, 100);
    assert_int_equal(drain_some(&bench, 0, 1, 500), 100);
    assert_counted(bench.counters.rings_held_for_worker, 1);
    /* One record is taken to know who wrote it: a debt that is paid off later. */
    assert_int_equal(drain_some(&bench, 1, 1, 500), 1);
    assert_counted(bench.counters.rings_held_for_worker, 2);
    const struct account *account = pacing_process(&bench.pacing, 1, 1);
    assert_int_equal(account->events, 101);
    assert_int_equal(account->held, 2);
    assert_null(pacing_process(&bench.pacing, 1, 2));
    assert_null(pacing_process(&bench.pacing, 99, 1));
    pacing_deinit(&bench.pacing);
}

static void test_other_workers_are_not_slowed_with_it(void **state)
{
    (void)state;
    struct bench bench;
    bench_up(&bench, 0, 100);
    drain_some(&bench, 0, 1, 500);
    assert_int_equal(drain_some(&bench, 1, 2, 60), 60);
    assert_int_equal(drain_some(&bench, 1, 77, 60), 60); /* no such place in the table */
    pacing_deinit(&bench.pacing);
}

static void test_what_a_runs_end_waits_for_is_not_held(void **state)
{
    (void)state;
    struct bench bench;
    bench_up(&bench, 10, 0);
    drain_some(&bench, 0, 1, 500);
    assert_true(pacing_is_held(&bench.pacing, 0));
    pacing_hurry(&bench.pacing, 0, 1000);
    assert_false(pacing_is_held(&bench.pacing, 0));
    assert_true(pacing_allows(&bench.pacing, 0, 999, &bench.users[0], NULL));
    assert_false(pacing_allows(&bench.pacing, 0, 1000, &bench.users[0], NULL));
    pacing_forget(&bench.pacing, 0); /* the ring is another user's now */
    assert_false(pacing_is_held(&bench.pacing, 0));
    pacing_deinit(&bench.pacing);
}

/* ---- in the drain */

static void emit_many(struct child *child, const char *user, const char *run_id, int count)
{
    for (int i = 0; i < count; i++)
        child_emit(child, user, text_event(run_id, "m-1", 0));
}

static uint64_t head_of(struct fixture *f, const char *user)
{
    return history_head(fixture_user(f, user)->stream);
}

static void limit(struct fixture *f, uint64_t user_rate)
{
    f->config.broker_max_events_per_second_per_user = user_rate;
    fixture_restart(f);
}

static void test_flooding_user_is_slowed_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct child child;
    limit(f, 50);
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    emit_many(&child, "ann", "r-1", 52);
    child_emit(&child, "bob", started("r-2"));
    fixture_turn(f);
    assert_int_equal(head_of(f, "ann"), 50);
    assert_int_equal(head_of(f, "bob"), 1);
    assert_counted(f->counters.rings_held_for_user, 1);
    assert_int_not_equal(drain_due_ns(f->drain), 0);
    while (head_of(f, "ann") < 53)
        fixture_turn(f);
    struct drain_account account;
    drain_user_account(f->drain, fixture_user(f, "ann"), &account);
    assert_int_equal(account.events, 53);
    assert_true(account.held >= 1);
    assert_int_equal(account.ring_bytes, 0);
    drain_process_account(f->drain, child.index, child.incarnation, &account);
    assert_int_equal(account.events, 54);
    assert_true(account.bytes > 0);
    child_stop(&child);
}

static void test_dead_workers_last_words_are_not_slowed(void **state)
{
    struct fixture *f = *state;
    struct child child;
    limit(f, 5);
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    emit_many(&child, "ann", "r-1", 30);
    fixture_turn(f);
    assert_int_equal(head_of(f, "ann"), 5);
    child_kill(&child);
    fixture_turn(f); /* sees the death and marks how far the ring reaches */
    fixture_turn(f);
    assert_string_equal(ended_state(f, "r-1"), "failed");
    assert_true(head_of(f, "ann") > 31);
    child_reap(&child);
}

static void test_all_is_taken_in_at_a_start_whatever_the_rate(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    emit_many(&child, "ann", "r-1", 30);
    limit(f, 5);
    fixture_recover(f);
    assert_int_equal(head_of(f, "ann"), 31);
    child_stop(&child);
}

/* Each ring's share of a turn is bounded in records and in bytes, whatever one of them holds. */
static void test_quiet_users_event_waits_for_a_bounded_share_of_anothers(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    emit_many(&child, "ann", "r-1", 60);
    child_emit(&child, "bob", started("r-2"));
    drain_turn(f->drain, 16); /* two rings: eight records each */
    assert_int_equal(head_of(f, "ann"), 8);
    assert_int_equal(head_of(f, "bob"), 1);
    f->config.history_max_staged = 4 * 1200; /* room for few */
    fixture_restart(f);
    drain_turn(f->drain, 1000);
    uint64_t first = head_of(f, "ann") + head_of(f, "bob");
    assert_in_range(first, 1, 8);
    for (int i = 0; i < 3 && head_of(f, "bob") == 0; i++) {
        fixture_commit(f);
        drain_release(f->drain);
        drain_turn(f->drain, 1000);
    }
    assert_int_equal(head_of(f, "bob"), 1);
    assert_true(head_of(f, "ann") < 61);
    child_stop(&child);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_account_has_the_events_of_one_second_at_once),
        cmocka_unit_test(test_account_without_a_rate_has_room_for_ever),
        cmocka_unit_test(test_debt_is_waited_for),
        cmocka_unit_test(test_rate_is_that_of_the_last_second),
        cmocka_unit_test(test_user_over_its_rate_is_held_and_no_other),
        cmocka_unit_test(test_held_ring_is_due_when_there_is_room_again),
        cmocka_unit_test(test_fast_rate_is_taken_in_handfuls),
        cmocka_unit_test(test_worker_over_its_rate_holds_the_rings_it_writes_to),
        cmocka_unit_test(test_other_workers_are_not_slowed_with_it),
        cmocka_unit_test(test_what_a_runs_end_waits_for_is_not_held),
        CASE(test_flooding_user_is_slowed_and_loses_nothing),
        CASE(test_dead_workers_last_words_are_not_slowed),
        CASE(test_all_is_taken_in_at_a_start_whatever_the_rate),
        CASE(test_quiet_users_event_waits_for_a_bounded_share_of_anothers),
    };
    return cmocka_run_group_tests_name("broker-pacing", tests, NULL, NULL);
}
