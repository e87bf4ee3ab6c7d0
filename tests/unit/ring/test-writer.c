/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "ring/claim.h"

/* A payload whose record takes that many units. */
static uint32_t payload_for(uint32_t units)
{
    return units * 32 - 24;
}

static void test_emitted_record_is_read_back_whole(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct iovec iov[2] = {{(void *)(uintptr_t) "hello ", 6}, {(void *)(uintptr_t) "world", 5}};
    struct ring_record record;
    uint64_t end;

    assert_int_equal(ring_emit(&end, &w, &lease, iov, 2), 0);
    assert_int_equal(ring_reader_next(&record, f->reader, lease.ring), 1);
    assert_int_equal(record.payload_length, 11);
    assert_memory_equal(record.payload, "hello world", 11);
    assert_int_equal(record.user_tag, user_tag("ann", 3));
    assert_int_equal(record.owner, ring_writer_owner(&w));
    assert_int_equal(record.process, arena_process_index(f->arena));
    assert_int_equal(record.incarnation, 1);
    assert_int_equal(record.generation, lease.generation);
    assert_int_equal(record.ring, lease.ring);
    assert_int_equal(record.begin, 0);
    assert_int_equal(record.end, end);
    assert_int_equal(process_of_owner(f->arena, record.owner), arena_process_index(f->arena));
    ring_writer_deinit(&w);
    assert_int_equal(process_of_owner(f->arena, record.owner), -ENOENT);
}

static void test_empty_and_largest_payloads_go_through(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_record record;
    uint32_t largest = arena_payload_max(f->arena);

    assert_int_equal(largest, FIXTURE_RING_BYTES / 4 - 24);
    assert_int_equal(ring_emit(NULL, &w, &lease, NULL, 0), 0);
    assert_int_equal(ring_reader_next(&record, f->reader, lease.ring), 1);
    assert_int_equal(record.payload_length, 0);
    emit_value(&w, &lease, 9, largest);
    assert_int_equal(drain_value(f, lease.ring, 9).payload_length, largest);
    assert_int_equal(try_value(&w, &lease, 9, largest + 1), -EMSGSIZE);
    drain_nothing(f, lease.ring);
    ring_writer_deinit(&w);
}

static void test_full_is_an_answer_without_side_effect(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    uint64_t sent = 0;

    while (try_value(&w, &lease, sent, payload_for(4)) == 0)
        sent++;
    assert_int_equal(sent, FIXTURE_CAPACITY / 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(try_value(&w, &lease, 99, payload_for(1)), -EAGAIN);
    assert_int_equal(ring_reader_held_bytes(f->reader, lease.ring), FIXTURE_RING_BYTES);
    for (uint64_t v = 0; v < sent; v++)
        drain_value(f, lease.ring, v);
    drain_nothing(f, lease.ring); /* a whole lap handed out, none released */
    assert_int_equal(try_value(&w, &lease, 99, payload_for(1)), -EAGAIN);
    release_all(f, lease.ring);
    assert_int_equal(ring_reader_held_bytes(f->reader, lease.ring), 0);
    emit_value(&w, &lease, 100, payload_for(1));
    drain_value(f, lease.ring, 100);
    ring_writer_deinit(&w);
}

/* Records of every size up to the largest, many laps, released at different distances. */
static void test_wrap_and_padding_keep_every_record(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    uint64_t sent = 0, seen = 0;

    while (sent < 20000) {
        uint32_t units = 1 + (uint32_t)((sent * 2654435761u >> 7) % 128);

        if (try_value(&w, &lease, sent, payload_for(units)) == 0) {
            sent++;
            continue;
        }
        for (uint64_t half = seen + (sent - seen + 1) / 2; seen < half; seen++)
            drain_value(f, lease.ring, seen);
        release_all(f, lease.ring);
    }
    for (; seen < sent; seen++)
        drain_value(f, lease.ring, seen);
    release_all(f, lease.ring);
    drain_nothing(f, lease.ring);
    ring_writer_deinit(&w);
}

static void test_largest_record_always_fits_an_empty_ring(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    for (uint32_t i = 0; i < 3 * FIXTURE_CAPACITY; i++) {
        emit_value(&w, &lease, i, payload_for(1)); /* moves the start by one unit a round */
        drain_value(f, lease.ring, i);
        release_all(f, lease.ring);
        emit_value(&w, &lease, i, arena_payload_max(f->arena));
        drain_value(f, lease.ring, i);
        release_all(f, lease.ring);
    }
    ring_writer_deinit(&w);
}

static void test_open_claim_is_in_the_way_until_committed(void **state)
{
    struct fixture *f = *state;
    struct ring_writer slow, fast;
    struct ring_lease lease = writer_up(&slow, f->arena, "ann");
    struct ring_claim claim;
    uint64_t value = 1;

    writer_up(&fast, f->arena, "ann");
    assert_int_equal(ring_reserve(&claim, &slow, &lease, 8), 0);
    drain_nothing(f, lease.ring); /* only the tail names it */
    emit_value(&fast, &lease, 2, 8);
    drain_nothing(f, lease.ring); /* helped: BUSY */
    memcpy(claim.payload, &value, sizeof value);
    assert_int_equal(ring_commit(&slow, &claim), 0);
    drain_value(f, lease.ring, 1);
    drain_value(f, lease.ring, 2);
    assert_int_equal(ring_commit(&slow, &claim), -EINVAL);
    ring_writer_deinit(&slow);
    ring_writer_deinit(&fast);
}

static void test_one_claim_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann"), other;
    struct ring_claim claim, second;

    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), 0);
    assert_int_equal(ring_reserve(&second, &w, &lease, 8), -EBUSY);
    assert_int_equal(ring_lease_for_user(&other, &w, "bob", 3), -EBUSY);
    ring_abandon(&w, &claim);
    emit_value(&w, &lease, 3, 8);
    drain_value(f, lease.ring, 3);
    ring_writer_deinit(&w);
}

