/* SPDX-License-Identifier: Apache-2.0 */
/* The view from outside: of live arenas and of copies of dead ones. */
#include "inspect-test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring/inspect.h"
#include "ring/mapping.h"

static void test_a_live_ring_is_shown_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct inspect *view = look(f->directory);
    struct inspect_ring seen;
    struct claims claims;

    for (uint64_t v = 0; v < 3; v++)
        emit_value(&w, &lease, v, 40);
    seen = look_at(view, lease.ring, &claims);
    assert_string_equal(seen.user_id, "ann");
    assert_int_equal(seen.user_tag, lease.user_tag);
    assert_int_equal(seen.generation, lease.generation);
    assert_int_equal(seen.state, INSPECT_OPEN);
    assert_null(seen.note);
    assert_false(seen.moving);
    assert_true(seen.marked);
    assert_int_equal(seen.capacity_bytes, FIXTURE_RING_BYTES);
    assert_int_equal(seen.held_bytes, 3 * 64);
    assert_int_equal(seen.tail, 6);
    assert_int_equal(seen.committed, 3);
    assert_int_equal(seen.in_flight, 0);
    drain_value(f, lease.ring, 0);
    drain_value(f, lease.ring, 1);
    release_all(f, lease.ring);
    assert_int_equal(ring_reader_set_durable(f->reader, lease.ring, 2), 0);
    seen = look_at(view, lease.ring, NULL);
    assert_int_equal(seen.consumed, 4);
    assert_int_equal(seen.freed, 4);
    assert_int_equal(seen.durable, 2);
    assert_int_equal(seen.held_bytes, 64);
    assert_int_equal(seen.committed, 1);
    inspect_free(view);
    ring_writer_deinit(&w);
}

static void test_a_claim_in_flight_has_its_owner(void **state)
{
    struct fixture *f = *state;
    struct ring_writer slow, fast;
    struct ring_lease lease = writer_up(&slow, f->arena, "ann");
    struct inspect *view = look(f->directory);
    struct inspect_ring seen;
    struct ring_claim claim;
    struct claims claims;

    writer_up(&fast, f->arena, "ann");
    emit_value(&fast, &lease, 1, 8);
    assert_int_equal(ring_reserve(&claim, &slow, &lease, 100), 0);
    seen = look_at(view, lease.ring, &claims);
    assert_int_equal(seen.committed, 1);
    assert_int_equal(claims.count, 1);
    assert_false(claims.last.headed);
    assert_int_equal(claims.last.begin, 1);
    assert_int_equal(claims.last.bytes, 128);
    assert_int_equal(claims.last.owner.owner, ring_writer_owner(&slow));
    assert_int_equal(claims.last.owner.process, arena_process_index(f->arena));
    assert_int_equal(claims.last.owner.pid, getpid());
    assert_int_equal(claims.last.owner.life, INSPECT_LIVE);
    assert_int_equal(claims.last.owner.current_ring, lease.ring);
    /* The next writer gives it its header. */
    emit_value(&fast, &lease, 2, 8);
    seen = look_at(view, lease.ring, &claims);
    assert_int_equal(seen.committed, 2);
    assert_int_equal(claims.count, 1);
    assert_true(claims.last.headed);
    assert_int_equal(claims.last.owner.owner, ring_writer_owner(&slow));
    ring_abandon(&slow, &claim);
    seen = look_at(view, lease.ring, &claims);
    assert_int_equal(seen.in_flight, 0);
    assert_int_equal(seen.skipped, 1);
    inspect_free(view);
    ring_writer_deinit(&fast);
    ring_writer_deinit(&slow);
}

