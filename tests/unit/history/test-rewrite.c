/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/clock.h"
#include "history/rewrite.h"

#include <errno.h>

/* Batches 1 to 6, of "ann" each, of "bob" the even ones, and a ring's position in each. */
static void make_batches(struct fixture *fixture)
{
    for (uint64_t i = 1; i <= 6; i++) {
        struct history_position position = {.arena_id = 9, .ring = i % 3, .generation = 1};
        position.position = i * 100;
        assert_return_code(history_stage_position(fixture->history, &position), 0);
        if (i % 2 == 0)
            stage_events(fixture, "bob", 3);
        commit_events(fixture, "ann", 10);
    }
}

static void assert_position(struct fixture *fixture, uint64_t ring, uint64_t expected)
{
    struct history_position position = {.arena_id = 9, .ring = ring, .generation = 1};
    assert_return_code(history_find_position(fixture->history, &position), 0);
    assert_int_equal(position.position, expected);
}

static void assert_batches(struct fixture *fixture, uint64_t expected)
{
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    assert_int_equal(usage.batches, expected);
    assert_int_equal(usage.dead_bytes, 0);
}

static int rewrite(struct fixture *fixture, uint64_t first, uint64_t last)
{
    return history_rewrite(fixture->history, &(struct rewrite_order){.first = first, .last = last});
}

static void test_adjacent_batches_become_one_that_reads_the_same(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    make_batches(fixture);
    assert_return_code(rewrite(fixture, 2, 4), 0);
    assert_batches(fixture, 4);
    for (int i = 0; i < 2; i++) {
        assert_range(fixture, "ann", 1, 60);
        assert_range(fixture, "bob", 1, 9);
        assert_position(fixture, 1, 400);
        assert_position(fixture, 2, 500);
        assert_position(fixture, 0, 600);
        fixture_reopen(fixture);
        assert_batches(fixture, 4);
    }
    commit_events(fixture, "bob", 1);
    assert_return_code(rewrite(fixture, 1, 7), 0);
    fixture_reopen(fixture);
    assert_batches(fixture, 1);
    assert_range(fixture, "ann", 1, 60);
    assert_range(fixture, "bob", 1, 10);
    assert_position(fixture, 2, 500);
    commit_events(fixture, "ann", 1);
    assert_range(fixture, "ann", 1, 61);
}

static void test_one_batch_rewritten_for_itself_stays_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct history_usage before;
    struct history_usage after;
    fixture_open(fixture);
    make_batches(fixture);
    history_usage(fixture->history, &before);
    assert_return_code(rewrite(fixture, 6, 6), 0);
    history_usage(fixture->history, &after);
    assert_int_equal(after.batch_bytes, before.batch_bytes);
    assert_range(fixture, "ann", 1, 60);
    assert_range(fixture, "bob", 1, 9);
}

/* Drops all of "ann" up to 25, and keeps the rest. */
static uint64_t keep_ann_above_25(
    void *context, const struct history_stream *stream, const struct batch_section *section)
{
    (void)stream;
    *(unsigned *)context += 1;
    return span_is(section->user_id, "ann") ? 26 : 0;
}

static void test_what_is_not_to_stay_goes_within_a_section_too(void **state)
{
    struct fixture *fixture = *state;
    unsigned asked = 0;
    fixture_open(fixture);
    make_batches(fixture);
    const struct rewrite_order order = {
        .first = 1, .last = 3, .keep_from = keep_ann_above_25, .context = &asked};
    assert_return_code(history_rewrite(fixture->history, &order), 0);
    assert_int_equal(asked, 4);
    for (int i = 0; i < 2; i++) {
        struct history_stream_usage usage;
        assert_batches(fixture, 4);
        assert_range(fixture, "ann", 26, 60);
        assert_range(fixture, "bob", 1, 9);
        assert_position(fixture, 1, 400);
        history_stream_usage(fixture_stream(fixture, "ann"), &usage);
        assert_int_equal(usage.events, 35);
        fixture_reopen(fixture);
    }
}

static uint64_t keep_nothing(
    void *context, const struct history_stream *stream, const struct batch_section *section)
{
    (void)context;
    (void)stream;
    return section->last_seq + 1;
}

static void test_batches_of_which_nothing_stays_leave_heads_numbers_and_positions(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    make_batches(fixture);
    const struct rewrite_order order = {.first = 1, .last = 6, .keep_from = keep_nothing};
    assert_return_code(history_rewrite(fixture->history, &order), 0);
    assert_batches(fixture, 0);
    fixture_reopen(fixture);
    assert_batches(fixture, 0);
    assert_range(fixture, "ann", 61, 60);
    assert_range(fixture, "bob", 10, 9);
    assert_position(fixture, 1, 400);
    commit_events(fixture, "ann", 1);
    assert_range(fixture, "ann", 61, 61);
    assert_return_code(rewrite(fixture, 7, 7), 0);
    fixture_reopen(fixture);
    assert_batches(fixture, 1);
    assert_range(fixture, "ann", 61, 61);
}

static int find_run(struct fixture *fixture)
{
    struct buffer record = BUFFER_INIT;
    int rc = history_find_run(fixture->history, SPAN_LITERAL("r-1"), &record);
    buffer_deinit(&record);
    return rc;
}

static void trim(struct fixture *fixture, uint64_t now_ms)
{
    while (history_trim(fixture->history, now_ms) == 1)
        continue;
}

static void test_a_run_stays_known_while_the_batch_that_took_in_its_own_is_retained(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t later = clock_wall_ms() + 10 * fixture->options.keep_records_ms;
    fixture_open(fixture);
    assert_return_code(
        history_stage_run(fixture->history, SPAN_LITERAL("r-1"), false, SPAN_LITERAL("completed")),
        0);
    make_batches(fixture);
    assert_return_code(rewrite(fixture, 1, 3), 0);
    for (int i = 0; i < 2; i++) {
        trim(fixture, later);
        assert_int_equal(find_run(fixture), 0);
        fixture_reopen(fixture);
    }
    fixture->options.max_bytes = 1;
    fixture_reopen(fixture);
    trim(fixture, clock_wall_ms());
    assert_batches(fixture, 0);
    assert_int_equal(find_run(fixture), 0);
    trim(fixture, later);
    assert_int_equal(find_run(fixture), -ENOENT);
}

static void test_a_batch_that_would_grow_too_large_is_not_made(void **state)
{
    struct fixture *fixture = *state;
    struct history_usage usage;
    fixture_open(fixture);
    make_batches(fixture);
    history_usage(fixture->history, &usage);
    struct rewrite_order order = {.first = 1, .last = 6, .max_bytes = usage.batch_bytes / 2};
    assert_int_equal(history_rewrite(fixture->history, &order), -ENOBUFS);
    for (int i = 0; i < 2; i++) {
        assert_batches(fixture, 6);
        assert_range(fixture, "ann", 1, 60);
        fixture_reopen(fixture);
    }
    order.max_bytes = usage.batch_bytes;
    assert_return_code(history_rewrite(fixture->history, &order), 0);
    assert_batches(fixture, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_adjacent_batches_become_one_that_reads_the_same),
        CASE(test_one_batch_rewritten_for_itself_stays_as_it_is),
        CASE(test_what_is_not_to_stay_goes_within_a_section_too),
        CASE(test_batches_of_which_nothing_stays_leave_heads_numbers_and_positions),
        CASE(test_a_run_stays_known_while_the_batch_that_took_in_its_own_is_retained),
        CASE(test_a_batch_that_would_grow_too_large_is_not_made),
    };
    return cmocka_run_group_tests_name("history-rewrite", tests, NULL, NULL);
}
