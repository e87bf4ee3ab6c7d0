/* SPDX-License-Identifier: Apache-2.0 */
/* A full ring gets a larger successor; the user's order is kept, whoever dies on the way. */
#include "ring-test.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ring/successor.h"
#include "ring/word.h"
#include "stepping.h"

#define LENGTH 1000u

/* Emits values from `first` until the user's largest ring is full; returns the next value. */
static uint64_t fill(struct ring_writer *w, const char *user, uint64_t first)
{
    int r;

    while ((r = try_value_for(w, user, first, LENGTH)) == 0)
        first++;
    assert_int_equal(r, -EAGAIN);
    return first;
}

struct drained {
    struct fixture *f;
    uint64_t next;
};

static void drain_in_order(void *userdata, uint32_t ring)
{
    struct drained *d = userdata;
    struct ring_record record;
    uint64_t value;
    int r;

    while ((r = ring_reader_next(&record, d->f->reader, ring)) == 1) {
        memcpy(&value, record.payload, sizeof value);
        assert_int_equal(value, d->next++);
    }
    assert_int_equal(r, 0);
    release_all(d->f, ring);
}

/* Follows the bells until they are silent. */
static void drain_by_bell(struct drained *d)
{
    while (doorbell_take(d->f->arena, drain_in_order, d) > 0)
        ;
}

