/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of one user, and what open runs keep from being trimmed. */
#include "history-test.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

static void trim_all(struct fixture *fixture, uint64_t now)
{
    int rc;
    while ((rc = history_trim(fixture->history, now)) == 1)
        continue;
    assert_return_code(rc, 0);
}

static void pin(struct fixture *fixture, const char *user, uint64_t first_seq)
{
    history_pin(fixture->history, fixture_stream(fixture, user), first_seq);
}

static struct history_usage usage_of(struct fixture *fixture)
{
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    return usage;
}

static uint64_t text_bytes(const char *user, uint64_t from, uint64_t to)
{
    _cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
    for (uint64_t seq = from; seq <= to; seq++)
        event_text(&text, user, seq);
    return text.len;
}

static void assert_usage(struct fixture *fixture, const char *user, uint64_t oldest, uint64_t head)
{
    struct history_stream_usage usage;
    history_stream_usage(fixture_stream(fixture, user), &usage);
    assert_int_equal(usage.oldest, oldest);
    assert_int_equal(usage.events, head + 1 - oldest);
    assert_int_equal(usage.bytes, text_bytes(user, oldest, head));
    assert_range(fixture, user, oldest, head);
}

/* ---- limits of a user */

static void test_a_user_keeps_as_many_events_as_the_limit_says_and_others_keep_theirs(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_events_per_user = 15;
    fixture_open(fixture);
    for (int i = 0; i < 10; i++) {
        stage_events(fixture, "bob", 1);
        commit_events(fixture, "ann", 7);
    }
    trim_all(fixture, clock_wall_ms());
    for (int i = 0; i < 2; i++) {
        assert_usage(fixture, "ann", 56, 70);
        assert_usage(fixture, "bob", 1, 10);
        fixture_reopen(fixture);
    }
}

static void test_a_user_keeps_as_many_bytes_as_the_limit_says(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_bytes_per_user = text_bytes("ann", 41, 100) + 1;
    fixture_open(fixture);
    for (int i = 0; i < 10; i++)
        commit_events(fixture, "ann", 10);
    trim_all(fixture, clock_wall_ms());
    for (int i = 0; i < 2; i++) {
        assert_usage(fixture, "ann", 41, 100);
        fixture_reopen(fixture);
    }
}

static void test_a_user_is_trimmed_when_it_is_a_sixteenth_over(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_events_per_user = 160;
    fixture_open(fixture);
    commit_events(fixture, "ann", 170);
    trim_all(fixture, clock_wall_ms());
    assert_usage(fixture, "ann", 1, 170);
    commit_events(fixture, "ann", 1);
    trim_all(fixture, clock_wall_ms());
    assert_usage(fixture, "ann", 12, 171);
}

static void test_a_limit_that_is_lower_at_the_next_opening_is_kept_too(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 30);
    commit_events(fixture, "ann", 30);
    fixture->options.max_events_per_user = 10;
    fixture_reopen(fixture);
    trim_all(fixture, clock_wall_ms());
    assert_usage(fixture, "ann", 51, 60);
}

static void test_reading_below_a_users_floor_says_that_it_is_gone(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    uint64_t last = 0;
    fixture->options.max_events_per_user = 4;
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    trim_all(fixture, clock_wall_ms());
    struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_int_equal(history_read(stream, 5, 1000, &page, &last), -ERANGE);
    assert_return_code(history_read(stream, 6, 1000, &page, &last), 0);
}

static void test_one_call_serves_a_bounded_number_of_users(void **state)
{
    struct fixture *fixture = *state;
    char user[16];
    fixture->options.max_events_per_user = 2;
    fixture_open(fixture);
    for (int i = 0; i < 600; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        stage_events(fixture, user, 3);
    }
    assert_return_code(history_commit(fixture->history), 0);
    assert_int_equal(usage_of(fixture).events, 1800);
    assert_int_equal(history_trim(fixture->history, 0), 1);
    assert_in_range(usage_of(fixture).events, 1201, 1799);
    trim_all(fixture, 0);
    assert_int_equal(usage_of(fixture).events, 1200);
    assert_int_equal(history_trim(fixture->history, 0), 0);
}

/* ---- space */

static void test_what_is_dead_is_counted_and_its_space_comes_back(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_events_per_user = 10;
    fixture_open(fixture);
    stage_events(fixture, "bob", 10);
    commit_events(fixture, "ann", 6);
    uint64_t whole = usage_of(fixture).batch_bytes;
    commit_events(fixture, "ann", 6);
    trim_all(fixture, 0); /* 2 of 16 in the first batch are dead: not worth the writing */
    assert_int_equal(usage_of(fixture).batches, 2);
    assert_int_equal(usage_of(fixture).dead_bytes, text_bytes("ann", 1, 2));
    fixture_reopen(fixture);
    assert_int_equal(usage_of(fixture).dead_bytes, text_bytes("ann", 1, 2));
    commit_events(fixture, "bob", 10);
    trim_all(fixture, 0);
    assert_int_equal(usage_of(fixture).dead_bytes, 0);
    assert_int_equal(usage_of(fixture).batches, 3);
    commit_events(fixture, "ann", 10);
    trim_all(fixture, 0);
    assert_int_equal(usage_of(fixture).batches, 2);
    assert_in_range(usage_of(fixture).batch_bytes, 1, 2 * whole);
    assert_usage(fixture, "ann", 13, 22);
    assert_usage(fixture, "bob", 11, 20);
}

