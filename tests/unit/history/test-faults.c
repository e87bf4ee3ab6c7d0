/* SPDX-License-Identifier: Apache-2.0 */
#include "workload.h"

#include "base/cleanup.h"
#include "history/sync.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Each call that writes or syncs is made to fail in its turn. This program's own definitions of
 * those calls stand before the C library's for everything that is linked to it.
 */
enum fault {
    FAULT_NONE,
    FAULT_ONCE,          /* the call does nothing and fails */
    FAULT_AFTER_DOING,   /* it fails although it did all */
    FAULT_FROM_THERE_ON, /* it fails although it did all, later ones fail and do nothing */
};

static enum fault fault;
static unsigned calls_before_fault;
static bool struck;
static int fault_errno = EIO;
static bool fault_in_data; /* only writes to the store's data fail, as on a full disk */

static void set_fault(enum fault kind, unsigned calls_before)
{
    fault = kind;
    calls_before_fault = calls_before;
    struck = false;
    fault_errno = EIO;
    fault_in_data = false;
}

static bool passed_over(const char *call, int fd)
{
    if (!fault_in_data)
        return false;
    char link[32];
    char path[PATHS_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len < 0 ? 0 : len] = '\0';
    return strcmp(call, "fdatasync") == 0 || !strstr(path, "data.mdb");
}

/* Whether this call is to fail; *ret_do: whether it is to be done all the same. */
static bool strikes(const char *call, int fd, bool *ret_do)
{
    *ret_do =
        fault == FAULT_AFTER_DOING || (fault == FAULT_FROM_THERE_ON && !struck && !fault_in_data);
    if (fault == FAULT_NONE || passed_over(call, fd) || (struck && fault != FAULT_FROM_THERE_ON))
        return false;
    if (!struck && calls_before_fault-- > 0)
        return false;
    struck = true;
    errno = fault_errno;
    return true;
}

#define INTERPOSE(result, name, parameters, call)                                                  \
    __attribute__((visibility("default"))) result name parameters;                                 \
    result name parameters                                                                         \
    {                                                                                              \
        bool done;                                                                                 \
        bool fails = strikes(#name, fd, &done);                                                    \
        result rc = fails && !done ? -1 : (result)(call);                                          \
        if (fails)                                                                                 \
            errno = fault_errno;                                                                   \
        return fails ? -1 : rc;                                                                    \
    }

/* Under their link-time names, whatever the headers make of them. */
#undef pwrite
#undef pwrite64
#undef pwritev
#undef pwritev64
ssize_t faulty_pwrite(int fd, const void *data, size_t size, off_t at) __asm__("pwrite");
ssize_t faulty_pwrite64(int fd, const void *data, size_t size, off_t at) __asm__("pwrite64");
INTERPOSE(ssize_t, faulty_pwrite, (int fd, const void *data, size_t size, off_t at),
    syscall(SYS_pwrite64, fd, data, size, at))
INTERPOSE(ssize_t, faulty_pwrite64, (int fd, const void *data, size_t size, off_t at),
    syscall(SYS_pwrite64, fd, data, size, at))
INTERPOSE(ssize_t, writev, (int fd, const struct iovec *parts, int count),
    syscall(SYS_writev, fd, parts, count))
ssize_t faulty_pwritev(int fd, const struct iovec *parts, int count, off_t at) __asm__("pwritev");
ssize_t faulty_pwritev64(int fd, const struct iovec *parts, int count, off_t at) __asm__(
    "pwritev64");
INTERPOSE(ssize_t, faulty_pwritev, (int fd, const struct iovec *parts, int count, off_t at),
    syscall(SYS_pwritev, fd, parts, count, at, 0))
INTERPOSE(ssize_t, faulty_pwritev64, (int fd, const struct iovec *parts, int count, off_t at),
    syscall(SYS_pwritev, fd, parts, count, at, 0))
INTERPOSE(int, fdatasync, (int fd), syscall(SYS_fdatasync, fd))

/* On a file system of which nothing is known the journal is written to, not mapped. */
__attribute__((visibility("default"))) int fstatfs(int fd, struct statfs *ret_status);
int fstatfs(int fd, struct statfs *ret_status)
{
    (void)fd;
    (void)ret_status;
    errno = ENOSYS;
    return -1;
}

/* More than any commit here makes; how many it makes depends on which pages are free. */
#define COMMIT_CALLS 12

struct trial {
    enum fault kind;
    unsigned turn;      /* which call of the commit fails */
    bool reads_between; /* the store is read before the second try */
};

/* Whether there was such a call. */
static bool fail_commit(struct fixture *fixture, const struct trial *trial)
{
    uint64_t head = history_committed_head(fixture_stream(fixture, "ann"));
    stage_events(fixture, "ann", 50);
    stage_events(fixture, "bob", 1);
    set_fault(trial->kind, trial->turn);
    int rc = history_commit(fixture->history);
    set_fault(FAULT_NONE, 0);
    if (rc == 0)
        return false;
    assert_int_equal(rc, -EIO);
    assert_int_equal(history_committed_head(fixture_stream(fixture, "ann")), head);
    if (trial->reads_between)
        assert_events(fixture, "ann", 0, head);
    stage_events(fixture, "ann", 10); /* the second try has more in it than the first */
    assert_return_code(history_commit(fixture->history), 0);
    assert_range(fixture, "ann", 1, head + 60);
    return true;
}

static bool try_and_reopen(struct fixture *fixture, const struct trial *trial)
{
    fixture_open(fixture);
    bool failed = fail_commit(fixture, trial);
    uint64_t heads[] = {
        history_head(fixture_stream(fixture, "ann")), history_head(fixture_stream(fixture, "bob"))};
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, heads[0]);
    assert_range(fixture, "bob", 1, heads[1]);
    fixture_close(fixture);
    return failed;
}

