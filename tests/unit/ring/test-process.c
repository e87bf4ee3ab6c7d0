/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead claims, one by one. A death is played by a second mapping whose thread stops at a step for
 * good and whose locks are then given up: for the kernel, that process is gone.
 */
#include "ring-test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ring/mapping.h"
#include "stepping.h"

static jmp_buf died;

static void die(void)
{
    longjmp(died, 1);
}

static uint32_t payload_for(uint32_t units)
{
    return units * 32 - 24;
}

/* Writes into ann's ring from a process of its own, which dies at the step. */
static void writer_dies(struct fixture *f, const char *step, uint32_t units)
{
    struct ring_writer w;
    struct arena *other;
    struct ring_lease lease;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    lease = writer_up(&w, other, "ann");
    step_at(step, 1, die);
    if (setjmp(died) == 0) {
        try_value(&w, &lease, 666, payload_for(units));
        fail_msg("%s was not reached", step);
    }
    arena_detach(other);
}

/* Moves an empty ring's tail to the unit of its lap. */
static void move_to(
    struct fixture *f, struct ring_writer *w, struct ring_lease *lease, uint64_t unit)
{
    while ((ring_reader_cursor(f->reader, lease->ring) & (FIXTURE_CAPACITY - 1)) != unit) {
        emit_value(w, lease, 1, payload_for(1));
        drain_value(f, lease->ring, 1);
        release_all(f, lease->ring);
    }
}

/* A dead claim of that many units at that place; others go on before and after the reaping. */
static void dead_claim_at(
    struct fixture *f, const char *step, uint64_t unit, uint32_t units, int help_first)
{
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    move_to(f, &w, &lease, unit);
    writer_dies(f, step, units);
    if (help_first)
        emit_value(&w, &lease, 10, 8);
    drain_nothing(f, lease.ring); /* in the way, by a process not yet known to be dead */
    assert_int_equal(reap_dead(f->arena, NULL, NULL), 1);
    emit_value(&w, &lease, 11, 8);
    if (help_first)
        drain_value(f, lease.ring, 10);
    drain_value(f, lease.ring, 11);
    release_all(f, lease.ring);
    /* More than a lap over the place where it was. */
    for (uint64_t v = 0; v < 2 * FIXTURE_CAPACITY; v++) {
        emit_value(&w, &lease, v, payload_for(3));
        drain_value(f, lease.ring, v);
        release_all(f, lease.ring);
    }
    ring_writer_deinit(&w);
}

static void test_dead_claim_at_index_zero_is_resolved(void **state)
{
    for (int help = 0; help < 2; help++) {
        dead_claim_at(*state, "tail_claimed", 0, 4, help);
        dead_claim_at(*state, "payload_written", 0, 4, help);
    }
}

static void test_dead_claim_up_to_the_end_of_the_lap_is_resolved(void **state)
{
    for (int help = 0; help < 2; help++)
        dead_claim_at(*state, "tail_claimed", FIXTURE_CAPACITY - 4, 4, help);
}

static void test_dead_padding_at_the_end_of_the_lap_is_resolved(void **state)
{
    for (int help = 0; help < 2; help++) {
        dead_claim_at(*state, "padding_claimed", FIXTURE_CAPACITY - 5, 20, help);
        dead_claim_at(*state, "padding_claimed", FIXTURE_CAPACITY - 1, 128, help);
    }
}

static void test_dead_claim_after_its_padding_is_resolved(void **state)
{
    for (int help = 0; help < 2; help++)
        dead_claim_at(*state, "tail_claimed", FIXTURE_CAPACITY - 5, 20, help);
}

static struct {
    struct fixture *f;
    struct ring_writer w;
    struct ring_lease lease;
} intruder;

static void take_nothing(void *userdata, uint32_t ring)
{
    drain_nothing(userdata, ring);
}

static void count_ring(void *userdata, uint32_t ring)
{
    (void)ring;
    ++*(uint32_t *)userdata;
}

static void intrude(void)
{
    emit_value(&intruder.w, &intruder.lease, 20, 8);
    doorbell_take(intruder.f->arena, take_nothing, intruder.f); /* its bell is spent now */
}

static void test_settled_padding_rings_for_what_was_committed_behind_it(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_claim claim;
    uint32_t rung = 0;

    intruder.f = f;
    intruder.lease = writer_up(&intruder.w, f->arena, "ann");
    move_to(f, &w, &lease, FIXTURE_CAPACITY - 5);
    step_at("padding_claimed", 1, intrude);
    assert_int_equal(ring_reserve(&claim, &w, &lease, payload_for(20)), 0);
    doorbell_take(f->arena, count_ring, &rung);
    assert_int_equal(rung, 1);
    drain_value(f, lease.ring, 20); /* with the other's claim still open */
    ring_abandon(&w, &claim);
    ring_writer_deinit(&w);
    ring_writer_deinit(&intruder.w);
}

