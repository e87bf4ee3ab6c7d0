/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Living processes that the owner gives up. The one given up is played by a second mapping, which
 * for the kernel is a process of its own.
 */
#include "ring-test.h"

#include <errno.h>
#include <unistd.h>

struct stranger {
    struct arena *arena;
    struct ring_writer writer;
    struct ring_lease lease; /* ann's */
    uint32_t index;
    uint32_t incarnation;
};

static struct process_info info_of(struct fixture *f, uint32_t index)
{
    struct process_info info;
    uint32_t cursor = index;

    assert_int_equal(process_next(&info, f->arena, &cursor), 1);
    assert_int_equal(info.index, index);
    return info;
}

static void stranger_up(struct stranger *s, struct fixture *f)
{
    assert_int_equal(arena_attach(&s->arena, f->directory), 0);
    s->lease = writer_up(&s->writer, s->arena, "ann");
    s->index = arena_process_index(s->arena);
    s->incarnation = info_of(f, s->index).incarnation;
}

static void stranger_down(struct stranger *s)
{
    ring_writer_deinit(&s->writer);
    arena_detach(s->arena);
}

static void fence(struct fixture *f, const struct stranger *s)
{
    assert_int_equal(process_fence(f->arena, s->index, s->incarnation), 0);
}

static void test_whoever_was_given_up_is_told_and_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct stranger s;
    struct ring_writer another;
    struct ring_lease lease;

    stranger_up(&s, f);
    assert_false(process_is_fenced(s.arena));
    emit_value(&s.writer, &s.lease, 1, 8);
    fence(f, &s);
    assert_true(process_is_fenced(s.arena));
    assert_true(info_of(f, s.index).fenced);
    assert_true(info_of(f, s.index).live);
    assert_int_equal(try_value(&s.writer, &s.lease, 2, 8), -EOWNERDEAD);
    assert_int_equal(ring_lease_for_user(&lease, &s.writer, "bob", 3), -EOWNERDEAD);
    assert_int_equal(ring_writer_init(&another, s.arena), -EOWNERDEAD);
    drain_value(f, s.lease.ring, 1); /* what was there before */
    drain_nothing(f, s.lease.ring);
    stranger_down(&s);
}

static void test_claim_that_was_open_is_kept_and_comes_to_nothing(void **state)
{
    struct fixture *f = *state;
    struct stranger s;
    struct ring_claim claim;
    uint64_t tail;

    stranger_up(&s, f);
    assert_int_equal(ring_reserve(&claim, &s.writer, &s.lease, 8), 0);
    fence(f, &s);
    tail = ring_reader_tail(f->reader, s.lease.ring);
    assert_true(claim.end <= tail);
    drain_nothing(f, s.lease.ring); /* nobody takes it from the living */
    *(uint64_t *)claim.payload = 7;
    assert_int_equal(ring_commit(&s.writer, &claim), -EOWNERDEAD);
    drain_nothing(f, s.lease.ring);
    assert_int_equal(ring_reader_tail(f->reader, s.lease.ring), tail);
    assert_int_equal(ring_reader_cursor(f->reader, s.lease.ring), tail); /* nobody waits for it */
    stranger_down(&s);
}

static void test_others_go_on(void **state)
{
    struct fixture *f = *state;
    struct stranger s, other;

    stranger_up(&s, f);
    stranger_up(&other, f);
    emit_value(&s.writer, &s.lease, 1, 8);
    fence(f, &s);
    emit_value(&other.writer, &other.lease, 2, 8);
    assert_false(process_is_fenced(other.arena));
    assert_false(info_of(f, other.index).fenced);
    drain_value(f, s.lease.ring, 1);
    drain_value(f, s.lease.ring, 2);
    stranger_down(&s);
    stranger_down(&other);
}

static void test_it_begins_again_as_another_process(void **state)
{
    struct fixture *f = *state;
    struct stranger s, again;

    stranger_up(&s, f);
    fence(f, &s);
    stranger_down(&s);
    assert_false(info_of(f, s.index).live); /* left to whoever reaps it, with its owner ids */
    stranger_up(&again, f);
    assert_int_not_equal(again.index, s.index);
    assert_int_equal(process_reap(f->arena, s.index, NULL, NULL), 0);
    emit_value(&again.writer, &again.lease, 3, 8);
    drain_value(f, again.lease.ring, 3);
    stranger_down(&again);
    stranger_up(&again, f); /* the entry is anybody's now, and not fenced */
    assert_int_equal(again.index, s.index);
    assert_false(process_is_fenced(again.arena));
    stranger_down(&again);
}

static void test_fence_outlives_the_owner(void **state)
{
    struct fixture *f = *state;
    struct stranger s;

    stranger_up(&s, f);
    fence(f, &s);
    fixture_disown(f);
    assert_int_equal(try_value(&s.writer, &s.lease, 2, 8), -EOWNERDEAD);
    fixture_own(f);
    assert_true(info_of(f, s.index).fenced);
    assert_int_equal(try_value(&s.writer, &s.lease, 2, 8), -EOWNERDEAD);
    stranger_down(&s);
}

static void test_only_the_owner_gives_up_and_only_whom_it_means(void **state)
{
    struct fixture *f = *state;
    struct stranger s;

    stranger_up(&s, f);
    assert_int_equal(process_fence(s.arena, s.index, s.incarnation), -EPERM);
    assert_int_equal(process_fence(f->arena, s.index, s.incarnation + 1), -ENOENT);
    assert_int_equal(process_fence(f->arena, 9999, 1), -ENOENT);
    assert_int_equal(process_fence(f->arena, arena_process_index(f->arena), 1), -EBUSY);
    emit_value(&s.writer, &s.lease, 1, 8);
    stranger_down(&s);
    assert_int_equal(process_fence(f->arena, s.index, s.incarnation), -ENOENT);
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_whoever_was_given_up_is_told_and_writes_nothing),
        WITH_ARENA(test_claim_that_was_open_is_kept_and_comes_to_nothing),
        WITH_ARENA(test_others_go_on),
        WITH_ARENA(test_it_begins_again_as_another_process),
        WITH_ARENA(test_fence_outlives_the_owner),
        WITH_ARENA(test_only_the_owner_gives_up_and_only_whom_it_means),
    };

    return cmocka_run_group_tests_name("ring fenced", tests, NULL, NULL);
}
