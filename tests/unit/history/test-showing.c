/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

/* Staged events that are shown while commits fail: here for want of room in the data file. */

/* More than the file `state` has, which must be writable, and less than what is staged. */
#define FULL_AT (160u << 10)

static void fill_disk(bool full)
{
    struct rlimit limit;
    assert_return_code(getrlimit(RLIMIT_FSIZE, &limit), errno);
    limit.rlim_cur = full ? FULL_AT : limit.rlim_max;
    assert_return_code(setrlimit(RLIMIT_FSIZE, &limit), errno);
}

static int teardown(void **state)
{
    fill_disk(false);
    return fixture_teardown(state);
}

/* Ten events of ann are kept, then 5000 more cannot be; they are shown. */
static void show_what_cannot_be_kept(struct fixture *fixture)
{
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    fill_disk(true);
    stage_events(fixture, "ann", 5000);
    assert_true(history_commit(fixture->history) < 0);
    assert_return_code(history_show_staged(fixture->history), 0);
}

static void remember_epoch(struct fixture *fixture, char ret_epoch[HISTORY_EPOCH_SIZE])
{
    snprintf(ret_epoch, HISTORY_EPOCH_SIZE, "%s", history_epoch(fixture_stream(fixture, "ann")));
}

/* Opens what the death of the process leaves now; whether the epoch is another. */
static bool dying_begins_an_epoch(struct fixture *fixture)
{
    char copy[PATHS_MAX];
    char before[HISTORY_EPOCH_SIZE];
    char after[HISTORY_EPOCH_SIZE];
    static char directory[PATHS_MAX];
    sibling_directory(fixture, "copy", copy);
    remember_epoch(fixture, before);
    copy_store(fixture->directory, copy);
    fixture_close(fixture);
    snprintf(directory, sizeof(directory), "%s", copy);
    fixture->options.directory = directory;
    fixture_open(fixture);
    remember_epoch(fixture, after);
    return strcmp(before, after) != 0;
}

static void test_staged_events_are_not_readable_before_they_are_shown(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    uint64_t last;
    fixture_open(fixture);
    stage_events(fixture, "ann", 5);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_int_equal(history_shown_head(stream), 0);
    assert_return_code(history_read(stream, 0, 1000, &page, &last), 0);
    assert_int_equal(last, 0);
    assert_int_equal(page.len, 0);
}

static void test_shown_events_are_read_from_memory_in_pages(void **state)
{
    struct fixture *fixture = *state;
    show_what_cannot_be_kept(fixture);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_int_equal(history_committed_head(stream), 10);
    assert_int_equal(history_shown_head(stream), 5010);
    assert_events(fixture, "ann", 0, 5010);
    assert_events(fixture, "ann", 4321, 5010);
}

static void test_what_is_staged_later_is_shown_when_that_is_said_again(void **state)
{
    struct fixture *fixture = *state;
    show_what_cannot_be_kept(fixture);
    for (unsigned i = 0; i < 50; i++) {
        stage_events(fixture, "bob", 3);
        stage_events(fixture, "ann", 2);
        stage_events(fixture, i % 2 ? "cid" : "dan", 1);
    }
    assert_int_equal(history_shown_head(fixture_stream(fixture, "bob")), 0);
    assert_int_equal(history_shown_head(fixture_stream(fixture, "ann")), 5010);
    assert_return_code(history_show_staged(fixture->history), 0);
    assert_events(fixture, "ann", 0, 5110);
    assert_events(fixture, "bob", 0, 150);
    assert_events(fixture, "cid", 0, 25);
    assert_events(fixture, "dan", 7, 25);
    assert_int_equal(history_staged_events(fixture->history), 5300);
}

static void test_shown_events_keep_their_numbers_when_there_is_room_again(void **state)
{
    struct fixture *fixture = *state;
    show_what_cannot_be_kept(fixture);
    stage_events(fixture, "bob", 3);
    fill_disk(false);
    assert_return_code(history_commit(fixture->history), 0);
    assert_int_equal(history_staged_events(fixture->history), 0);
    assert_range(fixture, "ann", 1, 5010);
    assert_range(fixture, "bob", 1, 3);
    stage_events(fixture, "ann", 1);
    assert_int_equal(history_shown_head(fixture_stream(fixture, "ann")), 5010);
}

static void test_dying_with_shown_events_begins_a_new_epoch(void **state)
{
    struct fixture *fixture = *state;
    static const char *const sync_names[] = {"always", "interval", "never"};
    char directory[PATHS_MAX];
    for (int sync = HISTORY_SYNC_ALWAYS; sync <= HISTORY_SYNC_NEVER; sync++) {
        fixture->options.sync = (enum history_sync)sync;
        sibling_directory(fixture, sync_names[sync], directory);
        snprintf(fixture->directory, sizeof(fixture->directory), "%s", directory);
        fixture->options.directory = fixture->directory;
        show_what_cannot_be_kept(fixture);
        fill_disk(false);
        assert_true(dying_begins_an_epoch(fixture));
        assert_range(fixture, "ann", 1, 10);
        fixture_close(fixture);
    }
}

static void test_a_sync_leaves_the_note_of_shown_events(void **state)
{
    struct fixture *fixture = *state;
    show_what_cannot_be_kept(fixture);
    assert_return_code(history_sync(fixture->history), 0);
    fill_disk(false);
    assert_true(dying_begins_an_epoch(fixture));
}

static void test_leaving_with_shown_events_begins_a_new_epoch_once(void **state)
{
    struct fixture *fixture = *state;
    char epochs[3][HISTORY_EPOCH_SIZE];
    show_what_cannot_be_kept(fixture);
    remember_epoch(fixture, epochs[0]);
    fill_disk(false);
    fixture_reopen(fixture);
    remember_epoch(fixture, epochs[1]);
    fixture_reopen(fixture);
    remember_epoch(fixture, epochs[2]);
    assert_string_not_equal(epochs[0], epochs[1]);
    assert_string_equal(epochs[1], epochs[2]);
}

static void test_the_epoch_stays_once_shown_events_are_kept(void **state)
{
    struct fixture *fixture = *state;
    show_what_cannot_be_kept(fixture);
    fill_disk(false);
    assert_return_code(history_commit(fixture->history), 0);
    assert_false(dying_begins_an_epoch(fixture));
    assert_range(fixture, "ann", 1, 5010);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_staged_events_are_not_readable_before_they_are_shown),
        CASE(test_shown_events_are_read_from_memory_in_pages),
        CASE(test_what_is_staged_later_is_shown_when_that_is_said_again),
        CASE(test_shown_events_keep_their_numbers_when_there_is_room_again),
        CASE(test_dying_with_shown_events_begins_a_new_epoch),
        CASE(test_a_sync_leaves_the_note_of_shown_events),
        CASE(test_leaving_with_shown_events_begins_a_new_epoch_once),
        CASE(test_the_epoch_stays_once_shown_events_are_kept),
    };
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests_name("history-showing", tests, NULL, NULL);
}
