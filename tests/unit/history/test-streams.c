/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"
#include "base/identifier.h"

#include <errno.h>
#include <stdio.h>

static void test_events_keep_order_and_content_after_reopening(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (int i = 0; i < 50; i++) {
        stage_events(fixture, "ann", 3);
        stage_events(fixture, "bob", i % 5);
        stage_events(fixture, "ann", 2);
        assert_return_code(history_commit(fixture->history), 0);
    }
    assert_range(fixture, "ann", 1, 250);
    assert_range(fixture, "bob", 1, 100);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 250);
    assert_range(fixture, "bob", 1, 100);
    commit_events(fixture, "bob", 1);
    assert_range(fixture, "bob", 1, 101);
}

static void test_staged_events_are_not_read_before_they_are_committed(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    uint64_t last = 99;
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    stage_events(fixture, "ann", 3);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_int_equal(history_head(stream), 5);
    assert_int_equal(history_committed_head(stream), 2);
    assert_return_code(history_read(stream, 2, 1000, &page, &last), 0);
    assert_int_equal(last, 2);
    assert_int_equal(page.len, 0);
    assert_events(fixture, "ann", 0, 2);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 2);
}

static void test_a_number_out_of_turn_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_int_equal(history_append(fixture->history, stream, 2, SPAN_LITERAL("x")), -EINVAL);
    assert_int_equal(history_append(fixture->history, stream, 4, SPAN_LITERAL("x")), -EINVAL);
    assert_int_equal(history_head(stream), 2);
}

static void test_an_event_is_staged_where_it_was_written(void **state)
{
    struct fixture *fixture = *state;
    struct span encoded;
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    event_text(history_append_begin(fixture->history), "ann", 3);
    assert_return_code(history_append_end(fixture->history, stream, 3, &encoded), 0);
    buffer_append_string(history_append_begin(fixture->history), "out of turn");
    assert_int_equal(history_append_end(fixture->history, stream, 5, &encoded), -EINVAL);
    event_text(history_append_begin(fixture->history), "ann", 4);
    assert_return_code(history_append_end(fixture->history, stream, 4, &encoded), 0);
    _cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
    event_text(&text, "ann", 4);
    assert_true(span_equal(encoded, buffer_span(&text)));
    assert_return_code(history_commit(fixture->history), 0);
    assert_range(fixture, "ann", 1, 4);
}

static void test_an_event_whose_bytes_found_no_memory_is_taken_out_again(void **state)
{
    struct fixture *fixture = *state;
    struct span encoded;
    fixture_open(fixture);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    struct buffer *staged = history_append_begin(fixture->history);
    buffer_append_string(staged, "half of ");
    assert_null(buffer_reserve(staged, SIZE_MAX / 2));
    assert_int_equal(history_append_end(fixture->history, stream, 1, &encoded), -ENOMEM);
    assert_int_equal(history_head(stream), 0);
    commit_events(fixture, "ann", 2);
    assert_range(fixture, "ann", 1, 2);
}

static void test_a_page_holds_one_event_at_least_and_else_keeps_to_its_limit(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    uint64_t last;
    fixture_open(fixture);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    for (uint64_t seq = 1; seq <= 9; seq++) {
        assert_return_code(
            history_append(fixture->history, stream, seq, SPAN_LITERAL("0123456789")), 0);
        if (seq % 3 == 0)
            assert_return_code(history_commit(fixture->history), 0);
    }
    assert_return_code(history_read(stream, 0, 1, &page, &last), 0);
    assert_int_equal(last, 1);
    assert_return_code(history_read(stream, 1, 59, &page, &last), 0);
    assert_int_equal(last, 6);
    assert_int_equal(page.len, 60);
    assert_return_code(history_read(stream, 6, 30, &page, &last), 0);
    assert_int_equal(last, 9);
    assert_return_code(history_read(stream, 20, 30, &page, &last), 0);
    assert_int_equal(last, 20);
    assert_int_equal(page.len, 90);
}

static void test_a_large_event_is_kept_whole(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    const size_t size = 8u << 20;
    uint64_t last;
    _cleanup_free_ char *bytes = malloc(size);
    memset(bytes, 'x', size);
    fixture_open(fixture);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_return_code(history_append(fixture->history, stream, 1, span_of(bytes, size)), 0);
    assert_return_code(history_commit(fixture->history), 0);
    fixture_reopen(fixture);
    stream = fixture_stream(fixture, "ann");
    assert_return_code(history_read(stream, 0, 1, &page, &last), 0);
    assert_int_equal(page.len, size);
    assert_memory_equal(page.data, bytes, size);
}

static void test_an_identifier_without_bounds_is_no_stream(void **state)
{
    struct fixture *fixture = *state;
    char name[IDENTIFIER_MAX + 1];
    memset(name, 'u', sizeof(name));
    fixture_open(fixture);
    assert_null(history_stream(fixture->history, SPAN_EMPTY));
    assert_null(history_stream(fixture->history, span_of(name, sizeof(name))));
    assert_non_null(history_stream(fixture->history, span_of(name, IDENTIFIER_MAX)));
}