static void fail_each_call(struct fixture *fixture, enum history_sync sync)
{
    fixture->options.sync = sync;
    for (enum fault kind = FAULT_ONCE; kind <= FAULT_FROM_THERE_ON; kind++) {
        unsigned failed = 0;
        for (unsigned i = 0; i < 2 * COMMIT_CALLS; i++)
            failed += try_and_reopen(fixture, &(struct trial){kind, i / 2, i % 2});
        assert_in_range(failed, 4, 2 * COMMIT_CALLS - 2); /* every call was met */
    }
}

static void test_a_synced_commit_survives_the_failure_of_each_of_its_calls(void **state)
{
    fail_each_call(*state, HISTORY_SYNC_ALWAYS);
}

static void test_a_commit_survives_the_failure_of_each_of_its_calls(void **state)
{
    fail_each_call(*state, HISTORY_SYNC_INTERVAL);
}

static void test_a_commit_without_syncs_survives_the_failure_of_each_of_its_calls(void **state)
{
    fail_each_call(*state, HISTORY_SYNC_NEVER);
}

static void test_a_failed_sync_is_never_taken_back(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    assert_return_code(history_sync(fixture->history), 0);
    commit_events(fixture, "ann", 1);
    set_fault(FAULT_ONCE, 0);
    assert_int_equal(history_sync(fixture->history), -EIO);
    set_fault(FAULT_NONE, 0);
    assert_int_equal(history_sync(fixture->history), -EIO);
    assert_int_equal(history_synced_count(fixture->history), 1);
    commit_events(fixture, "ann", 1);
    fixture_reopen(fixture);
    assert_return_code(history_sync(fixture->history), 0);
    assert_range(fixture, "ann", 1, 3);
}

static void test_opening_fails_and_succeeds_later_whatever_call_fails(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    workload_commit(fixture);
    fixture_close(fixture);
    unsigned turn = 0;
    int rc;
    do {
        set_fault(FAULT_ONCE, turn++);
        rc = fixture_open_fails(fixture);
        bool was_struck = struck;
        set_fault(FAULT_NONE, 0);
        assert_true(rc == 0 || rc == -EIO);
        fixture_open(fixture);
        workload_check(fixture, 1);
        fixture_close(fixture);
        if (!was_struck)
            break;
    } while (turn < 100);
    assert_in_range(turn, 4, 99);
}

static void test_a_failed_merge_changes_nothing_and_succeeds_after_the_next_opening(void **state)
{
    struct fixture *fixture = *state;
    struct history_usage usage;
    fixture->options.sync = HISTORY_SYNC_ALWAYS;
    fixture->options.max_bytes = 300000;
    fixture_open(fixture);
    for (int i = 0; i < 20; i++)
        commit_events(fixture, "ann", 20);
    for (unsigned turn = 0; turn < 3; turn++) {
        set_fault(FAULT_ONCE, turn);
        assert_int_equal(history_merge(fixture->history), -EIO);
        set_fault(FAULT_NONE, 0);
        history_usage(fixture->history, &usage);
        assert_int_equal(usage.batches, 20);
        assert_range(fixture, "ann", 1, 400);
        fixture_reopen(fixture);
    }
    assert_int_equal(history_merge(fixture->history), 1);
    assert_range(fixture, "ann", 1, 400);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 400);
}