static void test_abandoned_claims_give_their_space_back(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_claim claim;
    struct ring_reader_stats stats;

    for (int i = 0; i < 4; i++) {
        assert_int_equal(ring_reserve(&claim, &w, &lease, payload_for(128)), 0);
        ring_abandon(&w, &claim);
    }
    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), -EAGAIN);
    drain_nothing(f, lease.ring); /* nothing handed out: nothing to wait for */
    emit_value(&w, &lease, 4, 8);
    drain_value(f, lease.ring, 4);
    ring_reader_stats(&stats, f->reader);
    assert_int_equal(stats.discarded, 4);
    ring_writer_deinit(&w);
}

static void test_writer_given_up_with_an_open_claim_abandons_it(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_claim claim;

    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), 0);
    ring_writer_deinit(&w);
    writer_up(&w, f->arena, "ann");
    emit_value(&w, &lease, 5, 8);
    drain_value(f, lease.ring, 5);
    ring_writer_deinit(&w);
}

static void test_fenced_writer_is_told_and_its_record_not_delivered(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_claim claim;

    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), 0);
    assert_int_equal(claim_discard_of(f->arena, lease.ring, ring_writer_owner(&w)), 1);
    assert_int_equal(ring_commit(&w, &claim), -EOWNERDEAD);
    drain_nothing(f, lease.ring);
    ring_writer_deinit(&w);
}

static void test_fenced_writer_is_told_after_its_space_was_reused(void **state)
{
    struct fixture *f = *state;
    struct ring_writer slow, other;
    struct ring_lease lease = writer_up(&slow, f->arena, "ann");
    struct ring_claim claim;
    uint64_t v = 0;

    writer_up(&other, f->arena, "ann");
    assert_int_equal(ring_reserve(&claim, &slow, &lease, 8), 0);
    assert_int_equal(claim_discard_of(f->arena, lease.ring, ring_writer_owner(&slow)), 1);
    for (; v < FIXTURE_CAPACITY; v++) { /* once round, over the same unit */
        emit_value(&other, &lease, v, 8);
        if (v + 1 < FIXTURE_CAPACITY) {
            drain_value(f, lease.ring, v);
            release_all(f, lease.ring);
        }
    }
    assert_int_equal(ring_commit(&slow, &claim), -EOWNERDEAD);
    drain_value(f, lease.ring, v - 1);
    ring_writer_deinit(&slow);
    ring_writer_deinit(&other);
}

static void test_writer_whose_slot_was_taken_back_cannot_claim(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann"), other;
    struct ring_claim claim;

    atomic_store(&w.slot->holder, 0);
    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), -EOWNERDEAD);
    assert_int_equal(ring_lease_for_user(&other, &w, "bob", 3), -EOWNERDEAD);
    ring_writer_deinit(&w);
}

static void test_closed_ring_and_other_generation_are_stale(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann"), wrong = lease;
    struct ring_header *header = arena_ring_header(f->arena, lease.ring);
    struct ring_claim claim;

    wrong.generation++;
    assert_int_equal(ring_reserve(&claim, &w, &wrong, 8), -ESTALE);
    wrong = lease;
    wrong.user_tag++;
    assert_int_equal(ring_reserve(&claim, &w, &wrong, 8), -ESTALE);
    wrong = lease;
    wrong.ring = FIXTURE_RINGS;
    assert_int_equal(ring_reserve(&claim, &w, &wrong, 8), -ESTALE);
    emit_value(&w, &lease, 1, 8);
    atomic_store(&header->tail, tail_pack(1, 0, RING_OWNER_CLOSED));
    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), -ESTALE);
    assert_int_equal(ring_wait_space(&w, &lease, 8, -1), -ESTALE);
    drain_value(f, lease.ring, 1); /* a closed ring is drained to its end */
    drain_nothing(f, lease.ring);
    assert_int_equal(atomic_load(&w.slot->current_ring), 0);
    ring_writer_deinit(&w);
}

