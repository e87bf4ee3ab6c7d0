/* SPDX-License-Identifier: Apache-2.0 */
#include "workload.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
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

static void set_fault(enum fault kind, unsigned calls_before)
{
    fault = kind;
    calls_before_fault = calls_before;
    struck = false;
}

/* Whether this call is to fail; *ret_do: whether it is to be done all the same. */
static bool strikes(bool *ret_do)
{
    *ret_do = fault == FAULT_AFTER_DOING || (fault == FAULT_FROM_THERE_ON && !struck);
    if (fault == FAULT_NONE || (struck && fault != FAULT_FROM_THERE_ON))
        return false;
    if (!struck && calls_before_fault-- > 0)
        return false;
    struck = true;
    errno = EIO;
    return true;
}

#define INTERPOSE(result, name, parameters, call)                                                  \
    __attribute__((visibility("default"))) result name parameters;                                 \
    result name parameters                                                                         \
    {                                                                                              \
        bool done;                                                                                 \
        bool fails = strikes(&done);                                                               \
        result rc = fails && !done ? -1 : (result)(call);                                          \
        if (fails)                                                                                 \
            errno = EIO;                                                                           \
        return fails ? -1 : rc;                                                                    \
    }

/* Under their link-time names, whatever the headers make of them. */
#undef pwrite
#undef pwrite64
ssize_t faulty_pwrite(int fd, const void *data, size_t size, off_t at) __asm__("pwrite");
ssize_t faulty_pwrite64(int fd, const void *data, size_t size, off_t at) __asm__("pwrite64");
INTERPOSE(ssize_t, faulty_pwrite, (int fd, const void *data, size_t size, off_t at),
    syscall(SYS_pwrite64, fd, data, size, at))
INTERPOSE(ssize_t, faulty_pwrite64, (int fd, const void *data, size_t size, off_t at),
    syscall(SYS_pwrite64, fd, data, size, at))
INTERPOSE(ssize_t, writev, (int fd, const struct iovec *parts, int count),
    syscall(SYS_writev, fd, parts, count))
INTERPOSE(int, fdatasync, (int fd), syscall(SYS_fdatasync, fd))

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

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_synced_commit_survives_the_failure_of_each_of_its_calls),
        CASE(test_a_commit_survives_the_failure_of_each_of_its_calls),
        CASE(test_a_commit_without_syncs_survives_the_failure_of_each_of_its_calls),
        CASE(test_a_failed_sync_is_never_taken_back),
        CASE(test_opening_fails_and_succeeds_later_whatever_call_fails),
        CASE(test_a_failed_trim_changes_nothing_and_succeeds_later),
    };
    return cmocka_run_group_tests_name("history-faults", tests, NULL, NULL);
}