static void make_full_and_lost(struct fixture *fixture, char ret_epoch[HISTORY_EPOCH_SIZE])
{
    char path[PATHS_MAX];
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    snprintf(ret_epoch, HISTORY_EPOCH_SIZE, "%s", history_epoch(fixture_stream(fixture, "ann")));
    fixture_close(fixture);
    assert_return_code(paths_join(path, fixture->directory, "state"), 0);
    assert_return_code(remove(path), errno);
    set_fault(FAULT_FROM_THERE_ON, 0);
    fault_errno = ENOSPC;
    fault_in_data = true;
}

/* Whether it was done or not: the store takes the commit, and the journal goes on behind it. */
static void fail_journal(struct fixture *fixture, enum fault kind)
{
    fixture->options.journal_bytes = 1u << 16;
    fixture_open(fixture);
    commit_events(fixture, "ann", 3);
    stage_events(fixture, "ann", 2);
    set_fault(kind, 0);
    assert_return_code(history_commit(fixture->history), 0);
    assert_true(struck);
    set_fault(FAULT_NONE, 0);
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    assert_int_equal(usage.batches, 1);
    assert_range(fixture, "ann", 1, 5);
    commit_events(fixture, "ann", 1);
    history_usage(fixture->history, &usage);
    assert_int_equal(usage.batches, 1);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 6);
}

static void test_a_commit_that_the_journal_cannot_take_goes_to_the_store(void **state)
{
    fail_journal(*state, FAULT_ONCE);
}

static void test_a_commit_that_the_journal_took_and_denied_is_there_once(void **state)
{
    fail_journal(*state, FAULT_AFTER_DOING);
}

/* Until the store can be written again nothing is committed, and what was is neither lost nor
 * synced. */
static void test_a_full_store_holds_what_follows_the_journal(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.journal_bytes = 1u << 16;
    fixture_open(fixture);
    commit_events(fixture, "ann", 3);
    set_fault(FAULT_FROM_THERE_ON, 0);
    fault_errno = ENOSPC;
    fault_in_data = true;
    assert_int_equal(history_sync_begin(fixture->history, -1), 1);
    assert_return_code(history_sync_end(fixture->history), 0);
    assert_int_equal(history_synced_count(fixture->history), 0);
    stage_events(fixture, "ann", 2);
    assert_int_equal(history_commit(fixture->history), -ENOSPC);
    assert_int_equal(history_settle(fixture->history), -EAGAIN);
    assert_int_equal(history_commit_count(fixture->history), 1);
    assert_int_equal(history_staged_events(fixture->history), 2);
    assert_int_equal(history_committed_head(fixture_stream(fixture, "ann")), 3);
    assert_events(fixture, "ann", 0, 3);
    fixture_close(fixture); /* which cannot store it either */
    fixture_open(fixture);
    assert_range(fixture, "ann", 1, 3);
    set_fault(FAULT_NONE, 0);
    commit_events(fixture, "ann", 1);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 4);
}

static void test_a_new_epoch_that_finds_no_room_goes_with_the_first_commit(void **state)
{
    struct fixture *fixture = *state;
    char lost[HISTORY_EPOCH_SIZE];
    char begun[HISTORY_EPOCH_SIZE];
    make_full_and_lost(fixture, lost);
    fixture_open(fixture);
    snprintf(begun, sizeof(begun), "%s", history_epoch(fixture_stream(fixture, "ann")));
    assert_string_not_equal(begun, lost);
    assert_int_equal(history_commit(fixture->history), -ENOSPC);
    set_fault(FAULT_NONE, 0);
    assert_return_code(history_commit(fixture->history), 0);
    assert_int_equal(history_commit_count(fixture->history), 1);
    fixture_reopen(fixture);
    assert_string_equal(history_epoch(fixture_stream(fixture, "ann")), begun);
    assert_range(fixture, "ann", 1, 10);
}

static void test_an_epoch_that_was_never_written_is_begun_again(void **state)
{
    struct fixture *fixture = *state;
    char lost[HISTORY_EPOCH_SIZE];
    char begun[HISTORY_EPOCH_SIZE];
    make_full_and_lost(fixture, lost);
    fixture_open(fixture);
    snprintf(begun, sizeof(begun), "%s", history_epoch(fixture_stream(fixture, "ann")));
    set_fault(FAULT_NONE, 0);
    fixture_reopen(fixture);
    assert_string_not_equal(history_epoch(fixture_stream(fixture, "ann")), lost);
    assert_string_not_equal(history_epoch(fixture_stream(fixture, "ann")), begun);
}