/* ---- epochs */

static void assert_epoch_valid(const char *epoch)
{
    assert_in_range(strlen(epoch), 16, HISTORY_EPOCH_SIZE - 1);
    assert_int_equal(strspn(epoch, "0123456789abcdefghijklmnopqrstuvwxyz"), strlen(epoch));
}

static void test_an_epoch_stays_over_reopening(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    fixture_open(fixture);
    snprintf(epoch, sizeof(epoch), "%s", history_epoch(fixture_stream(fixture, "ann")));
    assert_epoch_valid(epoch);
    commit_events(fixture, "ann", 1);
    fixture_reopen(fixture);
    assert_string_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
    assert_string_equal(history_epoch(fixture_stream(fixture, "new")), epoch);
}

static void test_two_stores_have_different_epochs(void **state)
{
    struct fixture *fixture = *state;
    char other[PATHS_MAX];
    struct history *history;
    sibling_directory(fixture, "other", other);
    fixture_open(fixture);
    struct history_options options = {.directory = other};
    assert_return_code(history_open(&history, &options, fixture->reason), 0);
    assert_string_not_equal(history_epoch(history_stream(history, SPAN_LITERAL("ann"))),
        history_epoch(fixture_stream(fixture, "ann")));
    history_close(history);
}

static void test_a_renewed_epoch_is_one_streams_own_and_stays(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    char renewed[HISTORY_EPOCH_SIZE];
    fixture_open(fixture);
    commit_events(fixture, "ann", 3);
    commit_events(fixture, "ann", 3);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    snprintf(epoch, sizeof(epoch), "%s", history_epoch(stream));
    assert_return_code(history_renew_epoch(fixture->history, stream), 0);
    snprintf(renewed, sizeof(renewed), "%s", history_epoch(stream));
    assert_epoch_valid(renewed);
    assert_string_not_equal(renewed, epoch);
    assert_string_equal(history_epoch(fixture_stream(fixture, "bob")), epoch);
    commit_events(fixture, "ann", 1);
    fixture_reopen(fixture);
    assert_string_equal(history_epoch(fixture_stream(fixture, "ann")), renewed);
    assert_string_equal(history_epoch(fixture_stream(fixture, "bob")), epoch);
    assert_range(fixture, "ann", 1, 7);
    assert_return_code(history_renew_epoch(fixture->history, fixture_stream(fixture, "ann")), 0);
    assert_string_not_equal(history_epoch(fixture_stream(fixture, "ann")), renewed);
}

static void test_a_renewal_between_staging_and_commit_loses_no_number(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 3);
    stage_events(fixture, "ann", 2);
    assert_return_code(history_renew_epoch(fixture->history, fixture_stream(fixture, "ann")), 0);
    assert_return_code(history_commit(fixture->history), 0);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 5);
}

/* ---- counting */

static void test_commits_and_syncs_are_counted(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_return_code(history_commit(fixture->history), 0);
    assert_int_equal(history_commit_count(fixture->history), 0);
    commit_events(fixture, "ann", 1);
    commit_events(fixture, "ann", 1);
    assert_int_equal(history_commit_count(fixture->history), 2);
    assert_int_equal(history_synced_count(fixture->history), 0);
    assert_return_code(history_sync(fixture->history), 0);
    assert_int_equal(history_synced_count(fixture->history), 2);
    fixture_close(fixture);
    fixture->options.sync = HISTORY_SYNC_ALWAYS;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    assert_int_equal(history_synced_count(fixture->history), 1);
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    assert_int_equal(usage.events, 3);
    assert_int_equal(usage.batches, 3);
    assert_int_equal(usage.streams, 1);
    assert_true(usage.bytes > 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_events_keep_order_and_content_after_reopening),
        CASE(test_staged_events_are_not_read_before_they_are_committed),
        CASE(test_a_number_out_of_turn_is_refused),
        CASE(test_an_event_is_staged_where_it_was_written),
        CASE(test_an_event_whose_bytes_found_no_memory_is_taken_out_again),
        CASE(test_a_page_holds_one_event_at_least_and_else_keeps_to_its_limit),
        CASE(test_a_large_event_is_kept_whole),
        CASE(test_an_identifier_without_bounds_is_no_stream),
        CASE(test_an_epoch_stays_over_reopening),
        CASE(test_two_stores_have_different_epochs),
        CASE(test_a_renewed_epoch_is_one_streams_own_and_stays),
        CASE(test_a_renewal_between_staging_and_commit_loses_no_number),
        CASE(test_commits_and_syncs_are_counted),
    };
    return cmocka_run_group_tests_name("history-streams", tests, NULL, NULL);
}
