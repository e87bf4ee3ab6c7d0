/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include "base/clock.h"
#include "history/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Syncs beside commits. This program's own fdatasync stands before the C library's; it lets the
 * sync's thread, which calls it for the data and then for the state file, stop or fail there.
 */
enum sync_call { CALL_DATA, CALL_STATE, CALL_NONE };

static struct gate {
    enum sync_call holds;  /* the thread stops before it, until it is let go */
    enum sync_call fails;  /* this one fails */
    bool until_main_waits; /* before the first, until the first thread sleeps */
    unsigned calls;        /* of the thread */
    bool signals_blocked;
    sem_t arrived;
    sem_t left;
} gate;

static atomic_bool thread_through;

static bool main_waits(void)
{
    char path[64];
    char text[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        abort();
    close(fd);
    return strstr(text, ") S ") != NULL;
}

static void in_thread(enum sync_call call)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    gate.signals_blocked = sigismember(&mask, SIGTERM) == 1;
    uint64_t until_ms = clock_monotonic_ms() + 30000;
    while (gate.until_main_waits && call == CALL_DATA && !main_waits() &&
           clock_monotonic_ms() < until_ms)
        sched_yield();
    if (call != CALL_NONE && gate.holds == call) {
        sem_post(&gate.arrived);
        sem_wait(&gate.left);
    }
}

__attribute__((visibility("default"))) int fdatasync(int fd);
int fdatasync(int fd)
{
    if (syscall(SYS_gettid) == getpid())
        return (int)syscall(SYS_fdatasync, fd);
    enum sync_call call = gate.calls < CALL_NONE ? (enum sync_call)gate.calls++ : CALL_NONE;
    in_thread(call);
    errno = EIO;
    int rc = call != CALL_NONE && gate.fails == call ? -1 : (int)syscall(SYS_fdatasync, fd);
    if (call == CALL_STATE)
        atomic_store(&thread_through, true);
    return rc;
}

static int through_fd = -1;

static int setup(void **state)
{
    gate = (struct gate){.holds = CALL_NONE, .fails = CALL_NONE};
    sem_init(&gate.arrived, 0, 0);
    sem_init(&gate.left, 0, 0);
    through_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return through_fd < 0 ? -1 : fixture_setup(state);
}

static int teardown(void **state)
{
    sem_post(&gate.left); /* a test that failed may have left the thread there */
    int rc = fixture_teardown(state);
    close(through_fd);
    return rc;
}

static bool arrives(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    return sem_timedwait(&gate.arrived, &until) == 0;
}

/* The thread is stopped before `call` when it returns. */
static void begin_held(struct fixture *fixture, enum sync_call call)
{
    gate.calls = 0;
    gate.holds = call;
    assert_return_code(history_sync_begin(fixture->history, through_fd), 0);
    assert_true(arrives());
}

static void begin(struct fixture *fixture)
{
    gate.calls = 0;
    gate.holds = CALL_NONE;
    atomic_store(&thread_through, false);
    assert_return_code(history_sync_begin(fixture->history, through_fd), 0);
}

static void let_go(void)
{
    assert_return_code(sem_post(&gate.left), errno);
}

static void await_through(void)
{
    struct pollfd poller = {.fd = through_fd, .events = POLLIN};
    eventfd_t count;
    assert_int_equal(poll(&poller, 1, 30000), 1);
    assert_return_code(eventfd_read(through_fd, &count), errno);
    assert_int_equal(count, 1);
}

static void test_commits_and_reads_go_on_while_a_sync_is_under_way(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    for (enum sync_call call = CALL_DATA; call < CALL_NONE; call++) {
        uint64_t head = history_head(fixture_stream(fixture, "ann"));
        begin_held(fixture, call);
        for (unsigned i = 1; i <= 20; i++) {
            commit_events(fixture, "ann", 10);
            assert_range(fixture, "ann", 1, head + 10 * i);
        }
        assert_int_equal(eventfd_read(through_fd, &(eventfd_t){0}), -1);
        let_go();
        await_through();
        assert_return_code(history_sync_end(fixture->history), 0);
        assert_true(gate.signals_blocked);
    }
}

