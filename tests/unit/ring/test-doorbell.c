/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ring/mapping.h"

struct taken {
    uint64_t rings[4];
    size_t count;
};

static void take_one(void *userdata, uint32_t ring)
{
    struct taken *t = userdata;

    t->rings[ring / 64] |= UINT64_C(1) << (ring % 64);
    t->count++;
}

static int is_awake(struct arena *arena)
{
    struct pollfd bell = {.fd = doorbell_fd(arena), .events = POLLIN};

    return poll(&bell, 1, 0) == 1;
}

static void test_marks_are_taken_once_and_may_be_set_again(void **state)
{
    struct fixture *f = *state;
    struct taken t = {0};

    doorbell_ring(f->arena, 3);
    doorbell_ring(f->arena, 3);
    doorbell_ring(f->arena, 63);
    assert_int_equal(doorbell_take(f->arena, take_one, &t), 2);
    assert_true(t.rings[0] == (UINT64_C(1) << 3 | UINT64_C(1) << 63));
    assert_int_equal(doorbell_take(f->arena, take_one, &t), 0);
    doorbell_mark(f->arena, 3);
    assert_int_equal(doorbell_take(f->arena, take_one, &t), 1);
}

static void test_marks_of_nobodys_words_are_ignored(void **state)
{
    struct fixture *f = *state;
    struct taken t = {0};

    atomic_store(&f->arena->summary[0], UINT64_MAX);
    assert_int_equal(doorbell_take(f->arena, take_one, &t), 0);
}

static void test_reader_awake_is_not_woken(void **state)
{
    struct fixture *f = *state;

    doorbell_ring(f->arena, 1);
    assert_false(is_awake(f->arena));
}

static void test_sleeping_reader_is_woken_once(void **state)
{
    struct fixture *f = *state;
    char bytes[8];

    (void)process_take_news(f->arena);
    assert_false(doorbell_prepare_sleep(f->arena));
    doorbell_ring(f->arena, 1);
    doorbell_ring(f->arena, 2);
    assert_true(is_awake(f->arena));
    assert_int_equal(read(doorbell_fd(f->arena), bytes, sizeof bytes), 1);
    doorbell_awake(f->arena);
    assert_false(is_awake(f->arena));
}

static void test_news_before_sleeping_forbids_sleep(void **state)
{
    struct fixture *f = *state;
    struct arena *other;
    struct taken t = {0};

    (void)process_take_news(f->arena);
    doorbell_ring(f->arena, 1);
    assert_true(doorbell_prepare_sleep(f->arena));
    doorbell_take(f->arena, take_one, &t);
    assert_int_equal(arena_attach(&other, f->directory), 0);
    assert_true(doorbell_prepare_sleep(f->arena));
    assert_true(process_take_news(f->arena));
    assert_false(process_take_news(f->arena));
    assert_false(doorbell_prepare_sleep(f->arena));
    arena_detach(other);
    assert_true(is_awake(f->arena)); /* leaving is news as well */
    assert_true(process_take_news(f->arena));
}

#define PINGS 20000u

struct pinger {
    struct arena *arena;
    struct ring_writer w;
    struct ring_lease lease;
    _Atomic uint32_t *answered;
    uint32_t stuck;
};

/* Emits one event and waits until the reader is through with it: a lost wake-up stands still. */
static void *ping(void *userdata)
{
    struct pinger *p = userdata;
    uint64_t end;

    for (uint32_t i = 0; i < PINGS && !p->stuck; i++) {
        while (ring_emit(&end, &p->w, &p->lease, NULL, 0) == -EAGAIN)
            ring_wait_space(&p->w, &p->lease, 0, 20000);
        if (i % 16 == 0)
            p->stuck = ring_wait_position(p->arena, p->lease.ring, end, RING_SEQUENCED, 20000) != 0;
    }
    atomic_fetch_add(p->answered, 1);
    doorbell_wake(p->arena);
    return NULL;
}

struct pinged {
    struct fixture *f;
    uint32_t records;
};

static void answer(void *userdata, uint32_t ring)
{
    struct pinged *x = userdata;
    struct ring_record record;

    while (ring_reader_next(&record, x->f->reader, ring) > 0)
        x->records++;
    release_all(x->f, ring);
}

