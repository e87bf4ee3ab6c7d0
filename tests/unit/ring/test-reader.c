/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-test.h"

#include <errno.h>
#include <string.h>

#include "ring/mapping.h"

struct damaged {
    struct ring_writer w;
    struct ring_lease lease;
    struct ring_header *header;
};

/* A ring with three records of two units each. */
static struct damaged three_records(struct fixture *f)
{
    struct damaged d;

    d.lease = writer_up(&d.w, f->arena, "ann");
    d.header = arena_ring_header(f->arena, d.lease.ring);
    for (uint64_t v = 0; v < 3; v++)
        emit_value(&d.w, &d.lease, v, 40);
    return d;
}

static void expect_quarantine(struct fixture *f, struct damaged *d)
{
    struct ring_reader_stats stats;
    struct ring_record record;
    struct ring_writer other;
    struct ring_lease lease;
    int r;

    while ((r = ring_reader_next(&record, f->reader, d->lease.ring)) > 0)
        ;
    assert_int_equal(r, -EUCLEAN);
    assert_int_equal(ring_reader_next(&record, f->reader, d->lease.ring), -EUCLEAN);
    assert_non_null(ring_reader_damage(f->reader, d->lease.ring));
    ring_reader_stats(&stats, f->reader);
    assert_int_equal(stats.quarantined, 1);
    /* Its writers are told; the others go on. */
    assert_int_equal(try_value(&d->w, &d->lease, 9, 8), -EUCLEAN);
    assert_int_equal(ring_lease_for_user(&lease, &d->w, "ann", 3), -EUCLEAN);
    lease = writer_up(&other, f->arena, "bob");
    emit_value(&other, &lease, 4, 8);
    drain_value(f, lease.ring, 4);
    ring_writer_deinit(&other);
    ring_writer_deinit(&d->w);
}

static struct record_header *record_at(struct fixture *f, struct damaged *d, uint64_t position)
{
    return arena_record(f->arena, d->lease.ring, position);
}

static void test_control_words_that_cannot_be_quarantine_the_ring(void **state)
{
    struct fixture *f = *state;
    const uint64_t bad[] = {
        control_pack(CONTROL_COMMITTED, 1, 2, 1),     /* another lap */
        control_pack(CONTROL_COMMITTED, 1, 0, 0),     /* no length */
        control_pack(CONTROL_COMMITTED, 1, 129, 0),   /* over a quarter */
        control_pack(CONTROL_COMMITTED, 1, 7, 0),     /* beyond the tail */
        control_pack(CONTROL_COMMITTED, 0, 2, 0),     /* nobody's */
        control_pack(CONTROL_COMMITTED, 4094, 2, 0),  /* of a slot there is not */
        control_pack(CONTROL_PADDING, 1, 2, 0),       /* not at the end of the lap */
        control_pack((enum control_state)5, 1, 2, 0), /* no such state */
        control_pack(CONTROL_FREE, 1, 2, 0),          /* free, yet owned */
        control_pack(CONTROL_BUSY, 4094, 2, 0),       /* busy for nobody */
        control_free(0),                              /* no header before the last claim */
        UINT64_MAX,
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct damaged d = three_records(f);

        atomic_store(&record_at(f, &d, 2)->control, bad[i]);
        expect_quarantine(f, &d);
        fixture_disown(f);
        fixture_remove(f);
        fixture_own(f);
    }
}

static void test_lengths_and_types_that_cannot_be_quarantine_the_ring(void **state)
{
    struct fixture *f = *state;
    struct damaged d = three_records(f);

    record_at(f, &d, 2)->payload_length = 41 + 32;
    expect_quarantine(f, &d);
    fixture_disown(f);
    fixture_remove(f);
    fixture_own(f);
    d = three_records(f);
    record_at(f, &d, 4)->type = 77;
    expect_quarantine(f, &d);
}

static void test_tail_that_cannot_be_quarantines_the_ring(void **state)
{
    struct fixture *f = *state;
    const uint64_t positions[] = {2, FIXTURE_CAPACITY + 1, RING_POSITION_END - 1};

    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        struct damaged d = three_records(f);

        atomic_store(&d.header->tail, tail_pack(positions[i], 2, 1));
        expect_quarantine(f, &d);
        fixture_disown(f);
        fixture_remove(f);
        fixture_own(f);
    }
}