static void test_processes_and_slots(void **state)
{
    struct fixture *f = *state;
    struct inspect_process process;
    struct inspect_arena seen;
    struct inspect_slot slot;
    struct inspect *view;
    struct arena *other;
    struct ring_writer w;
    int processes = 0;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    writer_up(&w, other, "ann");
    view = look(f->directory);
    inspect_arena(&seen, view);
    assert_int_equal(seen.arena_id, arena_id(f->arena));
    assert_int_equal(seen.owner, INSPECT_LIVE);
    assert_int_equal(seen.user_count, FIXTURE_RINGS);
    assert_int_equal(seen.class_bytes[0], FIXTURE_RING_BYTES);
    for (uint32_t i = 0; i < seen.process_count; i++)
        processes += inspect_process(&process, view, i);
    assert_int_equal(processes, 2);
    assert_int_equal(inspect_process(&process, view, arena_process_index(other)), 1);
    assert_int_equal(process.pid, getpid());
    assert_int_equal(process.life, INSPECT_LIVE);
    assert_int_equal(process.slots, 1);
    assert_int_equal(inspect_process(&process, view, seen.process_count), 0);
    assert_int_equal(inspect_slot(&slot, view, ring_writer_owner(&w)), 1);
    assert_int_equal(slot.process, arena_process_index(other));
    assert_int_equal(slot.current_ring, -1);
    assert_int_equal(inspect_slot(&slot, view, 0), 0);
    assert_int_equal(inspect_slot(&slot, view, seen.slot_count + 1), 0);
    ring_writer_deinit(&w);
    assert_int_equal(inspect_slot(&slot, view, 1), 0);
    arena_detach(other);
    assert_int_equal(inspect_process(&process, view, 1), 0);
    inspect_free(view);
}

