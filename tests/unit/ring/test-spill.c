/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads longer than a record, and the shares of memory that users get. */
#include "ring-test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dose.h"
#include "ring/share.h"
#include "ring/spill.h"
#include "stepping.h"

#define SPILL_BYTES (1u << 20)
#define PLENTY (64u << 20)

static int spill_up_with(void **state, uint64_t memory_bytes)
{
    struct fixture *f;

    if (fixture_up_empty(state) < 0)
        return -1;
    f = *state;
    f->spill_bytes = SPILL_BYTES;
    f->memory_bytes = memory_bytes;
    fixture_own(f);
    return 0;
}

static int spill_up(void **state)
{
    return spill_up_with(state, PLENTY);
}

static uint64_t file_bytes(const struct fixture *f)
{
    struct stat st;

    assert_int_equal(fstat(f->arena->fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static uint32_t places_in_use(const struct fixture *f)
{
    struct spill_look look;
    uint32_t cursor = 0, count = 0;

    while (spill_next(&look, f->arena, &cursor))
        count++;
    return count;
}

static void fill_pattern(uint8_t *bytes, uint32_t length, uint64_t value)
{
    memcpy(bytes, &value, sizeof value);
    for (uint32_t i = sizeof value; i < length; i++)
        bytes[i] = (uint8_t)(value * 31 + i * 7);
}

static void check_pattern(const struct ring_record *record, uint64_t value)
{
    const uint8_t *bytes = record->payload;

    assert_memory_equal(bytes, &value, sizeof value);
    for (uint32_t i = sizeof value; i < record->payload_length; i++)
        assert_int_equal(bytes[i], (uint8_t)(value * 31 + i * 7));
}

static int try_pattern(
    struct ring_writer *w, const struct ring_lease *lease, uint64_t value, uint32_t length)
{
    struct ring_claim claim;
    int r = ring_reserve(&claim, w, lease, length);

    if (r < 0)
        return r;
    fill_pattern(claim.payload, length, value);
    return ring_commit(w, &claim);
}

static void drain_pattern(struct fixture *f, uint32_t ring, uint64_t value, uint32_t length)
{
    struct ring_record record;

    assert_int_equal(ring_reader_next(&record, f->reader, ring), 1);
    assert_int_equal(record.payload_length, length);
    check_pattern(&record, value);
}

static void test_long_payloads_arrive_in_their_order_and_are_given_back(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    uint32_t lengths[] = {8, SPILL_BYTES, 100, 5000, arena_payload_max(f->arena),
        arena_payload_max(f->arena) + 1, SPILL_BYTES - 1};
    uint64_t before = file_bytes(f);

    assert_int_equal(arena_spill_max(f->arena), SPILL_BYTES);
    for (int round = 0; round < DOSE(100); round++) {
        for (uint32_t i = 0; i < 7; i++)
            assert_int_equal(try_pattern(&w, &lease, i, lengths[i]), 0);
        assert_true(ring_reader_user_bytes(f->reader, lease.ring) > 2 * SPILL_BYTES);
        for (uint32_t i = 0; i < 7; i++)
            drain_pattern(f, lease.ring, i, lengths[i]);
        assert_int_equal(places_in_use(f), 4);
        release_all(f, lease.ring);
        assert_int_equal(places_in_use(f), 0);
        assert_int_equal(file_bytes(f), before);
        assert_int_equal(ring_reader_user_bytes(f->reader, lease.ring), 0);
    }
    assert_int_equal(try_pattern(&w, &lease, 1, SPILL_BYTES + 1), -EMSGSIZE);
    ring_writer_deinit(&w);
}

static void test_abandoned_payload_is_given_back_at_once(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct ring_claim claim;

    assert_int_equal(ring_reserve(&claim, &w, &lease, 50000), 0);
    ring_abandon(&w, &claim);
    assert_int_equal(places_in_use(f), 0);
    assert_int_equal(ring_reserve(&claim, &w, &lease, 50000), 0);
    ring_writer_deinit(&w);
    assert_int_equal(places_in_use(f), 0);
    drain_nothing(f, lease.ring);
}

static void test_next_reader_hands_out_what_was_not_released(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(try_pattern(&w, &lease, i, 100000), 0);
    ring_writer_deinit(&w);
    drain_pattern(f, lease.ring, 0, 100000);
    release_all(f, lease.ring);
    drain_pattern(f, lease.ring, 1, 100000);
    fixture_disown(f);
    fixture_own(f);
    assert_int_equal(places_in_use(f), 2);
    drain_pattern(f, lease.ring, 1, 100000);
    drain_pattern(f, lease.ring, 2, 100000);
    release_all(f, lease.ring);
    assert_int_equal(places_in_use(f), 0);
}

static void test_reference_that_cannot_be_quarantines_the_ring(void **state)
{
    for (int how = 0; how < 5; how++) {
        struct fixture *f = *state;
        struct ring_writer w;
        struct ring_lease lease = writer_up(&w, f->arena, "ann");
        struct spill_reference *reference;
        struct ring_record record;

        assert_int_equal(try_pattern(&w, &lease, 1, 50000), 0);
        reference = (struct spill_reference *)(void *)(arena_record(f->arena, lease.ring, 0) + 1);
        switch (how) {
        case 0: reference->place = ARENA_SPILL_COUNT; break;
        case 1: reference->length = SPILL_BYTES; break;
        case 2: reference->word++; break;
        case 3: reference->word = 0; break;
        default: reference->length = 0;
        }
        assert_int_equal(ring_reader_next(&record, f->reader, lease.ring), -EUCLEAN);
        assert_int_equal(ring_reader_reclaim(f->reader, 1, 0), 1);
        ring_reader_reclaim(f->reader, 2, 0);
        assert_int_equal(places_in_use(f), 0); /* what it really had is given back */
        ring_writer_deinit(&w);
    }
}

static void test_one_user_cannot_take_the_spill_area(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease greedy = writer_up(&w, f->arena, "greedy"), other;
    uint64_t before = share_free(f->arena);
    uint32_t count = 0;
    int r;

    while ((r = try_pattern(&w, &greedy, count, SPILL_BYTES)) == 0)
        count++;
    assert_int_equal(r, -EAGAIN);
    assert_true(count > 0);
    assert_true(share_free(f->arena) >= before / SHARE_PARTS * (SHARE_PARTS - 1) - SPILL_BYTES);
    assert_int_equal(ring_wait_space(&w, &greedy, SPILL_BYTES, 1), -ETIMEDOUT);
    assert_int_equal(try_pattern(&w, &greedy, 1, 100), 0); /* what fits the ring goes */
    for (int i = 0; i < 8; i++) {
        char user[16];

        snprintf(user, sizeof user, "user-%d", i);
        assert_int_equal(ring_lease_for_user(&other, &w, user, strlen(user)), 0);
        assert_int_equal(try_pattern(&w, &other, 1, SPILL_BYTES / 2), 0);
    }
    for (uint32_t i = 0; i < count; i++)
        drain_pattern(f, greedy.ring, i, SPILL_BYTES);
    release_all(f, greedy.ring);
    assert_int_equal(ring_wait_space(&w, &greedy, SPILL_BYTES, 1), 0);
    assert_int_equal(try_pattern(&w, &greedy, 1, SPILL_BYTES), 0);
    ring_writer_deinit(&w);
}

static int little_up(void **state)
{
    return spill_up_with(state, 2u << 20);
}

static void test_payload_over_the_share_alone_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    assert_int_equal(try_pattern(&w, &lease, 1, SPILL_BYTES), -EDQUOT);
    assert_int_equal(ring_wait_space(&w, &lease, SPILL_BYTES, -1), -EDQUOT);
    assert_int_equal(try_pattern(&w, &lease, 1, SPILL_BYTES / 8), 0);
    assert_int_equal(places_in_use(f), 1);
    ring_writer_deinit(&w);
}

static int little_growing_up(void **state)
{
    struct fixture *f;

    if (fixture_up_empty(state) < 0)
        return -1;
    f = *state;
    f->ring_bytes = 16 * FIXTURE_RING_BYTES;
    f->memory_bytes = 1u << 20;
    fixture_own(f);
    return 0;
}

static void test_rings_grow_only_within_a_share(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    uint32_t grown = 0, ring;
    int r = 0;

    assert_int_equal(ring_writer_init(&w, f->arena), 0);
    for (uint32_t i = 0; i < FIXTURE_RINGS && r == 0; i++) {
        char user[16];
        int n = snprintf(user, sizeof user, "user-%u", i);

        while ((r = try_value_for(&w, user, 1, 1000)) == 0)
            ;
        if (r == -ENOSPC)
            break;
        assert_int_equal(r, -EAGAIN);
        r = directory_find(&ring, f->arena, user, (size_t)n);
        grown += ring >= FIXTURE_RINGS;
        assert_true(share_free(f->arena) > 0 || i > 8);
    }
    assert_int_equal(r, -ENOSPC); /* memory is out, for new users as well, after many */
    assert_true(grown >= 2);
    ring_writer_deinit(&w);
}

static jmp_buf died;

static void die(void)
{
    longjmp(died, 1);
}

/* A process that sends long payloads and is gone at a step. */
static void emitter_dies(struct fixture *f, const char *step)
{
    struct ring_writer w;
    struct arena *other;
    struct ring_lease lease;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    lease = writer_up(&w, other, "ann");
    step_at(step, 1, die);
    if (setjmp(died) == 0) {
        (void)try_pattern(&w, &lease, 1, 70000);
        fail_msg("%s was not reached", step);
    }
    arena_detach(other);
}

static void test_payloads_of_the_dead_are_given_back_or_delivered(void **state)
{
    static const char *const steps[] = {
        "spill_taken", "tail_claimed", "spill_named", "payload_written", "committed", "bits_set"};
    struct fixture *f = *state;
    struct ring_record record;
    uint32_t ring;

    for (volatile size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        emitter_dies(f, steps[i]);
        assert_int_equal(places_in_use(f), 1);
        reap_dead(f->arena, NULL, NULL);
        assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
        if (ring_reader_next(&record, f->reader, ring) == 1) {
            assert_true(i >= 4);
            assert_int_equal(record.payload_length, 70000);
            check_pattern(&record, 1);
            release_all(f, ring);
        } else {
            assert_true(i < 4);
            ring_reader_reclaim(f->reader, 1, 0);
        }
        assert_int_equal(places_in_use(f), 0);
    }
}

static void test_reader_dead_while_giving_back_is_made_good(void **state)
{
    static const char *const steps[] = {"consumed_stored", "spill_freeing", "spill_punched"};

    for (volatile size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct fixture *f = *state;
        struct ring_writer w;
        struct ring_lease lease = writer_up(&w, f->arena, "ann");

        assert_int_equal(try_pattern(&w, &lease, 1, 70000), 0);
        assert_int_equal(try_pattern(&w, &lease, 2, 70000), 0);
        ring_writer_deinit(&w);
        drain_pattern(f, lease.ring, 1, 70000);
        step_at(steps[i], 1, die);
        if (setjmp(died) == 0) {
            release_all(f, lease.ring);
            fail_msg("%s was not reached", steps[i]);
        }
        fixture_disown(f);
        fixture_own(f);
        assert_int_equal(places_in_use(f), 1);
        drain_pattern(f, lease.ring, 2, 70000);
        release_all(f, lease.ring);
        assert_int_equal(places_in_use(f), 0);
    }
}

#define WRITERS 3
#define PAYLOADS DOSE(300u)

struct sender {
    struct ring_writer w;
    struct ring_lease lease;
    uint32_t number;
    int error;
};

static uint32_t length_of(uint64_t value)
{
    return value % 5 == 0 ? 64 : (uint32_t)(value * 7919 % 60000) + 4096;
}

static void *send_all(void *userdata)
{
    struct sender *s = userdata;

    for (uint64_t i = 0; i < PAYLOADS && s->error == 0;) {
        uint64_t value = i * WRITERS + s->number;

        s->error = try_pattern(&s->w, &s->lease, value, length_of(value));
        if (s->error == 0) {
            i++;
            continue;
        }
        if (s->error == -EAGAIN)
            s->error = ring_wait_space(&s->w, &s->lease, length_of(value), 20000);
    }
    return NULL;
}

static void test_threads_share_the_spill_area(void **state)
{
    struct fixture *f = *state;
    struct sender senders[WRITERS] = {0};
    uint64_t next[WRITERS] = {0, 1, 2}, seen = 0;
    pthread_t threads[WRITERS];

    for (uint32_t i = 0; i < WRITERS; i++) {
        senders[i].number = i;
        senders[i].lease = writer_up(&senders[i].w, f->arena, i == 2 ? "bob" : "ann");
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    while (seen < WRITERS * PAYLOADS) {
        for (uint32_t i = 0; i < WRITERS; i += 2) {
            uint32_t ring = senders[i].lease.ring;
            struct ring_record record;
            uint64_t value;

            while (ring_reader_next(&record, f->reader, ring) == 1) {
                memcpy(&value, record.payload, sizeof value);
                assert_int_equal(value, next[value % WRITERS]);
                next[value % WRITERS] += WRITERS;
                assert_int_equal(record.payload_length, length_of(value));
                check_pattern(&record, value);
                seen++;
            }
            release_all(f, ring);
        }
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(senders[i].error, 0);
        ring_writer_deinit(&senders[i].w);
    }
    assert_int_equal(places_in_use(f), 0);
}

#define SPILLING(test) cmocka_unit_test_setup_teardown(test, spill_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPILLING(test_long_payloads_arrive_in_their_order_and_are_given_back),
        SPILLING(test_abandoned_payload_is_given_back_at_once),
        SPILLING(test_next_reader_hands_out_what_was_not_released),
        SPILLING(test_reference_that_cannot_be_quarantines_the_ring),
        SPILLING(test_one_user_cannot_take_the_spill_area),
        cmocka_unit_test_setup_teardown(
            test_payload_over_the_share_alone_is_refused, little_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_rings_grow_only_within_a_share, little_growing_up, fixture_down),
        SPILLING(test_payloads_of_the_dead_are_given_back_or_delivered),
        SPILLING(test_reader_dead_while_giving_back_is_made_good),
        SPILLING(test_threads_share_the_spill_area),
    };

    return cmocka_run_group_tests_name("ring spill", tests, NULL, NULL);
}
