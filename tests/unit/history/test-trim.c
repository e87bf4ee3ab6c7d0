/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

#define DAY_MS (24u * 60 * 60 * 1000)

/* Everything there is to do at `now`. */
static void trim_all(struct fixture *fixture, uint64_t now)
{
    int rc;
    while ((rc = history_trim(fixture->history, now)) == 1)
        continue;
    assert_return_code(rc, 0);
}

static uint64_t batches(struct fixture *fixture)
{
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    return usage.batches;
}

static void open_with_limits(struct fixture *fixture, uint64_t max_bytes, uint64_t max_age_ms)
{
    fixture->options.max_bytes = max_bytes;
    fixture->options.max_age_ms = max_age_ms;
    fixture_open(fixture);
}

static void test_nothing_goes_while_no_limit_is_passed(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 1u << 20, DAY_MS);
    for (int i = 0; i < 20; i++)
        commit_events(fixture, "ann", 5);
    assert_int_equal(history_trim(fixture->history, clock_wall_ms()), 0);
    assert_int_equal(batches(fixture), 20);
    assert_range(fixture, "ann", 1, 100);
}

static void test_without_limits_nothing_ever_goes(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 5);
    trim_all(fixture, clock_wall_ms() + 1000ull * DAY_MS);
    assert_range(fixture, "ann", 1, 5);
}

static void test_the_oldest_go_first_until_the_bytes_fit(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 20000, 0);
    for (int i = 0; i < 100; i++)
        commit_events(fixture, "ann", 10);
    trim_all(fixture, clock_wall_ms());
    uint64_t oldest = history_oldest(fixture_stream(fixture, "ann"));
    assert_in_range(oldest, 500, 1000);
    assert_int_equal(oldest % 10, 1);
    assert_int_equal(batches(fixture), (1000 - oldest + 1) / 10);
    assert_range(fixture, "ann", oldest, 1000);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", oldest, 1000);
}

static void test_one_call_does_bounded_work_and_says_that_there_is_more(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 1, 0);
    for (int i = 0; i < 50; i++)
        commit_events(fixture, "ann", 1);
    assert_int_equal(history_trim(fixture->history, clock_wall_ms()), 1);
    assert_in_range(batches(fixture), 1, 49);
    assert_int_equal(history_trim(fixture->history, clock_wall_ms()), 0);
    assert_int_equal(batches(fixture), 0);
}

static void test_batches_go_when_they_are_too_old(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 0, 1000);
    commit_events(fixture, "ann", 5);
    uint64_t now = clock_wall_ms();
    trim_all(fixture, now + 100);
    assert_range(fixture, "ann", 1, 5);
    trim_all(fixture, now + 1000);
    assert_range(fixture, "ann", 6, 5);
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
    assert_int_equal(usage.head, head);
    assert_int_equal(usage.events, head + 1 - oldest);
    assert_int_equal(usage.bytes, text_bytes(user, oldest, head));
}

static void test_a_stream_knows_what_of_it_is_retained(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 1500, 0);
    assert_usage(fixture, "ann", 1, 0);
    for (int i = 0; i < 10; i++) {
        stage_events(fixture, "bob", 1);
        commit_events(fixture, "ann", 10);
    }
    assert_usage(fixture, "ann", 1, 100);
    stage_events(fixture, "ann", 1);
    assert_usage(fixture, "ann", 1, 100);
    trim_all(fixture, clock_wall_ms());
    uint64_t oldest = history_oldest(fixture_stream(fixture, "ann"));
    assert_in_range(oldest, 11, 100);
    assert_usage(fixture, "ann", oldest, 100);
    fixture_reopen(fixture);
    assert_usage(fixture, "ann", oldest, 100);
    assert_usage(fixture, "bob", (oldest - 1) / 10 + 1, 10);
}

