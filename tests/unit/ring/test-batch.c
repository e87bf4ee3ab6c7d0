/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: the bell is owed, and rung in any case. */
#include "ring-test.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void ignore_ring(void *userdata, uint32_t ring)
{
    (void)userdata;
    (void)ring;
}

/* The reader sleeps, all news taken. */
static void sleep_now(struct fixture *f)
{
    doorbell_awake(f->arena);
    while (doorbell_prepare_sleep(f->arena)) {
        process_take_news(f->arena);
        doorbell_take(f->arena, ignore_ring, NULL);
    }
}

static bool has_rung(const struct fixture *f)
{
    struct pollfd bell = {.fd = doorbell_fd(f->arena), .events = POLLIN};

    return poll(&bell, 1, 0) == 1;
}

static void test_a_batch_rings_once_at_its_end(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    sleep_now(f);
    ring_batch_begin(&w);
    for (uint64_t v = 0; v < 10; v++)
        emit_value(&w, &lease, v, 8);
    assert_false(has_rung(f));
    ring_batch_end(&w);
    assert_true(has_rung(f));
    for (uint64_t v = 0; v < 10; v++)
        drain_value(f, lease.ring, v);
    sleep_now(f);
    emit_value(&w, &lease, 10, 8);
    assert_true(has_rung(f));
    ring_writer_deinit(&w);
}

static void test_a_batch_rings_before_another_ring_is_written_to(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease ann = writer_up(&w, f->arena, "ann"), bob;

    assert_int_equal(ring_lease_for_user(&bob, &w, "bob", 3), 0);
    sleep_now(f);
    ring_batch_begin(&w);
    emit_value(&w, &ann, 1, 8);
    assert_false(has_rung(f));
    emit_value(&w, &bob, 2, 8);
    assert_true(has_rung(f));
    sleep_now(f);
    assert_int_equal(ring_lease_for_user(&bob, &w, "cleo", 4), 0);
    assert_true(has_rung(f));
    ring_batch_end(&w);
    ring_writer_deinit(&w);
}

static void test_a_refused_claim_rings_for_those_before_it(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    sleep_now(f);
    ring_batch_begin(&w);
    emit_value(&w, &lease, 1, 8);
    assert_false(has_rung(f));
    lease.generation++;
    assert_int_equal(try_value(&w, &lease, 2, 8), -ESTALE);
    assert_true(has_rung(f));
    ring_batch_end(&w);
    ring_writer_deinit(&w);
}

static void test_giving_the_slot_back_ends_the_batch(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    sleep_now(f);
    ring_batch_begin(&w);
    emit_value(&w, &lease, 1, 8);
    ring_writer_deinit(&w);
    assert_true(has_rung(f));
}

static void test_a_batch_goes_on_in_a_larger_ring(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    uint64_t value = 0, read = 0;
    uint32_t ring;

    sleep_now(f);
    ring_batch_begin(&w);
    do {
        assert_int_equal(try_value_for(&w, "ann", value++, 1000), 0);
        assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    } while (ring == lease.ring);
    assert_true(has_rung(f));
    sleep_now(f);
    assert_int_equal(try_value_for(&w, "ann", value++, 1000), 0);
    ring_batch_end(&w);
    assert_true(has_rung(f));
    while (read < value - 2)
        drain_value(f, lease.ring, read++);
    drain_nothing(f, lease.ring);
    release_all(f, lease.ring);
    drain_value(f, ring, read++);
    drain_value(f, ring, read++);
    ring_writer_deinit(&w);
}

/* Emits in a batch and ends without ringing. */
static int die_owing(const char *directory)
{
    struct ring_writer w;
    struct ring_lease lease;
    struct arena *arena;
    struct iovec value = {.iov_base = (uint64_t[]){7}, .iov_len = 8};

    if (arena_attach(&arena, directory) < 0 || ring_writer_init(&w, arena) < 0 ||
        ring_lease_for_user(&lease, &w, "ann", 3) < 0)
        return 1;
    ring_batch_begin(&w);
    return ring_emit(NULL, &w, &lease, &value, 1) < 0 ? 2 : 0;
}

static void test_a_writer_that_dies_owing_is_rung_for(void **state)
{
    struct fixture *f = *state;
    uint32_t ring;
    int status;
    pid_t child;

    doorbell_take(f->arena, ignore_ring, NULL);
    child = fork();
    if (child == 0)
        _exit(die_owing(f->directory));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(doorbell_take(f->arena, ignore_ring, NULL), 0);
    assert_int_equal(reap_dead(f->arena, NULL, NULL), 0);
    assert_int_equal(doorbell_take(f->arena, ignore_ring, NULL), 1);
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    drain_value(f, ring, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_batch_rings_once_at_its_end, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_a_batch_rings_before_another_ring_is_written_to, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_a_refused_claim_rings_for_those_before_it, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_giving_the_slot_back_ends_the_batch, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_a_batch_goes_on_in_a_larger_ring, fixture_up_growing, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_a_writer_that_dies_owing_is_rung_for, fixture_up, fixture_down),
    };

    return cmocka_run_group_tests_name("ring-batch", tests, NULL, NULL);
}
