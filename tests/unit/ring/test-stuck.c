/* SPDX-License-Identifier: Apache-2.0 */
/* Writers that stand still: seen, named, and never robbed; and how long the reader looks before it
 * sleeps. */
#include "ring-test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/mapping.h"
#include "ring/spin.h"

#define AFTER 100u

static bool find_stuck(struct ring_stuck *ret_stuck, struct fixture *f, uint64_t now)
{
    uint32_t cursor = 0;

    return ring_reader_next_stuck(ret_stuck, f->reader, &cursor, now, AFTER);
}

static void test_open_claim_is_told_of_after_its_time(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w, other;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_stuck stuck;
    struct ring_claim claim;

    emit_value(&w, &lease, 1, 8);
    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), 0);
    drain_value(f, lease.ring, 1);
    for (int helped = 0; helped < 2; helped++) {
        uint64_t now = 1000u * (uint64_t)(helped + 1);

        find_stuck(&stuck, f, now);
        assert_true(helped || !find_stuck(&stuck, f, now + AFTER - 1));
        assert_true(find_stuck(&stuck, f, now + AFTER));
        assert_int_equal(stuck.ring, lease.ring);
        assert_int_equal(stuck.position, claim.begin);
        assert_int_equal(stuck.process, arena_process_index(f->arena));
        assert_true(stuck.for_ms >= AFTER);
        if (!helped) { /* now with the header another writer gave it */
            writer_up(&other, f->arena, "ann");
            emit_value(&other, &lease, 3, 8);
        }
    }
    memcpy(claim.payload, &(uint64_t){2}, 8);
    assert_int_equal(ring_commit(&w, &claim), 0); /* nothing was taken from it */
    assert_false(find_stuck(&stuck, f, 1000000));
    assert_false(find_stuck(&stuck, f, 2000000));
    drain_value(f, lease.ring, 2);
    drain_value(f, lease.ring, 3);
    ring_writer_deinit(&w);
    ring_writer_deinit(&other);
}

static void test_open_claim_is_told_of_by_the_window_it_is_in(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_stuck stuck;
    struct ring_claim claim;
    int found = 0;

    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), 0);
    drain_nothing(f, lease.ring);
    find_stuck(&stuck, f, 1000);
    for (uint32_t window = 0; window < FIXTURE_RINGS / 8; window++) {
        bool in = lease.ring / 8 == window;

        ring_reader_move_window(f->reader, 8);
        assert_int_equal(find_stuck(&stuck, f, 1000 + AFTER), in);
        found += in;
    }
    assert_int_equal(found, 1);
    ring_abandon(&w, &claim);
    ring_writer_deinit(&w);
}

static void test_claim_after_claim_is_not_stuck(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_stuck stuck;
    struct ring_claim claim;

    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(ring_reserve(&claim, &w, &lease, 8), 0);
        assert_false(find_stuck(&stuck, f, 1 + i * AFTER));
        memcpy(claim.payload, &i, 8);
        assert_int_equal(ring_commit(&w, &claim), 0);
        drain_value(f, lease.ring, i);
        release_all(f, lease.ring);
    }
    ring_writer_deinit(&w);
}

/* A writer that is stopped between claim and commit finds its claim intact. */
static int write_stopped(const char *directory)
{
    struct ring_writer w;
    struct ring_lease lease;
    struct ring_claim claim;
    struct arena *arena;

    if (arena_attach(&arena, directory) < 0 || ring_writer_init(&w, arena) < 0 ||
        ring_lease_for_user(&lease, &w, "ann", 3) < 0 || ring_reserve(&claim, &w, &lease, 8) < 0)
        return 1;
    memcpy(claim.payload, &(uint64_t){1}, 8);
    raise(SIGSTOP);
    return ring_commit(&w, &claim) == 0 ? 0 : 2;
}

static void test_stopped_writer_goes_on_where_it_stood(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_stuck stuck;
    struct process_info info;
    uint32_t cursor = 0;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(write_stopped(f->directory));
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    emit_value(&w, &lease, 2, 8);
    drain_nothing(f, lease.ring);
    find_stuck(&stuck, f, 1);
    assert_true(find_stuck(&stuck, f, 1 + AFTER));
    while (process_next(&info, f->arena, &cursor) > 0)
        if (info.pid == pid) {
            assert_int_equal(stuck.process, info.index);
            assert_int_equal(stuck.incarnation, info.incarnation);
            assert_int_equal(process_reap(f->arena, info.index, NULL, NULL), -EBUSY);
        }
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    reap_dead(f->arena, NULL, NULL);
    drain_value(f, lease.ring, 1);
    drain_value(f, lease.ring, 2);
    ring_writer_deinit(&w);
}

static void *ring_once(void *arena)
{
    doorbell_ring(arena, 3);
    return NULL;
}

static void test_spin_sees_news_and_ends_without_any(void **state)
{
    struct fixture *f = *state;
    struct spin spin;
    pthread_t thread;

    spin_init(&spin, 0);
    assert_false(ring_spin_wait(&spin, f->arena));
    spin_init(&spin, 200);
    process_take_news(f->arena);
    assert_false(ring_spin_wait(&spin, f->arena)); /* comes back by itself */
    assert_int_equal(pthread_create(&thread, NULL, ring_once, f->arena), 0);
    do
        spin_init(&spin, UINT32_MAX / 1000); /* whoever gets the processor back late gives up */
    while (!ring_spin_wait(&spin, f->arena));
    pthread_join(thread, NULL);
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_open_claim_is_told_of_after_its_time),
        WITH_ARENA(test_open_claim_is_told_of_by_the_window_it_is_in),
        WITH_ARENA(test_claim_after_claim_is_not_stuck),
        WITH_ARENA(test_stopped_writer_goes_on_where_it_stood),
        WITH_ARENA(test_spin_sees_news_and_ends_without_any),
    };

    return cmocka_run_group_tests_name("ring stuck", tests, NULL, NULL);
}