static void test_what_was_committed_before_the_begin_counts_as_synced_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    commit_events(fixture, "ann", 1);
    begin_held(fixture, CALL_DATA);
    commit_events(fixture, "ann", 1);
    assert_int_equal(history_synced_count(fixture->history), 0);
    let_go();
    assert_return_code(history_sync_end(fixture->history), 0);
    assert_int_equal(history_synced_count(fixture->history), 2);
    assert_int_equal(history_commit_count(fixture->history), 3);
}

static void test_one_sync_is_under_way_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    begin_held(fixture, CALL_DATA);
    assert_int_equal(history_sync_begin(fixture->history, through_fd), -EBUSY);
    let_go();
    await_through();
    assert_int_equal(history_sync_begin(fixture->history, through_fd), -EBUSY);
    assert_return_code(history_sync_end(fixture->history), 0);
    begin(fixture);
    assert_return_code(history_sync_end(fixture->history), 0);
}

/* ---- who waits */

static void test_a_sync_that_is_waited_for_comes_after_it(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    gate.until_main_waits = true;
    begin(fixture);
    commit_events(fixture, "ann", 1);
    assert_return_code(history_sync(fixture->history), 0);
    assert_true(atomic_load(&thread_through));
    assert_int_equal(history_synced_count(fixture->history), 2);
    assert_return_code(history_sync_end(fixture->history), 0);
    assert_int_equal(history_synced_count(fixture->history), 2);
}

static void test_closing_waits_for_it(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    gate.until_main_waits = true;
    begin(fixture);
    commit_events(fixture, "ann", 1);
    fixture_close(fixture);
    assert_true(atomic_load(&thread_through));
    fixture_open(fixture);
    assert_range(fixture, "ann", 1, 2);
}

static void test_a_store_that_grows_waits_for_it(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.map_bytes = 1 << 20;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    gate.until_main_waits = true;
    begin(fixture);
    commit_events(fixture, "ann", 30000);
    assert_true(atomic_load(&thread_through));
    assert_return_code(history_sync_end(fixture->history), 0);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 30001);
}

static void test_a_note_in_the_state_file_waits_for_it(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    gate.until_main_waits = true;
    begin(fixture);
    stage_events(fixture, "ann", 1);
    assert_return_code(history_show_staged(fixture->history), 0);
    assert_true(atomic_load(&thread_through));
    assert_return_code(history_sync_end(fixture->history), 0);
    assert_return_code(history_commit(fixture->history), 0);
    assert_range(fixture, "ann", 1, 2);
}

/* ---- failure */

static void test_its_failure_is_never_taken_back(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    gate.fails = CALL_DATA;
    begin(fixture);
    commit_events(fixture, "ann", 1);
    await_through();
    assert_int_equal(history_sync_end(fixture->history), -EIO);
    gate.fails = CALL_NONE;
    assert_int_equal(history_synced_count(fixture->history), 0);
    assert_int_equal(history_sync_begin(fixture->history, through_fd), -EIO);
    assert_int_equal(history_sync(fixture->history), -EIO);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 2);
    begin(fixture);
    assert_return_code(history_sync_end(fixture->history), 0);
}

static void test_after_a_state_file_that_was_not_written_the_next_one_succeeds(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    gate.fails = CALL_STATE;
    begin(fixture);
    assert_int_equal(history_sync_end(fixture->history), -EIO);
    assert_int_equal(history_synced_count(fixture->history), 0);
    gate.fails = CALL_NONE;
    begin(fixture);
    assert_return_code(history_sync_end(fixture->history), 0);
    assert_int_equal(history_synced_count(fixture->history), 1);
}

/* ---- the loss of power */

/* Two syncs, the second beside commits: it is the first that is found until the second is whole. */
struct power {
    struct disk first;
    struct disk second;
    struct disk now;
};

static void begin_beside_commits(
    struct fixture *fixture, struct chance *chance, struct power *power, enum sync_call call)
{
    churn(fixture, chance);
    assert_return_code(history_sync(fixture->history), 0);
    power->first = disk_now(fixture);
    churn(fixture, chance);
    power->second = disk_now(fixture);
    begin_held(fixture, call);
    churn(fixture, chance);
}

static void end_sync(struct fixture *fixture, int expected)
{
    let_go();
    assert_int_equal(history_sync_end(fixture->history), expected);
}