static void test_reading_below_the_oldest_says_that_it_is_gone(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    uint64_t last = 77;
    open_with_limits(fixture, 1500, 0);
    for (int i = 0; i < 10; i++)
        commit_events(fixture, "ann", 10);
    trim_all(fixture, clock_wall_ms());
    struct history_stream *stream = fixture_stream(fixture, "ann");
    uint64_t oldest = history_oldest(stream);
    assert_in_range(oldest, 11, 100);
    assert_int_equal(history_read(stream, 0, 1000, &page, &last), -ERANGE);
    assert_int_equal(history_read(stream, oldest - 2, 1000, &page, &last), -ERANGE);
    assert_int_equal(last, 77);
    assert_int_equal(page.len, 0);
    assert_return_code(history_read(stream, oldest - 1, 1000, &page, &last), 0);
}

static void test_an_emptied_stream_never_gives_a_number_twice(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    open_with_limits(fixture, 1, 0);
    commit_events(fixture, "bob", 4);
    assert_return_code(history_renew_epoch(fixture->history, fixture_stream(fixture, "bob")), 0);
    commit_events(fixture, "ann", 7);
    snprintf(epoch, sizeof(epoch), "%s", history_epoch(fixture_stream(fixture, "bob")));
    trim_all(fixture, clock_wall_ms());
    for (int i = 0; i < 3; i++) {
        assert_int_equal(batches(fixture), 0);
        assert_range(fixture, "ann", 8 + (uint64_t)i, 7 + (uint64_t)i);
        assert_range(fixture, "bob", 5, 4);
        assert_string_equal(history_epoch(fixture_stream(fixture, "bob")), epoch);
        fixture_reopen(fixture);
        commit_events(fixture, "ann", 1);
        trim_all(fixture, clock_wall_ms());
    }
}

static void test_trimming_between_staging_and_commit_loses_no_number(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 1, 0);
    commit_events(fixture, "ann", 3);
    stage_events(fixture, "ann", 2);
    trim_all(fixture, clock_wall_ms());
    assert_int_equal(history_oldest(fixture_stream(fixture, "ann")), 4);
    assert_return_code(history_commit(fixture->history), 0);
    assert_range(fixture, "ann", 4, 5);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 4, 5);
}

static void assert_position(struct fixture *fixture, uint64_t ring, uint64_t expected)
{
    struct history_position position = {.arena_id = 9, .ring = ring, .generation = 1};
    assert_return_code(history_find_position(fixture->history, &position), 0);
    assert_int_equal(position.position, expected);
}

static void test_positions_outlive_the_batches_that_held_them(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 1, 0);
    struct history_position idle = {9, 1, 1, 111};
    struct history_position busy = {9, 2, 1, 222};
    assert_return_code(history_stage_position(fixture->history, &idle), 0);
    assert_return_code(history_stage_position(fixture->history, &busy), 0);
    commit_events(fixture, "ann", 1);
    busy.position = 333;
    assert_return_code(history_stage_position(fixture->history, &busy), 0);
    trim_all(fixture, clock_wall_ms()); /* 333 is staged only: 222 must be kept */
    assert_position(fixture, 2, 333);
    fixture_reopen(fixture);
    assert_position(fixture, 1, 111);
    assert_position(fixture, 2, 222);
    busy.position = 444;
    assert_return_code(history_stage_position(fixture->history, &busy), 0);
    commit_events(fixture, "ann", 1);
    fixture_reopen(fixture);
    assert_position(fixture, 1, 111);
    assert_position(fixture, 2, 444);
}

static int find_message(struct fixture *fixture, const char *message)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    return history_find_message(
        fixture->history, SPAN_LITERAL("ann"), span_of_string(message), &out);
}

static int find_run(struct fixture *fixture, const char *run)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    return history_find_run(fixture->history, span_of_string(run), &out);
}