static void test_positions_used_up_is_an_answer(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_header *header = arena_ring_header(f->arena, lease.ring);
    uint64_t last = RING_POSITION_END - 2;
    struct ring_claim claim;

    atomic_store(&header->tail, tail_pack(last, 0, 0));
    atomic_store(&header->freed, last);
    assert_int_equal(ring_reserve(&claim, &w, &lease, payload_for(2)), -EOVERFLOW);
    ring_writer_deinit(&w);
}

static void test_slots_used_up_is_an_answer(void **state)
{
    struct fixture *f = *state;
    struct ring_writer writers[33];

    for (size_t i = 0; i < 32; i++)
        assert_int_equal(ring_writer_init(&writers[i], f->arena), 0);
    assert_int_equal(ring_writer_init(&writers[32], f->arena), -EUSERS);
    for (size_t i = 0; i < 32; i++)
        ring_writer_deinit(&writers[i]);
}

struct waiting {
    struct fixture *f;
    struct ring_writer w;
    struct ring_lease lease;
    uint64_t position;
    int result;
};

static void *wait_for_space(void *userdata)
{
    struct waiting *x = userdata;

    x->result = ring_wait_space(&x->w, &x->lease, payload_for(1), 20000);
    return NULL;
}

static void *wait_for_durable(void *userdata)
{
    struct waiting *x = userdata;

    x->result = ring_wait_position(x->f->arena, x->lease.ring, x->position, RING_DURABLE, 20000);
    return NULL;
}

static void test_waiting_for_room_ends_with_the_release(void **state)
{
    struct fixture *f = *state;
    struct waiting x = {.f = f};
    pthread_t thread;

    x.lease = writer_up(&x.w, f->arena, "ann");
    for (uint64_t v = 0; try_value(&x.w, &x.lease, v, payload_for(128)) == 0; v++)
        ;
    assert_int_equal(ring_wait_space(&x.w, &x.lease, payload_for(1), 1), -ETIMEDOUT);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_space, &x), 0);
    drain_value(f, x.lease.ring, 0);
    release_all(f, x.lease.ring);
    pthread_join(thread, NULL);
    assert_int_equal(x.result, 0);
    ring_writer_deinit(&x.w);
}

static void test_commit_points_are_reached_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    struct waiting x = {.f = f};
    pthread_t thread;
    uint64_t end;

    x.lease = writer_up(&x.w, f->arena, "ann");
    assert_int_equal(ring_emit(&end, &x.w, &x.lease, NULL, 0), 0);
    x.position = end;
    assert_int_equal(
        ring_wait_position(f->arena, x.lease.ring, end, RING_SEQUENCED, 1), -ETIMEDOUT);
    struct ring_record record;
    assert_int_equal(ring_reader_next(&record, f->reader, x.lease.ring), 1);
    assert_int_equal(ring_reader_set_durable(f->reader, x.lease.ring, end), -EINVAL);
    release_all(f, x.lease.ring);
    assert_int_equal(ring_wait_position(f->arena, x.lease.ring, end, RING_SEQUENCED, 0), 0);
    assert_int_equal(ring_wait_position(f->arena, x.lease.ring, end, RING_DURABLE, 1), -ETIMEDOUT);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_durable, &x), 0);
    assert_int_equal(ring_reader_set_durable(f->reader, x.lease.ring, end), 0);
    pthread_join(thread, NULL);
    assert_int_equal(x.result, 0);
    ring_writer_deinit(&x.w);
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_emitted_record_is_read_back_whole),
        WITH_ARENA(test_empty_and_largest_payloads_go_through),
        WITH_ARENA(test_full_is_an_answer_without_side_effect),
        WITH_ARENA(test_wrap_and_padding_keep_every_record),
        WITH_ARENA(test_largest_record_always_fits_an_empty_ring),
        WITH_ARENA(test_open_claim_is_in_the_way_until_committed),
        WITH_ARENA(test_one_claim_at_a_time),
        WITH_ARENA(test_abandoned_claims_give_their_space_back),
        WITH_ARENA(test_writer_given_up_with_an_open_claim_abandons_it),
        WITH_ARENA(test_fenced_writer_is_told_and_its_record_not_delivered),
        WITH_ARENA(test_fenced_writer_is_told_after_its_space_was_reused),
        WITH_ARENA(test_writer_whose_slot_was_taken_back_cannot_claim),
        WITH_ARENA(test_closed_ring_and_other_generation_are_stale),
        WITH_ARENA(test_positions_used_up_is_an_answer),
        WITH_ARENA(test_slots_used_up_is_an_answer),
        WITH_ARENA(test_waiting_for_room_ends_with_the_release),
        WITH_ARENA(test_commit_points_are_reached_one_after_the_other),
    };

    return cmocka_run_group_tests_name("ring writer", tests, NULL, NULL);
}
