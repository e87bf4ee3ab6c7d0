/* SPDX-License-Identifier: Apache-2.0 */
/* Idle and damaged rings are taken back, and their places used by others, with nothing lost. */
#include "ring-test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ring/directory-internal.h"
#include "ring/word.h"
#include "stepping.h"

#define IDLE 100u

static uint64_t file_bytes(const struct fixture *f)
{
    struct stat st;

    assert_int_equal(fstat(f->arena->fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* Two looks, IDLE apart: what had nothing to do in between is taken back. */
static size_t reclaim_idle(struct fixture *f)
{
    static uint64_t now = 1000;
    size_t count = ring_reader_reclaim(f->reader, now, IDLE);

    now += IDLE;
    return count + ring_reader_reclaim(f->reader, now, IDLE);
}

/* What is taken back before its window comes, and in it. */
static void reclaim_by_windows(struct fixture *f, uint32_t ring, uint64_t now)
{
    for (uint32_t window = 0; window < FIXTURE_RINGS / 16; window++) {
        ring_reader_move_window(f->reader, 16);
        assert_int_equal(ring_reader_reclaim(f->reader, now, IDLE), ring / 16 == window);
    }
}

/* One record through the user's ring. */
static struct ring_lease pass_one(struct fixture *f, struct ring_writer *w, const char *user)
{
    struct ring_lease lease;

    assert_int_equal(ring_lease_for_user(&lease, w, user, strlen(user)), 0);
    emit_value(w, &lease, 7, 100);
    drain_value(f, lease.ring, 7);
    release_all(f, lease.ring);
    return lease;
}

static void test_idle_ring_is_taken_back_in_its_window(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease ann = writer_up(&w, f->arena, "ann");

    pass_one(f, &w, "ann");
    assert_int_equal(ring_reader_reclaim(f->reader, 10, IDLE), 0);
    reclaim_by_windows(f, ann.ring, 10 + IDLE);
    ring_writer_deinit(&w);
}

static void test_idle_ring_is_taken_back_and_another_user_gets_it(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    uint64_t empty = file_bytes(f);
    struct ring_lease ann = writer_up(&w, f->arena, "ann"), next;
    struct ring_record record;
    char user[16];

    pass_one(f, &w, "ann");
    assert_int_equal(ring_reader_reclaim(f->reader, 10, IDLE), 0);
    assert_int_equal(ring_reader_reclaim(f->reader, 10 + IDLE - 1, IDLE), 0);
    assert_int_equal(ring_reader_reclaim(f->reader, 10 + IDLE, IDLE), 1);
    assert_int_equal(file_bytes(f), empty);
    assert_int_equal(directory_find(&next.ring, f->arena, "ann", 3), -ENOENT);
    assert_int_equal(try_value(&w, &ann, 1, 8), -ESTALE);
    assert_int_equal(ring_lease_renew(&ann, &w), -ESTALE);
    /* One after the other has the place, until all of them have had all. */
    for (uint32_t i = 0; i < FIXTURE_RINGS; i++) {
        int n = snprintf(user, sizeof user, "user-%u", i);

        assert_int_equal(ring_lease_for_user(&next, &w, user, (size_t)n), 0);
        emit_value(&w, &next, i, 8);
        record = drain_value(f, next.ring, i);
        assert_int_equal(ring_wait_position(f->arena, ann.ring, 4, RING_SEQUENCED, 0), 0);
        if (next.ring != ann.ring)
            continue;
        assert_int_equal(next.generation, ann.generation + 1);
        assert_int_equal(record.generation, next.generation);
        assert_int_equal(record.begin, FIXTURE_CAPACITY); /* positions are never used twice */
    }
    assert_int_equal(try_value(&w, &ann, 1, 8), -ESTALE);
    ring_writer_deinit(&w);
}

static void test_ring_with_something_to_do_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");

    emit_value(&w, &lease, 1, 8);
    assert_int_equal(reclaim_idle(f), 0); /* not drained */
    drain_value(f, lease.ring, 1);
    assert_int_equal(reclaim_idle(f), 0); /* not released */
    release_all(f, lease.ring);
    assert_int_equal(ring_reader_reclaim(f->reader, 5000, 0), 0);
    assert_int_equal(ring_reader_reclaim(f->reader, 500000, 0), 0); /* never, as told */
    assert_int_equal(reclaim_idle(f), 1);
    ring_writer_deinit(&w);
}

static void test_ring_a_writer_stands_in_waits_for_it(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w, other;

    writer_up(&w, f->arena, "bob");
    struct ring_lease lease = writer_up(&other, f->arena, "ann");
    pass_one(f, &other, "ann");
    atomic_store(&w.slot->current_ring, lease.ring + 1);
    assert_int_equal(reclaim_idle(f), 1); /* bob's */
    /* Retired, and nobody's yet; the user goes on at another place. */
    assert_int_equal(directory_state(f->arena, lease.ring), ENTRY_RETIRING);
    assert_int_not_equal(pass_one(f, &other, "ann").ring, lease.ring);
    assert_int_equal(ring_reader_reclaim(f->reader, 1, 0), 0);
    atomic_store(&w.slot->current_ring, 0);
    assert_int_equal(ring_reader_reclaim(f->reader, 1, 0), 1);
    assert_int_equal(directory_state(f->arena, lease.ring), ENTRY_FREE);
    ring_writer_deinit(&w);
    ring_writer_deinit(&other);
}

static struct ring_writer *late_writer;
static struct ring_lease late_lease;

static void emit_late(void)
{
    emit_value(late_writer, &late_lease, 8, 8);
}

static void test_claim_that_comes_first_keeps_the_ring(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;

    late_lease = writer_up(&w, f->arena, "ann");
    late_writer = &w;
    pass_one(f, &w, "ann");
    step_at("idle_seen", 1, emit_late);
    assert_int_equal(reclaim_idle(f), 0);
    drain_value(f, late_lease.ring, 8);
    ring_writer_deinit(&w);
}

/* Grown to the largest class, drained, and partly written round. */
static void grow(struct fixture *f, struct ring_writer *w, const char *user)
{
    uint32_t ring;

    while (try_value_for(w, user, 7, 900) == 0)
        ;
    assert_int_equal(directory_find(&ring, f->arena, user, strlen(user)), 0);
    for (ring %= FIXTURE_RINGS; ring < arena_ring_count(f->arena); ring += FIXTURE_RINGS) {
        struct ring_record record;

        while (ring_reader_next(&record, f->reader, ring) == 1)
            ;
        release_all(f, ring);
    }
}

static void test_grown_ring_is_small_again_and_fresh(void **state)
{
    struct fixture *f = *state;
    uint64_t empty = file_bytes(f);
    struct ring_writer w;

    for (int round = 0; round < 3; round++) {
        writer_up(&w, f->arena, "ann");
        grow(f, &w, "ann");
        assert_int_equal(reclaim_idle(f), 1);
        assert_true(file_bytes(f) <= empty + 3 * 4096); /* pages of headers stay */
        struct ring_lease lease = pass_one(f, &w, "ann");
        assert_true(lease.ring < FIXTURE_RINGS);
        assert_int_equal(lease.generation, 2 + 2 * round);
        assert_int_equal(reclaim_idle(f), 1);
        ring_writer_deinit(&w);
    }
}

static jmp_buf died;

static void die(void)
{
    longjmp(died, 1);
}

/* The owner dies at a step of taking ann's grown ring back; ann goes on without it. */
static void owner_dies(struct fixture *f, const char *step, uint32_t pass)
{
    struct ring_writer w, later;
    struct ring_lease lease;
    struct arena *other;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    writer_up(&w, other, "ann");
    grow(f, &w, "ann");
    assert_int_equal(ring_lease_for_user(&lease, &w, "ann", 3), 0);
    step_at(step, pass, die);
    if (setjmp(died) == 0) {
        reclaim_idle(f);
        fail_msg("%s was not reached %u times", step, pass);
    }
    fixture_disown(f);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(try_value_for(&w, "ann", i, 900), 0);
    ring_writer_deinit(&w);
    fixture_own(f);
    assert_int_equal(ring_writer_init(&later, other), 0);
    reclaim_idle(f);
    assert_int_equal(directory_find(&lease.ring, f->arena, "ann", 3), 0);
    for (uint64_t i = 0; i < 40; i++) {
        uint32_t first = lease.ring % FIXTURE_RINGS;
        struct ring_record record;

        for (uint32_t ring = first;; ring += FIXTURE_RINGS) {
            assert_true(ring < arena_ring_count(f->arena));
            if (ring_reader_next(&record, f->reader, ring) == 1)
                break;
        }
        assert_memory_equal(record.payload, &i, sizeof i);
        release_all(f, record.ring);
    }
    reclaim_idle(f);
    for (uint32_t i = 0; i < FIXTURE_RINGS; i++)
        assert_int_equal(directory_state(f->arena, i), ENTRY_FREE);
    /* All places are fresh: each can be filled and drained through all classes. */
    for (uint32_t i = 0; i < FIXTURE_RINGS; i++) {
        char user[16];

        snprintf(user, sizeof user, "user-%u", i);
        assert_int_equal(try_value_for(&later, user, 1, arena_payload_max(f->arena)), 0);
        grow(f, &later, user);
    }
    for (uint32_t r = 0; r < arena_ring_count(f->arena); r++)
        assert_null(ring_reader_damage(f->reader, r));
    ring_writer_deinit(&later);
    arena_detach(other);
    reap_dead(f->arena, NULL, NULL);
}

static void test_owner_may_die_at_any_step_of_taking_back(void **state)
{
    static const struct {
        const char *step;
        uint32_t pass;
    } deaths[] = {{"idle_seen", 1}, {"ring_retired", 1}, {"entry_retiring", 1},
        {"entry_unlinked", 1}, {"ring_punched", 1}, {"ring_punched", 2}, {"ring_punched", 3},
        {"ring_refreshed", 1}, {"ring_refreshed", 2}, {"ring_refreshed", 3},
        {"rings_refreshed", 1}};

    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        struct fixture *f = *state;

        owner_dies(f, deaths[i].step, deaths[i].pass);
        fixture_disown(f);
        fixture_remove(f);
        fixture_own(f);
    }
}

enum damage { DAMAGE_TAIL, DAMAGE_POSITION, DAMAGE_GROWN, DAMAGE_RECORD, DAMAGES };

static void damage(struct fixture *f, uint32_t ring, enum damage how)
{
    struct ring_header *header = arena_ring_header(f->arena, ring);

    switch (how) {
    case DAMAGE_TAIL: atomic_store(&header->tail, UINT64_MAX); break;
    case DAMAGE_POSITION: atomic_store(&header->tail, tail_pack(1u << 30, 5, 1)); break;
    case DAMAGE_GROWN: atomic_store(&header->tail, tail_close(1, CLOSED_GROWN)); break;
    case DAMAGE_RECORD:
    case DAMAGES:
        memset(arena_record(f->arena, ring, ring_reader_cursor(f->reader, ring)), 0xff, 1000);
    }
}

static void test_damaged_ring_comes_back(void **state)
{
    struct fixture *f = *state;

    for (int round = 0; round < 2 * DAMAGES; round++) {
        struct ring_writer w;
        struct ring_lease lease = writer_up(&w, f->arena, "ann"), next;
        struct ring_record record;
        bool restart = round % 2;

        emit_value(&w, &lease, 1, 100);
        emit_value(&w, &lease, 2, 100);
        drain_value(f, lease.ring, 1);
        damage(f, lease.ring, (enum damage)(round / 2));
        while (ring_reader_next(&record, f->reader, lease.ring) == 1)
            ;
        assert_int_equal(ring_reader_next(&record, f->reader, lease.ring), -EUCLEAN);
        assert_int_equal(ring_lease_for_user(&next, &w, "ann", 3), -EUCLEAN);
        if (restart) {
            ring_writer_deinit(&w);
            fixture_disown(f);
            fixture_own(f); /* the next reader knows it from the entry */
            assert_int_equal(ring_writer_init(&w, f->arena), 0);
        }
        assert_int_equal(ring_reader_reclaim(f->reader, 1, 0), 1);
        assert_int_equal(try_value(&w, &lease, 3, 8), -ESTALE);
        for (int i = 0; i < 3; i++)
            next = pass_one(f, &w, "ann");
        assert_int_equal(next.ring, lease.ring);
        assert_int_equal(next.generation, lease.generation + 1);
        assert_null(ring_reader_damage(f->reader, next.ring));
        ring_writer_deinit(&w);
    }
}

/* Threads that emit for many more users than there are places, each a while and then no more. */
#define WRITERS 3
#define USERS_EACH 400
#define EVENTS_EACH 30

struct crowd {
    struct ring_writer w;
    uint32_t number;
    int error;
};

struct tally {
    struct fixture *f;
    uint32_t next[WRITERS][USERS_EACH];
    uint32_t seen;
};

struct load {
    uint32_t writer, user, event;
};

static int emit_load(struct ring_writer *w, const struct load *load)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)load, sizeof *load},
        {(uint8_t[1500]){0}, load->event % 7 == 6 ? 1500 : load->event * 20}};
    struct ring_lease lease;
    char user[32];
    int n = snprintf(user, sizeof user, "user-%u-%u", load->writer, load->user), r;

    for (;;) {
        r = ring_lease_for_user(&lease, w, user, (size_t)n);
        if (r == 0)
            r = ring_emit(NULL, w, &lease, iov, 2);
        if (r == -EAGAIN)
            (void)ring_wait_space(w, &lease, 1600, 100);
        if (r != -EAGAIN && r != -ESTALE && r != -ENOSPC)
            return r;
    }
}