static void test_positions_others_wrote_over_do_not_move_the_reader(void **state)
{
    struct fixture *f = *state;
    struct damaged d = three_records(f);

    drain_value(f, d.lease.ring, 0);
    atomic_store(&d.header->consumed, 4711);
    atomic_store(&d.header->freed, 4711);
    drain_value(f, d.lease.ring, 1);
    release_all(f, d.lease.ring);
    assert_int_equal(atomic_load(&d.header->consumed), 4);
    assert_int_equal(atomic_load(&d.header->freed), 4);
    drain_value(f, d.lease.ring, 2);
    ring_writer_deinit(&d.w);
}

static void test_next_reader_refuses_positions_out_of_order(void **state)
{
    struct fixture *f = *state;
    struct damaged d = three_records(f);
    uint32_t ring = d.lease.ring;

    atomic_store(&d.header->consumed, 7);
    ring_writer_deinit(&d.w);
    fixture_disown(f);
    fixture_own(f);
    assert_non_null(ring_reader_damage(f->reader, ring));
    fixture_disown(f);
    fixture_own(f); /* and the one after it stays with that */
    assert_non_null(ring_reader_damage(f->reader, ring));
}

static void test_user_id_that_does_not_match_its_tag_quarantines_the_ring(void **state)
{
    struct fixture *f = *state;
    struct damaged d = three_records(f);

    struct ring_record record;

    atomic_store(&arena_entry(f->arena, d.lease.ring)->user_id[0], 0x626f62); /* bob */
    assert_int_equal(ring_reader_next(&record, f->reader, d.lease.ring), -EUCLEAN);
    assert_int_equal(try_value(&d.w, &d.lease, 9, 8), -EUCLEAN);
    ring_writer_deinit(&d.w);
}

static void test_record_with_another_users_tag_is_not_delivered(void **state)
{
    struct fixture *f = *state;
    struct damaged d = three_records(f);
    struct ring_reader_stats stats;

    record_at(f, &d, 2)->user_tag = user_tag("bob", 3);
    drain_value(f, d.lease.ring, 0);
    drain_value(f, d.lease.ring, 2);
    ring_reader_stats(&stats, f->reader);
    assert_int_equal(stats.misaddressed, 1);
    ring_writer_deinit(&d.w);
}

static void test_rewind_hands_out_again_what_was_not_released(void **state)
{
    struct fixture *f = *state;
    struct damaged d = three_records(f);
    struct ring_record record = drain_value(f, d.lease.ring, 0);

    drain_value(f, d.lease.ring, 1);
    assert_int_equal(ring_reader_release(f->reader, d.lease.ring, record.end), 0);
    drain_value(f, d.lease.ring, 2);
    ring_reader_rewind(f->reader, d.lease.ring);
    drain_value(f, d.lease.ring, 1);
    assert_int_equal(ring_reader_release(f->reader, d.lease.ring, record.begin), -EINVAL);
    assert_int_equal(ring_reader_release(f->reader, d.lease.ring, record.end + 99), -EINVAL);
    drain_value(f, d.lease.ring, 2);
    release_all(f, d.lease.ring);
    drain_nothing(f, d.lease.ring);
    ring_writer_deinit(&d.w);
}

static void test_next_reader_gets_what_was_not_released_under_the_same_positions(void **state)
{
    struct fixture *f = *state;
    struct damaged d = three_records(f);
    struct ring_record first, again;
    uint32_t ring = d.lease.ring;

    drain_value(f, ring, 0);
    release_all(f, ring);
    first = drain_value(f, ring, 1);
    ring_writer_deinit(&d.w);
    fixture_disown(f);
    fixture_own(f);
    again = drain_value(f, ring, 1);
    assert_int_equal(again.begin, first.begin);
    assert_int_equal(again.end, first.end);
    assert_int_equal(again.generation, first.generation);
    drain_value(f, ring, 2);
}

static void test_who_stops_early_is_told_whether_more_is_there(void **state)
{
    struct fixture *f = *state;
    struct damaged d = three_records(f);
    uint32_t ring = d.lease.ring;

    drain_value(f, ring, 0);
    assert_true(ring_reader_has_more(f->reader, ring));
    emit_value(&d.w, &d.lease, 3, 40); /* the reader has seen where the third ends, not this */
    drain_value(f, ring, 1);
    drain_value(f, ring, 2);
    assert_true(ring_reader_has_more(f->reader, ring));
    drain_value(f, ring, 3);
    assert_false(ring_reader_has_more(f->reader, ring));
    /* Closed: whoever comes after it is told once the ring is looked at again. */
    atomic_store(&d.header->tail, tail_close(8, CLOSED_GROWN));
    assert_true(ring_reader_has_more(f->reader, ring));
    ring_writer_deinit(&d.w);
}