static void test_nothing_is_shown_when_that_cannot_be_noted(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    stage_events(fixture, "ann", 10);
    set_fault(FAULT_FROM_THERE_ON, 0);
    assert_int_equal(history_commit(fixture->history), -EIO);
    assert_int_equal(history_show_staged(fixture->history), -EIO);
    assert_int_equal(history_shown_head(fixture_stream(fixture, "ann")), 0);
    set_fault(FAULT_NONE, 0);
    assert_return_code(history_show_staged(fixture->history), 0);
    assert_int_equal(history_shown_head(fixture_stream(fixture, "ann")), 10);
    assert_return_code(history_commit(fixture->history), 0);
    assert_range(fixture, "ann", 1, 10);
}

static void test_a_failed_trim_changes_nothing_and_succeeds_later(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sync = HISTORY_SYNC_ALWAYS;
    fixture->options.max_bytes = 1;
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    for (unsigned turn = 0; turn < 3; turn++) {
        set_fault(FAULT_ONCE, turn);
        assert_int_equal(history_trim(fixture->history, 0), -EIO);
        set_fault(FAULT_NONE, 0);
        assert_range(fixture, "ann", 1, 10);
    }
    assert_return_code(history_trim(fixture->history, 0), 0);
    assert_range(fixture, "ann", 11, 10);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 11, 10);
}

/* Of the first batch "ann" is trimmed, and "bob" carried over. */
static void test_a_failed_rewriting_changes_nothing_and_succeeds_later(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sync = HISTORY_SYNC_ALWAYS;
    fixture->options.max_bytes = 1;
    fixture_open(fixture);
    stage_events(fixture, "bob", 5);
    commit_events(fixture, "ann", 10);
    history_pin(fixture->history, fixture_stream(fixture, "bob"), 3);
    for (unsigned turn = 0; turn < 3; turn++) {
        set_fault(FAULT_ONCE, turn);
        assert_int_equal(history_trim(fixture->history, 0), -EIO);
        set_fault(FAULT_NONE, 0);
        assert_range(fixture, "ann", 1, 10);
        assert_range(fixture, "bob", 1, 5);
    }
    assert_return_code(history_trim(fixture->history, 0), 0);
    for (int i = 0; i < 2; i++) {
        assert_range(fixture, "ann", 11, 10);
        assert_range(fixture, "bob", 3, 5);
        fixture_reopen(fixture);
    }
}

static void test_a_floor_that_could_not_be_kept_is_not_raised(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sync = HISTORY_SYNC_ALWAYS;
    fixture->options.max_events_per_user = 8;
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    for (unsigned turn = 0; turn < 3; turn++) {
        set_fault(FAULT_ONCE, turn);
        assert_int_equal(history_trim(fixture->history, 0), -EIO);
        set_fault(FAULT_NONE, 0);
        assert_range(fixture, "ann", 1, 10);
    }
    assert_return_code(history_trim(fixture->history, 0), 0);
    for (int i = 0; i < 2; i++) {
        assert_range(fixture, "ann", 3, 10);
        fixture_reopen(fixture);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_synced_commit_survives_the_failure_of_each_of_its_calls),
        CASE(test_a_commit_survives_the_failure_of_each_of_its_calls),
        CASE(test_a_commit_without_syncs_survives_the_failure_of_each_of_its_calls),
        CASE(test_a_failed_sync_is_never_taken_back),
        CASE(test_opening_fails_and_succeeds_later_whatever_call_fails),
        CASE(test_a_commit_that_the_journal_cannot_take_goes_to_the_store),
        CASE(test_a_commit_that_the_journal_took_and_denied_is_there_once),
        CASE(test_a_full_store_holds_what_follows_the_journal),
        CASE(test_a_new_epoch_that_finds_no_room_goes_with_the_first_commit),
        CASE(test_an_epoch_that_was_never_written_is_begun_again),
        CASE(test_nothing_is_shown_when_that_cannot_be_noted),
        CASE(test_a_failed_merge_changes_nothing_and_succeeds_after_the_next_opening),
        CASE(test_a_failed_trim_changes_nothing_and_succeeds_later),
        CASE(test_a_failed_rewriting_changes_nothing_and_succeeds_later),
        CASE(test_a_floor_that_could_not_be_kept_is_not_raised),
    };
    return cmocka_run_group_tests_name("history-faults", tests, NULL, NULL);
}
