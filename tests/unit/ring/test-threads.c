/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define WRITERS 4
#define USERS 2
#define RECORDS 20000u

struct load {
    uint64_t seq;
    uint32_t writer;
    uint32_t length;
};

struct thread_writer {
    struct ring_writer w;
    struct ring_lease leases[USERS];
    uint32_t number;
    int error;
};

static uint32_t length_of(uint32_t writer, uint64_t seq)
{
    return (uint32_t)sizeof(struct load) + (uint32_t)(seq * 37 + writer * 11) % 400;
}

static int write_one(struct thread_writer *t, uint64_t seq)
{
    const struct ring_lease *lease = &t->leases[seq % USERS];
    uint32_t length = length_of(t->number, seq);
    struct load load = {seq, t->number, length};
    struct ring_claim claim;
    int r;

    while ((r = ring_reserve(&claim, &t->w, lease, length)) == -EAGAIN) {
        r = ring_wait_space(&t->w, lease, length, 30000);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    memset(claim.payload, (int)(seq & 0xff), length);
    memcpy(claim.payload, &load, sizeof load);
    if (seq % 97 == 96) { /* nobody's event */
        ring_abandon(&t->w, &claim);
        return 0;
    }
    return ring_commit(&t->w, &claim);
}

static void *write_all(void *userdata)
{
    struct thread_writer *t = userdata;

    for (uint64_t seq = 0; seq < RECORDS && !t->error; seq++)
        t->error = write_one(t, seq);
    return NULL;
}

struct tally {
    struct fixture *f;
    uint64_t next[WRITERS][USERS];
    uint64_t count[WRITERS];
};

static void count_record(struct tally *tally, const struct ring_record *record)
{
    const uint8_t *bytes = record->payload;
    struct load load;

    memcpy(&load, bytes, sizeof load);
    assert_true(load.writer < WRITERS);
    assert_int_equal(load.length, record->payload_length);
    assert_int_equal(load.length, length_of(load.writer, load.seq));
    for (uint32_t i = sizeof load; i < load.length; i++)
        assert_int_equal(bytes[i], load.seq & 0xff);
    assert_true(load.seq >= tally->next[load.writer][load.seq % USERS]);
    tally->next[load.writer][load.seq % USERS] = load.seq + 1;
    tally->count[load.writer]++;
}

static void tally_ring(void *userdata, uint32_t ring)
{
    struct tally *tally = userdata;
    struct ring_record record;
    int budget = 50, r = 0;

    while (budget-- > 0 && (r = ring_reader_next(&record, tally->f->reader, ring)) > 0)
        count_record(tally, &record);
    assert_true(r >= 0);
    release_all(tally->f, ring);
    if (r > 0)
        doorbell_mark(tally->f->arena, ring);
}

static void test_four_writers_lose_nothing_and_keep_their_order(void **state)
{
    struct fixture *f = *state;
    struct thread_writer writers[WRITERS] = {0};
    struct tally tally = {.f = f};
    uint64_t expected = RECORDS - RECORDS / 97, seen = 0;
    pthread_t threads[WRITERS];

    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        writers[i].leases[0] = writer_up(&writers[i].w, f->arena, "ann");
        assert_int_equal(ring_lease_for_user(&writers[i].leases[1], &writers[i].w, "bob", 3), 0);
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    while (seen < WRITERS * expected) {
        doorbell_take(f->arena, tally_ring, &tally);
        seen = 0;
        for (uint32_t i = 0; i < WRITERS; i++)
            seen += tally.count[i];
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(writers[i].error, 0);
        assert_int_equal(tally.count[i], expected);
        ring_writer_deinit(&writers[i].w);
    }
    for (uint32_t i = 0; i < USERS; i++) {
        assert_int_equal(ring_reader_held_bytes(f->reader, writers[0].leases[i].ring), 0);
        drain_nothing(f, writers[0].leases[i].ring);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_four_writers_lose_nothing_and_keep_their_order, fixture_up, fixture_down),
    };

    return cmocka_run_group_tests_name("ring threads", tests, NULL, NULL);
}