static void test_ring_nobody_has_yields_nothing(void **state)
{
    struct fixture *f = *state;

    assert_false(ring_reader_has_more(f->reader, 5));
    assert_false(ring_reader_has_more(f->reader, FIXTURE_RINGS));
    drain_nothing(f, 5);
    drain_nothing(f, FIXTURE_RINGS);
    assert_int_equal(ring_reader_release(f->reader, 5, 1), -EINVAL);
    assert_int_equal(ring_reader_held_bytes(f->reader, 5), 0);
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Whatever bytes: it ends, stays inside the ring, and each ring by itself. */
static void drain_whatever_is_there(struct fixture *f, uint32_t ring)
{
    struct ring_record record;
    uint32_t count = 0;
    uint64_t sum = 0;
    int r;

    while ((r = ring_reader_next(&record, f->reader, ring)) > 0) {
        assert_true(record.end - record.begin <= FIXTURE_CAPACITY / 4);
        for (uint32_t i = 0; i < record.payload_length; i++)
            sum += ((const uint8_t *)record.payload)[i];
        assert_true(++count <= FIXTURE_CAPACITY);
    }
    assert_true(r == 0 || r == -EUCLEAN);
    assert_true(sum < UINT64_MAX);
    if (r == 0)
        assert_int_equal(
            ring_reader_release(f->reader, ring, ring_reader_cursor(f->reader, ring)), 0);
}

/* Near-valid control words come far more often than chance would make them. */
static void scatter(struct fixture *f, uint32_t ring, uint64_t *seed)
{
    uint8_t *data = (uint8_t *)arena_record(f->arena, ring, 0);

    for (uint32_t unit = 0; unit < FIXTURE_CAPACITY; unit++) {
        uint64_t words[4] = {random_next(seed), random_next(seed), random_next(seed), 0};

        if (words[0] % 8)
            words[0] = control_pack((enum control_state)(words[1] % 6), words[1] >> 8 & 3,
                words[1] >> 16 & 15, (words[1] >> 24 & 15) == 0);
        if (words[2] % 4)
            words[1] = words[2] >> 8 & 0x3f;
        memcpy(data + unit * RING_UNIT, words, RING_UNIT);
    }
}

static void test_random_bytes_in_a_ring_do_no_harm(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 0x9e3779b97f4a7c15;
    struct ring_writer w;

    for (int round = 0; round < 400; round++) {
        struct ring_lease lease = writer_up(&w, f->arena, "fuzzed");
        struct ring_header *header = arena_ring_header(f->arena, lease.ring);
        uint64_t tail = random_next(&seed);

        scatter(f, lease.ring, &seed);
        if (round % 4)
            tail = tail_pack(tail % (FIXTURE_CAPACITY + 1), tail >> 32 & 15, tail >> 40 & 3);
        atomic_store(&header->tail, tail);
        drain_whatever_is_there(f, lease.ring);
        (void)try_value(&w, &lease, 1, 100); /* a writer meets the same bytes */
        ring_writer_deinit(&w);
        fixture_disown(f);
        if (round % 2) {
            fixture_own(f); /* the next reader meets them, too */
            drain_whatever_is_there(f, lease.ring);
            fixture_disown(f);
        }
        fixture_remove(f);
        fixture_own(f);
    }
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_control_words_that_cannot_be_quarantine_the_ring),
        WITH_ARENA(test_lengths_and_types_that_cannot_be_quarantine_the_ring),
        WITH_ARENA(test_tail_that_cannot_be_quarantines_the_ring),
        WITH_ARENA(test_positions_others_wrote_over_do_not_move_the_reader),
        WITH_ARENA(test_next_reader_refuses_positions_out_of_order),
        WITH_ARENA(test_user_id_that_does_not_match_its_tag_quarantines_the_ring),
        WITH_ARENA(test_record_with_another_users_tag_is_not_delivered),
        WITH_ARENA(test_rewind_hands_out_again_what_was_not_released),
        WITH_ARENA(test_next_reader_gets_what_was_not_released_under_the_same_positions),
        WITH_ARENA(test_who_stops_early_is_told_whether_more_is_there),
        WITH_ARENA(test_ring_nobody_has_yields_nothing),
        WITH_ARENA(test_random_bytes_in_a_ring_do_no_harm),
    };

    return cmocka_run_group_tests_name("ring reader", tests, NULL, NULL);
}