static void *emit_for_many(void *userdata)
{
    struct crowd *c = userdata;

    for (uint32_t user = 0; user < USERS_EACH && !c->error; user++)
        for (uint32_t event = 0; event < EVENTS_EACH && !c->error; event++)
            c->error = emit_load(&c->w, &(struct load){c->number, user, event});
    return NULL;
}

static void tally_ring(void *userdata, uint32_t ring)
{
    struct tally *t = userdata;
    struct ring_record record;
    struct load load;
    int r;

    while ((r = ring_reader_next(&record, t->f->reader, ring)) == 1) {
        memcpy(&load, record.payload, sizeof load);
        assert_true(load.writer < WRITERS && load.user < USERS_EACH);
        assert_int_equal(load.event, t->next[load.writer][load.user]++);
        t->seen++;
    }
    assert_int_equal(r, 0);
    release_all(t->f, ring);
}

static void test_more_users_than_places_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct crowd crowd[WRITERS] = {0};
    static struct tally tally;
    struct ring_reader_stats stats;
    pthread_t threads[WRITERS];
    uint64_t now = 1;

    tally = (struct tally){.f = f};
    for (uint32_t i = 0; i < WRITERS; i++) {
        crowd[i].number = i;
        assert_int_equal(ring_writer_init(&crowd[i].w, f->arena), 0);
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, emit_for_many, &crowd[i]), 0);
    while (tally.seen < WRITERS * USERS_EACH * EVENTS_EACH) {
        doorbell_take(f->arena, tally_ring, &tally);
        ring_reader_reclaim(f->reader, now++, 3);
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(crowd[i].error, 0);
        ring_writer_deinit(&crowd[i].w);
    }
    ring_reader_stats(&stats, f->reader);
    assert_int_equal(stats.quarantined, 0);
    assert_int_equal(stats.misaddressed, 0);
    assert_true(stats.reclaimed >= WRITERS * USERS_EACH - FIXTURE_RINGS);
}

#define GROWING(test) cmocka_unit_test_setup_teardown(test, fixture_up_growing, fixture_down)
#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_idle_ring_is_taken_back_in_its_window),
        WITH_ARENA(test_idle_ring_is_taken_back_and_another_user_gets_it),
        WITH_ARENA(test_ring_with_something_to_do_is_left_alone),
        WITH_ARENA(test_ring_a_writer_stands_in_waits_for_it),
        WITH_ARENA(test_claim_that_comes_first_keeps_the_ring),
        GROWING(test_grown_ring_is_small_again_and_fresh),
        GROWING(test_owner_may_die_at_any_step_of_taking_back),
        GROWING(test_damaged_ring_comes_back),
        GROWING(test_more_users_than_places_come_and_go),
    };

    return cmocka_run_group_tests_name("ring reclaim", tests, NULL, NULL);
}