/* The reader sleeps without a time limit worth the name: only the bell can wake it. */
static void test_no_wake_up_is_lost_between_two_writers_and_the_reader(void **state)
{
    struct fixture *f = *state;
    struct pinger pingers[2] = {0};
    struct pinged x = {.f = f};
    _Atomic uint32_t answered = 0;
    pthread_t threads[2];

    for (size_t i = 0; i < 2; i++) {
        pingers[i].arena = f->arena;
        pingers[i].answered = &answered;
        pingers[i].lease = writer_up(&pingers[i].w, f->arena, i ? "bob" : "ann");
        assert_int_equal(pthread_create(&threads[i], NULL, ping, &pingers[i]), 0);
    }
    while (x.records < 2 * PINGS) {
        struct pollfd bell = {.fd = doorbell_fd(f->arena), .events = POLLIN};

        process_take_news(f->arena);
        doorbell_take(f->arena, answer, &x);
        if (!doorbell_prepare_sleep(f->arena) && x.records < 2 * PINGS)
            assert_int_equal(poll(&bell, 1, 20000), 1);
        doorbell_awake(f->arena);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_false(pingers[i].stuck);
        ring_writer_deinit(&pingers[i].w);
    }
}

static void test_sweep_finds_what_no_bell_announced(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct taken t = {0};

    emit_value(&w, &lease, 1, 8);
    doorbell_take(f->arena, take_one, &t); /* and forget it */
    assert_int_equal(ring_reader_sweep(f->reader), 1);
    assert_int_equal(doorbell_take(f->arena, take_one, &t), 1);
    drain_value(f, lease.ring, 1);
    assert_int_equal(ring_reader_sweep(f->reader), 0);
    ring_writer_deinit(&w);
}

#define MANY (FIXTURE_RINGS - 4)

static size_t sweep_window(struct fixture *f, uint32_t begin, uint32_t end)
{
    size_t count = ring_reader_sweep(f->reader);
    struct taken t = {0};

    assert_int_equal(doorbell_take(f->arena, take_one, &t), count);
    for (uint32_t ring = 0; ring < FIXTURE_RINGS; ring++)
        if (t.rings[0] >> ring & 1)
            assert_in_range(ring, begin, end - 1);
    return count;
}

static void test_windows_have_all_users_once_one_behind_the_other(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct taken t = {0};

    writer_up(&w, f->arena, "ann");
    for (int user = 0; user < (int)MANY; user++) {
        char name[16];

        snprintf(name, sizeof name, "user-%d", user);
        assert_int_equal(try_value_for(&w, name, 1, 8), 0);
    }
    doorbell_take(f->arena, take_one, &t);
    assert_int_equal(ring_reader_sweep(f->reader), MANY); /* as long as there is no window */
    doorbell_take(f->arena, take_one, &t);
    for (int round = 0; round < 2; round++) {
        size_t count = 0;

        for (uint32_t begin = 0; begin < FIXTURE_RINGS; begin += 40) {
            ring_reader_move_window(f->reader, 40);
            count +=
                sweep_window(f, begin, begin + 40 < FIXTURE_RINGS ? begin + 40 : FIXTURE_RINGS);
        }
        assert_int_equal(count, MANY);
    }
    ring_reader_move_window(f->reader, UINT32_MAX);
    assert_int_equal(ring_reader_sweep(f->reader), MANY);
    ring_writer_deinit(&w);
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_marks_are_taken_once_and_may_be_set_again),
        WITH_ARENA(test_marks_of_nobodys_words_are_ignored),
        WITH_ARENA(test_reader_awake_is_not_woken),
        WITH_ARENA(test_sleeping_reader_is_woken_once),
        WITH_ARENA(test_news_before_sleeping_forbids_sleep),
        WITH_ARENA(test_no_wake_up_is_lost_between_two_writers_and_the_reader),
        WITH_ARENA(test_sweep_finds_what_no_bell_announced),
        WITH_ARENA(test_windows_have_all_users_once_one_behind_the_other),
    };

    return cmocka_run_group_tests_name("ring doorbell", tests, NULL, NULL);
}