/* ---- open runs */

static void test_an_open_run_is_kept_from_each_limit(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_events_per_user = 5;
    fixture->options.max_bytes_per_user = 100;
    fixture->options.max_bytes = 500;
    fixture->options.max_age_ms = 1000;
    fixture_open(fixture);
    pin(fixture, "ann", 8);
    for (int i = 0; i < 10; i++) {
        stage_events(fixture, "bob", 10);
        commit_events(fixture, "ann", 5);
    }
    trim_all(fixture, clock_wall_ms() + 2000);
    assert_usage(fixture, "ann", 8, 50);
    assert_usage(fixture, "bob", 101, 100);
    fixture_reopen(fixture);
    pin(fixture, "ann", 8);
    trim_all(fixture, clock_wall_ms() + 2000);
    assert_usage(fixture, "ann", 8, 50);
    pin(fixture, "ann", 0);
    commit_events(fixture, "cat", 1);
    trim_all(fixture, clock_wall_ms() + 2000);
    assert_usage(fixture, "ann", 51, 50);
    assert_int_equal(usage_of(fixture).batches, 0);
    assert_int_equal(usage_of(fixture).pinned_bytes, 0);
}

static void test_a_pin_does_not_keep_others_from_being_trimmed_nor_from_being_kept(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_bytes = 80000;
    fixture_open(fixture);
    pin(fixture, "ann", 1);
    for (int i = 0; i < 300; i++) {
        if (i % 2 == 0)
            stage_events(fixture, "ann", 1);
        commit_events(fixture, "bob", 10);
        trim_all(fixture, clock_wall_ms());
    }
    assert_usage(fixture, "ann", 1, 150);
    struct history_usage usage = usage_of(fixture);
    assert_in_range(usage.batch_bytes, 70000, 80000);
    assert_in_range(usage.pinned_bytes, text_bytes("ann", 1, 90), 40000);
    assert_int_equal(usage.excess_bytes, 0);
    uint64_t oldest = history_oldest(fixture_stream(fixture, "bob"));
    assert_in_range(oldest, 2001, 2950);
    fixture_reopen(fixture);
    assert_usage(fixture, "ann", 1, 150);
    assert_range(fixture, "bob", oldest, 3000);
    assert_int_equal(usage_of(fixture).pinned_bytes, usage.pinned_bytes);
}

static void test_pins_can_lift_the_store_above_its_limit_and_leave_others_half_of_it(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_bytes = 20000;
    fixture_open(fixture);
    pin(fixture, "ann", 1);
    for (int i = 0; i < 100; i++)
        commit_events(fixture, "ann", 10);
    for (int i = 0; i < 100; i++)
        commit_events(fixture, "bob", 10);
    trim_all(fixture, clock_wall_ms());
    struct history_usage usage = usage_of(fixture);
    assert_in_range(usage.pinned_bytes, text_bytes("ann", 1, 1000), 100000);
    assert_int_equal(usage.excess_bytes, usage.batch_bytes - 20000);
    assert_in_range(usage.batch_bytes - usage.pinned_bytes, 9000, 10000);
    assert_usage(fixture, "ann", 1, 1000);
    pin(fixture, "ann", 0);
    commit_events(fixture, "bob", 10);
    trim_all(fixture, clock_wall_ms());
    assert_usage(fixture, "ann", 1001, 1000);
    usage = usage_of(fixture);
    assert_int_equal(usage.excess_bytes, 0);
    assert_int_equal(usage.pinned_bytes, 0);
}

static void test_a_run_that_ends_is_let_go_of_with_the_commit_that_says_so(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_events_per_user = 1;
    fixture_open(fixture);
    pin(fixture, "ann", 3);
    commit_events(fixture, "ann", 10);
    trim_all(fixture, 0);
    assert_int_equal(history_oldest(fixture_stream(fixture, "ann")), 3);
    pin(fixture, "ann", 6);
    pin(fixture, "ann", 0);
    trim_all(fixture, 0);
    assert_int_equal(history_oldest(fixture_stream(fixture, "ann")), 3);
    commit_events(fixture, "bob", 1);
    trim_all(fixture, 0);
    assert_int_equal(history_oldest(fixture_stream(fixture, "ann")), 10);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_user_keeps_as_many_events_as_the_limit_says_and_others_keep_theirs),
        CASE(test_a_user_keeps_as_many_bytes_as_the_limit_says),
        CASE(test_a_user_is_trimmed_when_it_is_a_sixteenth_over),
        CASE(test_a_limit_that_is_lower_at_the_next_opening_is_kept_too),
        CASE(test_reading_below_a_users_floor_says_that_it_is_gone),
        CASE(test_one_call_serves_a_bounded_number_of_users),
        CASE(test_what_is_dead_is_counted_and_its_space_comes_back),
        CASE(test_an_open_run_is_kept_from_each_limit),
        CASE(test_a_pin_does_not_keep_others_from_being_trimmed_nor_from_being_kept),
        CASE(test_pins_can_lift_the_store_above_its_limit_and_leave_others_half_of_it),
        CASE(test_a_run_that_ends_is_let_go_of_with_the_commit_that_says_so),
    };
    return cmocka_run_group_tests_name("history-retention", tests, NULL, NULL);
}
