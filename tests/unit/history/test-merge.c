/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/clock.h"
#include "history/retention.h"

#include <stdio.h>

static void merge_all(struct fixture *fixture)
{
    int rc;
    while ((rc = history_merge(fixture->history)) == 1)
        continue;
    assert_return_code(rc, 0);
}

static struct history_usage usage_of(struct fixture *fixture)
{
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    return usage;
}

/* Commits of about 1 KiB, of two users in turn. */
static void commit_small(struct fixture *fixture, unsigned commits)
{
    for (unsigned i = 0; i < commits; i++)
        commit_events(fixture, i % 2 ? "ann" : "bob", 18);
}

static void assert_all_there(struct fixture *fixture, uint64_t each)
{
    assert_range(fixture, "ann", 1, each);
    assert_range(fixture, "bob", 1, each);
    assert_int_equal(usage_of(fixture).events, 2 * each);
}

static void test_small_batches_become_few_with_all_that_was_in_them(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_small(fixture, 3000);
    merge_all(fixture);
    assert_in_range(usage_of(fixture).batches, 3, 500);
    assert_all_there(fixture, 27000);
    fixture_reopen(fixture);
    assert_all_there(fixture, 27000);
    commit_small(fixture, 2);
    assert_all_there(fixture, 27018);
}

static void test_what_merging_made_is_merged_again(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_small(fixture, 1500);
    merge_all(fixture);
    uint64_t first = usage_of(fixture).batches;
    uint64_t size = usage_of(fixture).batch_bytes / 5;
    commit_small(fixture, 1500);
    merge_all(fixture);
    assert_true(usage_of(fixture).batches < 2 * first);
    assert_in_range(size, 100000, 1u << 20);
    assert_all_there(fixture, 27000);
}

static void test_few_batches_wait_for_more(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_small(fixture, 20);
    assert_int_equal(history_merge(fixture->history), 0);
    assert_int_equal(usage_of(fixture).batches, 20);
}

static void test_large_batches_are_left_as_they_are(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (int i = 0; i < 4; i++)
        commit_events(fixture, "ann", 10000);
    assert_int_equal(history_merge(fixture->history), 0);
    assert_int_equal(usage_of(fixture).batches, 4);
}

static void test_a_large_batch_ends_a_group(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_small(fixture, 4);
    commit_events(fixture, "cid", 10000);
    commit_small(fixture, 4);
    assert_int_equal(history_merge(fixture->history), 1);
    assert_int_equal(history_merge(fixture->history), 0);
    assert_int_equal(usage_of(fixture).batches, 6);
    assert_range(fixture, "ann", 1, 72);
    assert_range(fixture, "bob", 1, 72);
    assert_range(fixture, "cid", 1, 10000);
}

/* Else a store near its limit would lose much more than it must at once. */
static void test_a_merged_batch_is_a_small_part_of_what_is_retained(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_bytes = 1u << 20;
    fixture_open(fixture);
    commit_small(fixture, 320);
    merge_all(fixture);
    assert_in_range(usage_of(fixture).batch_bytes / usage_of(fixture).batches, 8000, 40000);
    assert_all_there(fixture, 2880);
}

static void test_merged_batches_are_trimmed_like_others(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_bytes = 200000;
    fixture_open(fixture);
    for (int i = 0; i < 100; i++) {
        commit_small(fixture, 20);
        merge_all(fixture);
        int rc;
        while ((rc = history_trim(fixture->history, clock_wall_ms())) == 1)
            continue;
        assert_return_code(rc, 0);
    }
    assert_in_range(usage_of(fixture).batch_bytes, 100000, 200000);
    uint64_t oldest = history_oldest(fixture_stream(fixture, "ann"));
    assert_in_range(oldest, 15000, 18000);
    assert_range(fixture, "ann", oldest, 18000);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", oldest, 18000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_small_batches_become_few_with_all_that_was_in_them),
        CASE(test_what_merging_made_is_merged_again),
        CASE(test_few_batches_wait_for_more),
        CASE(test_large_batches_are_left_as_they_are),
        CASE(test_a_large_batch_ends_a_group),
        CASE(test_a_merged_batch_is_a_small_part_of_what_is_retained),
        CASE(test_merged_batches_are_trimmed_like_others),
    };
    return cmocka_run_group_tests_name("history-merge", tests, NULL, NULL);
}