static uint64_t counter(const struct inspect *view, const char *name)
{
    struct inspect_counter counters[INSPECT_COUNTERS];

    inspect_counters(counters, view);
    for (size_t i = 0; i < INSPECT_COUNTERS; i++)
        if (strcmp(counters[i].name, name) == 0)
            return counters[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

static void ignore_ring(void *userdata, uint32_t ring)
{
    (void)userdata;
    (void)ring;
}

static void test_the_doorbell(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct inspect *view = look(f->directory);

    doorbell_take(f->arena, ignore_ring, NULL);
    process_take_news(f->arena);
    assert_int_equal(counter(view, "marked_rings"), 0);
    assert_int_equal(counter(view, "sleeping"), 0);
    assert_false(doorbell_prepare_sleep(f->arena));
    assert_int_equal(counter(view, "sleeping"), 1);
    emit_value(&w, &lease, 1, 8);
    assert_int_equal(counter(view, "sleeping"), 0);
    assert_int_equal(counter(view, "marked_rings"), 1);
    assert_int_equal(counter(view, "marked_words"), 1);
    inspect_free(view);
    ring_writer_deinit(&w);
}

static void *read_tables(const struct fixture *f, size_t *ret_length)
{
    char path[128];
    void *bytes;
    int fd;

    *ret_length = f->arena->geometry.initial_bytes;
    snprintf(path, sizeof path, "%s/arena", f->directory);
    fd = open(path, O_RDONLY);
    bytes = malloc(*ret_length);
    assert_true(fd >= 0 && bytes);
    assert_int_equal(read(fd, bytes, *ret_length), *ret_length);
    close(fd);
    return bytes;
}

static void test_looking_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct inspect_process process;
    struct inspect_ring ring;
    struct inspect_slot slot;
    struct inspect *view;
    struct stat before, after;
    size_t length;
    void *was, *is;

    emit_value(&w, &lease, 1, 1000);
    was = read_tables(f, &length);
    assert_int_equal(fstat(f->arena->fd, &before), 0);
    view = look(f->directory);
    for (uint32_t i = 0; i <= arena_ring_count(f->arena); i++)
        inspect_ring(&ring, view, i, NULL, NULL);
    for (uint32_t i = 0; i <= 16; i++)
        inspect_process(&process, view, i);
    for (uint32_t i = 0; i <= 33; i++)
        inspect_slot(&slot, view, i);
    inspect_free(view);
    is = read_tables(f, &length);
    assert_memory_equal(was, is, length);
    assert_int_equal(fstat(f->arena->fd, &after), 0);
    assert_int_equal(before.st_blocks, after.st_blocks);
    free(was);
    free(is);
    ring_writer_deinit(&w);
}

static void test_an_outgrown_ring_and_its_successor(void **state)
{
    struct fixture *f = *state;
    struct inspect_ring first, second;
    struct ring_lease lease;
    struct inspect *view;
    struct ring_writer w;
    uint32_t ring;

    lease = writer_up(&w, f->arena, "ann");
    for (uint64_t v = 0; v < 40; v++)
        assert_int_equal(try_value_for(&w, "ann", v, 1000), 0);
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    assert_int_not_equal(ring, lease.ring);
    view = look(f->directory);
    first = look_at(view, lease.ring, NULL);
    second = look_at(view, ring, NULL);
    assert_int_equal(first.state, INSPECT_GROWN);
    assert_int_equal(first.class_number, 0);
    assert_int_equal(second.state, INSPECT_OPEN);
    assert_int_equal(second.class_number, 1);
    assert_int_equal(second.capacity_bytes, 4 * FIXTURE_RING_BYTES);
    assert_int_equal(first.committed + second.committed, 40);
    assert_string_equal(second.user_id, "ann");
    assert_null(first.note);
    assert_null(second.note);
    /* The one after it is not in use. */
    assert_int_equal(inspect_ring(&second, view, ring + arena_user_count(f->arena), NULL, NULL), 0);
    inspect_free(view);
    ring_writer_deinit(&w);
}

static void test_payloads_beside_the_ring(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease ann, bob;
    struct inspect_arena arena;
    struct inspect *view;

    fixture_disown(f);
    fixture_remove(f);
    f->spill_bytes = 65536;
    fixture_own(f);
    ann = writer_up(&w, f->arena, "ann");
    assert_int_equal(ring_lease_for_user(&bob, &w, "bob", 3), 0);
    emit_value(&w, &ann, 1, 20000);
    emit_value(&w, &bob, 2, 8);
    view = look(f->directory);
    inspect_arena(&arena, view);
    assert_int_equal(arena.spilled, 1);
    assert_int_equal(arena.spilled_bytes, 20480);
    assert_in_range(arena.spill_count, 1, 1024);
    assert_int_equal(look_at(view, ann.ring, NULL).spilled_bytes, 20480);
    assert_int_equal(look_at(view, ann.ring, NULL).committed, 1);
    assert_int_equal(look_at(view, bob.ring, NULL).spilled_bytes, 0);
    drain_value(f, ann.ring, 1);
    release_all(f, ann.ring);
    inspect_arena(&arena, view);
    assert_int_equal(arena.spilled, 0);
    assert_int_equal(look_at(view, ann.ring, NULL).spilled_bytes, 0);
    inspect_free(view);
    ring_writer_deinit(&w);
}

/* ---- the dead and their copies */

static void test_a_copy_of_a_dead_arena(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    struct inspect_process process;
    struct inspect_arena arena;
    struct inspect_ring seen;
    struct ring_claim claim;
    struct inspect *view;
    struct claims claims;
    char copy[128], lock[128];

    emit_value(&w, &lease, 1, 8);
    assert_int_equal(ring_reserve(&claim, &w, &lease, 8), 0);
    snprintf(copy, sizeof copy, "%s/arena", f->parent);
    snprintf(lock, sizeof lock, "%s/lock", f->parent);
    copy_file(f, "arena", copy);
    /* The file alone: nobody knows who lived. */
    view = look(copy);
    inspect_arena(&arena, view);
    assert_int_equal(arena.owner, INSPECT_UNKNOWN);
    seen = look_at(view, lease.ring, &claims);
    assert_int_equal(seen.committed, 1);
    assert_int_equal(claims.count, 1);
    assert_int_equal(claims.last.owner.pid, getpid());
    assert_int_equal(claims.last.owner.life, INSPECT_UNKNOWN);
    inspect_free(view);
    /* With its locks, by directory and by file: in the copy nobody lives. */
    copy_file(f, "lock", lock);
    for (int i = 0; i < 2; i++) {
        view = look(i ? copy : f->parent);
        inspect_arena(&arena, view);
        assert_int_equal(arena.owner, INSPECT_DEAD);
        assert_int_equal(inspect_process(&process, view, 0), 1);
        assert_int_equal(process.life, INSPECT_DEAD);
        assert_int_equal(look_at(view, lease.ring, NULL).in_flight, 1);
        inspect_free(view);
    }
    assert_int_equal(unlink(copy), 0);
    assert_int_equal(unlink(lock), 0);
    ring_abandon(&w, &claim);
    ring_writer_deinit(&w);
}

static void test_the_owner_is_gone(void **state)
{
    struct fixture *f = *state;
    struct inspect_arena seen;
    struct ring_lease lease;
    struct inspect *view;
    struct arena *other;
    struct ring_writer w;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    lease = writer_up(&w, other, "ann");
    fixture_disown(f);
    emit_value(&w, &lease, 1, 8);
    view = look(f->directory);
    inspect_arena(&seen, view);
    assert_int_equal(seen.owner, INSPECT_DEAD);
    assert_int_equal(look_at(view, lease.ring, NULL).committed, 1);
    /* The view keeps nobody from taking over. */
    fixture_own(f);
    inspect_arena(&seen, view);
    assert_int_equal(seen.owner, INSPECT_LIVE);
    inspect_free(view);
    ring_writer_deinit(&w);
    arena_detach(other);
}

/* ---- in the middle of it */

struct busy {
    struct arena *arena;
    _Atomic bool stop;
};

static void *write_on(void *argument)
{
    struct busy *busy = argument;
    struct ring_writer w;
    uint64_t value = 0;

    if (ring_writer_init(&w, busy->arena) < 0)
        return NULL;
    while (!atomic_load(&busy->stop))
        value += try_value_for(&w, "ann", value, 8 + value % 900) == 0;
    ring_writer_deinit(&w);
    return NULL;
}

static void drain_ring(void *userdata, uint32_t ring)
{
    struct fixture *f = userdata;
    struct ring_record record;

    while (ring_reader_next(&record, f->reader, ring) > 0)
        ;
    release_all(f, ring);
}

static void *look_on(void *argument)
{
    struct busy *busy = argument;
    struct inspect *view = look(arena_directory(busy->arena));
    struct inspect_ring seen;
    uintptr_t wrong = 0;

    /* Until the largest ring has gone round a dozen times. */
    for (uint64_t tail = 0; tail < 100000;) {
        for (uint32_t ring = 0; ring < arena_ring_count(busy->arena); ring++) {
            if (inspect_ring(&seen, view, ring, NULL, NULL) == 0)
                continue;
            wrong += seen.state == INSPECT_DAMAGED || seen.held_bytes > seen.capacity_bytes;
            tail = seen.tail;
        }
    }
    inspect_free(view);
    atomic_store(&busy->stop, true);
    return (void *)wrong;
}

static void test_a_busy_ring_never_looks_damaged(void **state)
{
    struct fixture *f = *state;
    struct busy busy = {.arena = f->arena};
    pthread_t writers[2], viewer;
    void *wrong;

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_on, &busy), 0);
    assert_int_equal(pthread_create(&viewer, NULL, look_on, &busy), 0);
    while (!atomic_load(&busy.stop))
        doorbell_take(f->arena, drain_ring, f);
    assert_int_equal(pthread_join(viewer, &wrong), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(writers[i], NULL), 0);
    assert_int_equal((uintptr_t)wrong, 0);
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)
#define GROWING_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_up_growing, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(test_a_live_ring_is_shown_as_it_is),
        RING_TEST(test_a_claim_in_flight_has_its_owner),
        RING_TEST(test_processes_and_slots),
        RING_TEST(test_the_doorbell),
        GROWING_TEST(test_looking_changes_nothing),
        GROWING_TEST(test_an_outgrown_ring_and_its_successor),
        RING_TEST(test_payloads_beside_the_ring),
        RING_TEST(test_a_copy_of_a_dead_arena),
        RING_TEST(test_the_owner_is_gone),
        GROWING_TEST(test_a_busy_ring_never_looks_damaged),
    };

    return cmocka_run_group_tests_name("ring-inspect", tests, NULL, NULL);
}