static uint64_t file_bytes(const struct fixture *f)
{
    struct stat st;

    assert_int_equal(fstat(f->arena->fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static void test_full_ring_grows_and_order_is_kept(void **state)
{
    struct fixture *f = *state;
    struct drained d = {.f = f};
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann"), grown = lease;

    assert_int_equal(lease.ring, arena_entry_of(f->arena, lease.ring));
    uint64_t count = fill(&w, "ann", 0);
    assert_true(count * LENGTH > 16 * FIXTURE_RING_BYTES); /* all three classes are full */
    assert_int_equal(try_value(&w, &lease, 0, 8), -ESTALE);
    assert_int_equal(ring_lease_renew(&grown, &w), 0);
    assert_int_equal(grown.ring, lease.ring + 2 * FIXTURE_RINGS);
    assert_int_equal(try_value(&w, &grown, 0, 8), -EAGAIN);
    assert_int_equal(ring_wait_space(&w, &grown, 8, 1), -ETIMEDOUT);
    drain_by_bell(&d);
    assert_int_equal(d.next, count);
    emit_value(&w, &grown, count, LENGTH);
    drain_by_bell(&d);
    assert_int_equal(d.next, count + 1);
    ring_writer_deinit(&w);
}

static void test_record_too_long_for_the_first_class_grows_it(void **state)
{
    struct fixture *f = *state;
    struct drained d = {.f = f};
    struct ring_writer w;

    writer_up(&w, f->arena, "ann");
    assert_int_equal(try_value_for(&w, "ann", 0, 8), 0);
    assert_int_equal(try_value_for(&w, "ann", 1, arena_payload_max(f->arena)), 0);
    assert_int_equal(try_value_for(&w, "ann", 2, arena_payload_max(f->arena) + 1), -EMSGSIZE);
    drain_by_bell(&d);
    assert_int_equal(d.next, 2);
    ring_writer_deinit(&w);
}

static void test_waiting_for_room_ends_when_the_ring_grows(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    assert_int_equal(ring_wait_space(&w, &lease, arena_payload_max(f->arena), -1), -ESTALE);
    assert_int_equal(ring_lease_renew(&lease, &w), 0);
    assert_int_equal(ring_wait_space(&w, &lease, arena_payload_max(f->arena), -1), -ESTALE);
    assert_int_equal(ring_lease_renew(&lease, &w), 0);
    assert_int_equal(ring_wait_space(&w, &lease, arena_payload_max(f->arena), -1), 0);
    ring_writer_deinit(&w);
}

/* The successor's records wait for a claim that is still open in the ring before. */
static void test_successor_waits_for_the_open_claim_before_it(void **state)
{
    struct fixture *f = *state;
    struct drained d = {.f = f, .next = 1};
    struct ring_writer slow, w;
    struct ring_lease lease = writer_up(&slow, f->arena, "ann");
    struct ring_claim claim;

    emit_value(&slow, &lease, 1, 8);
    assert_int_equal(ring_reserve(&claim, &slow, &lease, 8), 0);
    memcpy(claim.payload, &(uint64_t){2}, 8);
    assert_int_equal(ring_writer_init(&w, f->arena), 0);
    uint64_t count = fill(&w, "ann", 3);
    drain_by_bell(&d);
    assert_int_equal(d.next, 2);
    assert_int_equal(ring_commit(&slow, &claim), 0);
    drain_by_bell(&d);
    assert_int_equal(d.next, count);
    ring_writer_deinit(&slow);
    ring_writer_deinit(&w);
}

static jmp_buf died;

static void die(void)
{
    longjmp(died, 1);
}

/* A process that emits values from `first` on and is gone at a step. Returns its next value. */
static uint64_t emitter_dies(struct fixture *f, const char *step, uint32_t pass, uint64_t first)
{
    volatile uint64_t next = first;
    struct ring_writer w;
    struct arena *other;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    assert_int_equal(ring_writer_init(&w, other), 0);
    step_at(step, pass, die);
    if (setjmp(died) == 0) {
        for (;; next++)
            assert_int_equal(try_value_for(&w, "ann", next, LENGTH), 0);
    }
    arena_detach(other);
    return next;
}

static void test_dead_in_the_middle_of_growing_hold_nobody_up(void **state)
{
    static const char *const steps[] = {"successor_allocated", "tail_closed"};

    for (size_t i = 0; i < 4; i++) {
        struct fixture *f = *state;
        struct drained d = {.f = f};
        struct ring_writer w;
        uint64_t next = emitter_dies(f, steps[i % 2], 1 + (uint32_t)i / 2, 0);

        assert_int_equal(ring_writer_init(&w, f->arena), 0);
        if (i < 2) { /* with the owner away */
            next = fill(&w, "ann", next);
        }
        reap_dead(f->arena, NULL, NULL);
        next = i < 2 ? next : fill(&w, "ann", next);
        drain_by_bell(&d);
        assert_int_equal(d.next, next);
        ring_writer_deinit(&w);
        fixture_disown(f);
        fixture_remove(f);
        fixture_own(f);
    }
}

static void test_dead_claim_before_the_successor_is_skipped(void **state)
{
    struct fixture *f = *state;
    struct drained d = {.f = f};
    struct ring_writer w;
    uint64_t next = emitter_dies(f, "tail_claimed", 4, 0);

    assert_int_equal(ring_writer_init(&w, f->arena), 0);
    uint64_t end = fill(&w, "ann", next);
    drain_by_bell(&d);
    assert_int_equal(d.next, next);
    assert_int_equal(reap_dead(f->arena, NULL, NULL), 1);
    drain_by_bell(&d);
    assert_int_equal(d.next, end);
    ring_writer_deinit(&w);
}

static void test_next_reader_goes_on_in_the_middle_of_growth(void **state)
{
    struct fixture *f = *state;
    struct drained d = {.f = f};
    struct ring_writer w;
    struct ring_record record;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    uint64_t count = fill(&w, "ann", 0);

    ring_writer_deinit(&w);
    assert_int_equal(ring_reader_next(&record, f->reader, lease.ring + FIXTURE_RINGS), 0);
    for (uint64_t i = 0; i < 5; i++)
        drain_value(f, lease.ring, i);
    release_all(f, lease.ring);
    d.next = 5;
    for (int i = 0; i < 3; i++) {
        fixture_disown(f);
        fixture_own(f);
        drain_in_order(&d, lease.ring + (uint32_t)i * FIXTURE_RINGS);
    }
    assert_int_equal(d.next, count);
}

static void test_memory_of_outgrown_rings_is_given_back(void **state)
{
    struct fixture *f = *state;
    struct drained d = {.f = f};
    struct ring_writer w, standing;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_reader_stats stats;
    uint64_t before, count = fill(&w, "ann", 0);

    assert_int_equal(ring_writer_init(&standing, f->arena), 0);
    atomic_store(&standing.slot->current_ring, lease.ring + 1);
    ring_reader_reclaim(f->reader, 1000, 0); /* nothing is drained yet */
    before = file_bytes(f);
    drain_by_bell(&d);
    ring_reader_reclaim(f->reader, 1000, 0);
    assert_int_equal(before - file_bytes(f), 4 * FIXTURE_RING_BYTES);
    ring_writer_deinit(&standing);
    atomic_store(&arena_slot_of(f->arena, ring_writer_owner(&w) + 1)->current_ring, 0);
    ring_reader_reclaim(f->reader, 1000, 0);
    assert_int_equal(before - file_bytes(f), 5 * FIXTURE_RING_BYTES);
    ring_reader_stats(&stats, f->reader);
    assert_int_equal(stats.outgrown, 2);
    assert_int_equal(try_value_for(&w, "ann", count, 8), 0);
    fixture_disown(f); /* what was punched is not touched by the next either */
    fixture_own(f);
    drain_by_bell(&d);
    assert_int_equal(d.next, count + 1);
}

#define GROWING(test) cmocka_unit_test_setup_teardown(test, fixture_up_growing, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROWING(test_full_ring_grows_and_order_is_kept),
        GROWING(test_record_too_long_for_the_first_class_grows_it),
        GROWING(test_waiting_for_room_ends_when_the_ring_grows),
        GROWING(test_successor_waits_for_the_open_claim_before_it),
        GROWING(test_dead_in_the_middle_of_growing_hold_nobody_up),
        GROWING(test_dead_claim_before_the_successor_is_skipped),
        GROWING(test_next_reader_goes_on_in_the_middle_of_growth),
        GROWING(test_memory_of_outgrown_rings_is_given_back),
    };

    return cmocka_run_group_tests_name("ring growth", tests, NULL, NULL);
}
