/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* The data file may grow by `more` bytes; RLIM_INFINITY: as it likes. */
static void limit_growth(const struct fixture *fixture, rlim_t more)
{
    char path[PATHS_MAX];
    struct stat status;
    struct rlimit limit;
    assert_return_code(paths_join(path, fixture->directory, "data.mdb"), 0);
    assert_return_code(stat(path, &status), errno);
    assert_return_code(getrlimit(RLIMIT_FSIZE, &limit), errno);
    limit.rlim_cur = more == RLIM_INFINITY ? limit.rlim_max : (rlim_t)status.st_size + more;
    assert_return_code(setrlimit(RLIMIT_FSIZE, &limit), errno);
}

static int find_message(struct fixture *fixture)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    return history_find_message(fixture->history, SPAN_LITERAL("ann"), SPAN_LITERAL("m-1"), &out);
}

/* Fails a commit for want of room, looks at what must hold then, and lets it succeed. */
static void fail_and_recover(struct fixture *fixture)
{
    struct history_position position = {1, 1, 1, 4711};
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    stage_events(fixture, "ann", 5000);
    assert_return_code(history_stage_position(fixture->history, &position), 0);
    assert_return_code(history_stage_message(fixture->history, SPAN_LITERAL("ann"),
                           SPAN_LITERAL("m-1"), SPAN_LITERAL("r-1")),
        0);
    limit_growth(fixture, 64u << 10);
    for (int i = 0; i < 3; i++) {
        assert_true(history_commit(fixture->history) < 0);
        stage_events(fixture, "bob", 1);
        struct history_stream *stream = fixture_stream(fixture, "ann");
        assert_int_equal(history_head(stream), 5010);
        assert_int_equal(history_committed_head(stream), 10);
        assert_events(fixture, "ann", 0, 10);
        assert_int_equal(find_message(fixture), 0);
        assert_int_equal(history_commit_count(fixture->history), 1);
    }
    limit_growth(fixture, RLIM_INFINITY);
    assert_return_code(history_commit(fixture->history), 0);
    assert_range(fixture, "ann", 1, 5010);
    assert_range(fixture, "bob", 1, 3);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 5010);
    assert_range(fixture, "bob", 1, 3);
    assert_int_equal(find_message(fixture), 0);
    position.position = 0;
    assert_return_code(history_find_position(fixture->history, &position), 0);
    assert_int_equal(position.position, 4711);
}

static void test_a_commit_without_room_stays_staged_and_succeeds_later(void **state)
{
    fail_and_recover(*state);
}

static void test_a_synced_commit_without_room_stays_staged_and_succeeds_later(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sync = HISTORY_SYNC_ALWAYS;
    fail_and_recover(fixture);
}

static void test_dying_with_a_failed_commit_leaves_what_was_acknowledged(void **state)
{
    struct fixture *fixture = *state;
    char copy[PATHS_MAX];
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    stage_events(fixture, "ann", 5000);
    limit_growth(fixture, 64u << 10);
    assert_true(history_commit(fixture->history) < 0);
    limit_growth(fixture, RLIM_INFINITY);
    sibling_directory(fixture, "copy", copy);
    copy_store(fixture->directory, copy);
    fixture_close(fixture);
    fixture->options.directory = copy;
    fixture_open(fixture);
    assert_range(fixture, "ann", 1, 10);
}

static void test_a_store_outgrows_its_first_address_space(void **state)
{
    struct fixture *fixture = *state;
    const unsigned each = 2000; /* ten times that is more than the first one has */
    for (int sync = HISTORY_SYNC_ALWAYS; sync <= HISTORY_SYNC_NEVER; sync++) {
        fixture->options.sync = (enum history_sync)sync;
        fixture->options.map_bytes = 1;
        fixture_open(fixture);
        uint64_t head = history_head(fixture_stream(fixture, "ann"));
        for (int i = 0; i < 10; i++) {
            commit_events(fixture, "ann", each);
            assert_events(fixture, "ann", head + (uint64_t)i * each, head + each * (i + 1u));
        }
        fixture_reopen(fixture);
        assert_range(fixture, "ann", 1, head + 10 * each);
        fixture_close(fixture);
    }
}

static void test_a_batch_has_an_end(void **state)
{
    struct fixture *fixture = *state;
    const size_t size = 100u << 20;
    _cleanup_free_ char *bytes = calloc(1, size);
    assert_non_null(bytes);
    struct span event = span_of(bytes, size);
    fixture_open(fixture);
    struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_return_code(history_append(fixture->history, stream, 1, event), 0);
    assert_return_code(history_append(fixture->history, stream, 2, event), 0);
    assert_int_equal(history_append(fixture->history, stream, 3, event), -ENOBUFS);
    assert_int_equal(history_head(stream), 2);
    assert_return_code(history_append(fixture->history, stream, 3, SPAN_LITERAL("small")), 0);
}

static void test_a_directory_that_cannot_be_made_is_explained(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.directory = "/proc/no/such/place";
    assert_true(fixture_open_fails(fixture) < 0);
    assert_non_null(strstr(fixture->reason, "/proc/no/such/place"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_commit_without_room_stays_staged_and_succeeds_later),
        CASE(test_a_synced_commit_without_room_stays_staged_and_succeeds_later),
        CASE(test_dying_with_a_failed_commit_leaves_what_was_acknowledged),
        CASE(test_a_store_outgrows_its_first_address_space),
        CASE(test_a_batch_has_an_end),
        CASE(test_a_directory_that_cannot_be_made_is_explained),
    };
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests_name("history-failures", tests, NULL, NULL);
}