static void lose(struct fixture *fixture, struct chance *chance, struct loss loss)
{
    assert_found_after_power_loss(fixture, chance, &loss);
}

static void power_free(struct power *power)
{
    disk_free(&power->first);
    disk_free(&power->second);
    disk_free(&power->now);
}

#define LOSSES 8

static void test_power_loss_before_the_data_is_synced_leaves_the_former_sync(void **state)
{
    struct fixture *fixture = *state;
    struct chance chance = chance_make();
    fixture->options.max_bytes = 200000;
    fixture_open(fixture);
    for (int i = 0; i < LOSSES; i++) {
        struct power p;
        begin_beside_commits(fixture, &chance, &p, CALL_DATA);
        p.now = disk_now(fixture);
        end_sync(fixture, 0);
        lose(fixture, &chance, (struct loss){&p.now, &p.first, &p.now, &p.first});
        power_free(&p);
    }
}

/* The state file has the new pages, or has not. */
static void test_power_loss_while_the_state_file_is_synced_leaves_either(void **state)
{
    struct fixture *fixture = *state;
    struct chance chance = chance_make();
    fixture->options.max_bytes = 200000;
    fixture_open(fixture);
    for (int i = 0; i < LOSSES; i++) {
        struct power p;
        begin_beside_commits(fixture, &chance, &p, CALL_STATE);
        p.now = disk_now(fixture);
        end_sync(fixture, 0);
        if (i % 2)
            lose(fixture, &chance, (struct loss){&p.now, &p.second, &p.first, &p.first});
        else
            lose(fixture, &chance, (struct loss){&p.now, &p.second, &p.now, &p.second});
        power_free(&p);
    }
}

static void test_power_loss_after_a_sync_leaves_exactly_its_begin(void **state)
{
    struct fixture *fixture = *state;
    struct chance chance = chance_make();
    fixture->options.max_bytes = 200000;
    fixture_open(fixture);
    for (int i = 0; i < LOSSES; i++) {
        struct power p;
        begin_beside_commits(fixture, &chance, &p, CALL_DATA);
        end_sync(fixture, 0);
        churn(fixture, &chance);
        p.now = disk_now(fixture);
        lose(fixture, &chance, (struct loss){&p.now, &p.second, &p.now, &p.second});
        power_free(&p);
    }
}

/* The slot that was not synced is on the disk all the same, or is not. */
static void test_power_loss_after_a_state_file_was_not_written_leaves_either(void **state)
{
    struct fixture *fixture = *state;
    struct chance chance = chance_make();
    fixture->options.max_bytes = 200000;
    fixture_open(fixture);
    for (int i = 0; i < LOSSES; i++) {
        struct power p;
        gate.fails = CALL_STATE;
        begin_beside_commits(fixture, &chance, &p, CALL_STATE);
        end_sync(fixture, -EIO);
        gate.fails = CALL_NONE;
        churn(fixture, &chance);
        p.now = disk_now(fixture);
        if (i % 2)
            lose(fixture, &chance, (struct loss){&p.now, &p.second, &p.first, &p.first});
        else
            lose(fixture, &chance, (struct loss){&p.now, &p.second, &p.now, &p.second});
        power_free(&p);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_commits_and_reads_go_on_while_a_sync_is_under_way),
        CASE(test_what_was_committed_before_the_begin_counts_as_synced_at_the_end),
        CASE(test_one_sync_is_under_way_at_a_time),
        CASE(test_a_sync_that_is_waited_for_comes_after_it),
        CASE(test_closing_waits_for_it),
        CASE(test_a_store_that_grows_waits_for_it),
        CASE(test_a_note_in_the_state_file_waits_for_it),
        CASE(test_its_failure_is_never_taken_back),
        CASE(test_after_a_state_file_that_was_not_written_the_next_one_succeeds),
        CASE(test_power_loss_before_the_data_is_synced_leaves_the_former_sync),
        CASE(test_power_loss_while_the_state_file_is_synced_leaves_either),
        CASE(test_power_loss_after_a_sync_leaves_exactly_its_begin),
        CASE(test_power_loss_after_a_state_file_was_not_written_leaves_either),
    };
    return cmocka_run_group_tests_name("history-sync", tests, NULL, NULL);
}