static void test_requests_are_recognised_for_a_day_and_open_runs_for_ever(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 1, 0);
    struct span record = SPAN_LITERAL("record");
    struct history *history = fixture->history;
    assert_return_code(history_stage_message(
                           history, SPAN_LITERAL("ann"), SPAN_LITERAL("m-1"), SPAN_LITERAL("r-1")),
        0);
    assert_return_code(history_stage_run(history, SPAN_LITERAL("closed"), false, record), 0);
    assert_return_code(history_stage_run(history, SPAN_LITERAL("open"), true, record), 0);
    commit_events(fixture, "ann", 1);
    uint64_t now = clock_wall_ms();
    trim_all(fixture, now + DAY_MS / 2);
    assert_int_equal(batches(fixture), 0);
    fixture_reopen(fixture);
    assert_int_equal(find_message(fixture, "m-1"), 0);
    assert_int_equal(find_run(fixture, "closed"), 0);
    trim_all(fixture, now + DAY_MS + 1);
    assert_int_equal(find_message(fixture, "m-1"), -ENOENT);
    assert_int_equal(find_run(fixture, "closed"), -ENOENT);
    assert_int_equal(find_run(fixture, "open"), 0);
    fixture_reopen(fixture);
    assert_int_equal(find_message(fixture, "m-1"), -ENOENT);
    assert_int_equal(find_run(fixture, "open"), 0);
}

static void test_a_record_written_again_lives_as_long_as_its_newest_batch(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 1000, 0);
    struct span record = SPAN_LITERAL("record");
    assert_return_code(
        history_stage_run(fixture->history, SPAN_LITERAL("closed"), false, record), 0);
    commit_events(fixture, "ann", 20);
    assert_return_code(
        history_stage_run(fixture->history, SPAN_LITERAL("closed"), false, record), 0);
    commit_events(fixture, "ann", 1);
    trim_all(fixture, clock_wall_ms() + 2ull * DAY_MS);
    assert_int_equal(batches(fixture), 1);
    assert_int_equal(find_run(fixture, "closed"), 0);
}

static void test_an_emptied_store_does_not_number_its_batches_anew(void **state)
{
    struct fixture *fixture = *state;
    open_with_limits(fixture, 1, 0);
    for (int i = 1; i <= 2; i++) {
        char message[8];
        snprintf(message, sizeof(message), "m-%d", i);
        assert_return_code(history_stage_message(fixture->history, SPAN_LITERAL("ann"),
                               span_of_string(message), SPAN_LITERAL("r-1")),
            0);
        commit_events(fixture, "ann", 1);
        trim_all(fixture, clock_wall_ms());
        fixture_reopen(fixture);
    }
    /* Under the same number the second would have taken the first one's place in the ledger. */
    trim_all(fixture, clock_wall_ms() + DAY_MS + 1);
    assert_int_equal(find_message(fixture, "m-1"), -ENOENT);
    assert_int_equal(find_message(fixture, "m-2"), -ENOENT);
}

static void test_the_file_stops_growing_under_a_limit(void **state)
{
    struct fixture *fixture = *state;
    struct history_usage before;
    struct history_usage after;
    open_with_limits(fixture, 1u << 20, 0);
    for (int i = 0; i < 400; i++) {
        commit_events(fixture, "ann", 100);
        assert_return_code(history_trim(fixture->history, clock_wall_ms()), 0);
        if (i % 10 == 0)
            assert_return_code(history_sync(fixture->history), 0);
        if (i == 300)
            history_usage(fixture->history, &before);
    }
    history_usage(fixture->history, &after);
    assert_in_range(after.bytes, 1u << 20, 2u << 20);
    assert_in_range(after.bytes, before.bytes, before.bytes + before.bytes / 10);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_goes_while_no_limit_is_passed),
        CASE(test_without_limits_nothing_ever_goes),
        CASE(test_the_oldest_go_first_until_the_bytes_fit),
        CASE(test_one_call_does_bounded_work_and_says_that_there_is_more),
        CASE(test_batches_go_when_they_are_too_old),
        CASE(test_a_stream_knows_what_of_it_is_retained),
        CASE(test_reading_below_the_oldest_says_that_it_is_gone),
        CASE(test_an_emptied_stream_never_gives_a_number_twice),
        CASE(test_trimming_between_staging_and_commit_loses_no_number),
        CASE(test_positions_outlive_the_batches_that_held_them),
        CASE(test_requests_are_recognised_for_a_day_and_open_runs_for_ever),
        CASE(test_a_record_written_again_lives_as_long_as_its_newest_batch),
        CASE(test_an_emptied_store_does_not_number_its_batches_anew),
        CASE(test_the_file_stops_growing_under_a_limit),
    };
    return cmocka_run_group_tests_name("history-trim", tests, NULL, NULL);
}