static void test_committed_record_of_the_dead_is_delivered_though_no_bell_rang(void **state)
{
    struct fixture *f = *state;
    struct ring_record record;
    uint32_t rung = 0, ring;

    writer_dies(f, "committed", 4);
    assert_int_equal(reap_dead(f->arena, NULL, NULL), 0);
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    for (uint32_t word = 0; word < arena_bit_words(f->arena); word++)
        rung += (uint32_t)__builtin_popcountll(atomic_load(&f->arena->bits[word]));
    assert_int_equal(rung, 1);
    assert_true(atomic_load(&f->arena->summary[0]) != 0);
    assert_int_equal(ring_reader_next(&record, f->reader, ring), 1);
}

static void test_full_ring_of_dead_claims_frees_itself(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    for (int i = 0; i < 4; i++)
        writer_dies(f, "tail_claimed", 128);
    assert_int_equal(try_value(&w, &lease, 1, 8), -EAGAIN);
    assert_int_equal(reap_dead(f->arena, NULL, NULL), 4);
    drain_nothing(f, lease.ring);
    emit_value(&w, &lease, 1, 8);
    drain_value(f, lease.ring, 1);
    ring_writer_deinit(&w);
}

static void test_living_process_is_not_reaped(void **state)
{
    struct fixture *f = *state;
    struct arena *other;
    uint32_t index;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    index = arena_process_index(other);
    assert_true(process_is_live(f->arena, index));
    assert_int_equal(process_reap(f->arena, index, NULL, NULL), -EBUSY);
    assert_int_equal(process_reap(other, index, NULL, NULL), -EPERM);
    assert_int_equal(process_reap(f->arena, arena_process_index(f->arena), NULL, NULL), -EBUSY);
    assert_true(process_is_live(f->arena, arena_process_index(f->arena)));
    arena_detach(other);
    assert_int_equal(process_reap(f->arena, index, NULL, NULL), -ENOENT);
    assert_int_equal(process_reap(f->arena, 9999, NULL, NULL), -ENOENT);
}

struct seen {
    struct fixture *f;
    struct process_reaped reaped;
    int process;
};

static void see_reaped(void *userdata, const struct process_reaped *reaped)
{
    struct seen *s = userdata;
    struct ring_record record;
    uint32_t ring;

    s->reaped = *reaped;
    assert_int_equal(directory_find(&ring, s->f->arena, "ann", 3), 0);
    assert_int_equal(ring_reader_next(&record, s->f->reader, ring), 1);
    s->process = process_of_owner(s->f->arena, record.owner);
    assert_int_equal(record.process, reaped->index);
    assert_int_equal(record.incarnation, reaped->incarnation);
}

static void test_owner_ids_name_the_dead_until_the_caller_has_drained(void **state)
{
    struct fixture *f = *state;
    struct seen s = {.f = f, .process = -1};
    uint32_t cursor = 0, dead = UINT32_MAX;
    struct process_info info;

    writer_dies(f, "committed", 4);
    while (process_next(&info, f->arena, &cursor) > 0) {
        assert_int_equal(info.pid, getpid());
        if (!info.live)
            dead = info.index;
        else
            assert_true(info.self);
    }
    assert_int_equal(process_reap(f->arena, dead, see_reaped, &s), 0);
    assert_int_equal(s.process, dead);
    assert_int_equal(s.reaped.slots, 1);
    for (uint32_t owner = 0; owner < 40; owner++)
        assert_int_not_equal(process_of_owner(f->arena, owner), dead);
}

static void test_dead_owners_own_entry_is_reaped_by_the_next(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_claim claim;

    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), 0);
    fixture_disown(f);
    fixture_own(f);
    assert_int_equal(reap_dead(f->arena, NULL, NULL), 1);
    lease = writer_up(&w, f->arena, "ann");
    emit_value(&w, &lease, 3, 8);
    drain_value(f, lease.ring, 3);
    ring_writer_deinit(&w);
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_dead_claim_at_index_zero_is_resolved),
        WITH_ARENA(test_dead_claim_up_to_the_end_of_the_lap_is_resolved),
        WITH_ARENA(test_dead_padding_at_the_end_of_the_lap_is_resolved),
        WITH_ARENA(test_dead_claim_after_its_padding_is_resolved),
        WITH_ARENA(test_settled_padding_rings_for_what_was_committed_behind_it),
        WITH_ARENA(test_committed_record_of_the_dead_is_delivered_though_no_bell_rang),
        WITH_ARENA(test_full_ring_of_dead_claims_frees_itself),
        WITH_ARENA(test_living_process_is_not_reaped),
        WITH_ARENA(test_owner_ids_name_the_dead_until_the_caller_has_drained),
        WITH_ARENA(test_dead_owners_own_entry_is_reaped_by_the_next),
    };

    return cmocka_run_group_tests_name("ring process", tests, NULL, NULL);
}
