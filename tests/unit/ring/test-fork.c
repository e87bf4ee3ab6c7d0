/* SPDX-License-Identifier: Apache-2.0 */
/* In a forked child the mapping is gone: every call says so, or does nothing, and none touches it.
 */
#include "ring-test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/spin.h"

struct child {
    struct fixture *f;
    struct ring_writer *w; /* idle */
    struct ring_writer *open;
    struct ring_lease lease;
    struct ring_claim claim; /* of `open` */
};

#define REFUSED(call) ((call) == -ECHILD ? 0 : (fprintf(stderr, "%s\n", #call), 1))
#define NOTHING(call) ((call) == 0 ? 0 : (fprintf(stderr, "%s\n", #call), 1))

static int write_calls(const struct child *c)
{
    struct arena *arena = c->f->arena;
    struct ring_lease lease = c->lease;
    struct ring_writer another;
    struct ring_claim claim;
    uint32_t ring;
    int bad = 0;

    bad += REFUSED(ring_writer_init(&another, arena));
    bad += REFUSED(ring_lease_for_user(&lease, c->w, "ann", 3));
    bad += REFUSED(ring_lease_for_user(&lease, c->w, "new", 3));
    bad += REFUSED(ring_lease_renew(&lease, c->w));
    bad += REFUSED(ring_reserve(&claim, c->w, &c->lease, 8));
    bad += REFUSED(ring_reserve(&claim, c->w, &c->lease, 50000));
    bad += REFUSED(try_value(c->w, &c->lease, 1, 8));
    bad += REFUSED(ring_commit(c->open, &c->claim));
    ring_abandon(c->open, &c->claim);
    bad += REFUSED(ring_wait_space(c->w, &c->lease, 8, -1));
    bad += REFUSED(ring_wait_position(arena, c->lease.ring, 99, RING_SEQUENCED, -1));
    ring_batch_begin(c->w);
    ring_batch_ring(c->w);
    ring_batch_end(c->w);
    bad += REFUSED(directory_find(&ring, arena, "ann", 3));
    bad += REFUSED(directory_claim(&ring, c->w, "ann", 3));
    doorbell_ring(arena, c->lease.ring);
    doorbell_wake(arena);
    ring_writer_deinit(c->open);
    ring_writer_deinit(c->w);
    return bad;
}

static void no_ring(void *userdata, uint32_t ring)
{
    (void)ring;
    ++*(int *)userdata;
}

static int read_calls(const struct child *c)
{
    struct ring_reader *reader = c->f->reader, *another;
    struct arena *arena = c->f->arena;
    uint32_t ring = c->lease.ring, cursor = 0;
    struct process_info info;
    struct ring_record record;
    struct ring_stuck stuck;
    struct spin spin;
    char id[128];
    int bad = 0;

    bad += REFUSED(ring_reader_new(&another, arena));
    bad += REFUSED(ring_reader_next(&record, reader, ring));
    bad += REFUSED(ring_reader_release(reader, ring, 1));
    bad += REFUSED(ring_reader_set_durable(reader, ring, 1));
    ring_reader_rewind(reader, ring);
    bad += NOTHING(ring_reader_tail(reader, ring));
    bad += NOTHING(ring_reader_held_bytes(reader, ring));
    bad += NOTHING(ring_reader_user_bytes(reader, ring));
    bad += NOTHING(ring_reader_sweep(reader));
    bad += NOTHING(ring_reader_reclaim(reader, 1, 1));
    bad += NOTHING(ring_reader_next_stuck(&stuck, reader, &cursor, 1, 0));
    bad += REFUSED(directory_user_id(id, arena, ring));
    bad += NOTHING(doorbell_take(arena, no_ring, &bad));
    doorbell_mark(arena, ring);
    bad += NOTHING(doorbell_has_news(arena));
    bad += NOTHING(doorbell_prepare_sleep(arena));
    doorbell_awake(arena);
    spin_init(&spin, 10);
    bad += NOTHING(ring_spin_wait(&spin, arena));
    cursor = 0;
    bad += NOTHING(process_next(&info, arena, &cursor));
    bad += NOTHING(process_is_live(arena, 0));
    bad += NOTHING(process_take_news(arena));
    bad += REFUSED(process_reap(arena, 0, NULL, NULL));
    bad += REFUSED(arena_unlink(arena));
    ring_reader_free(reader);
    arena_detach(arena);
    return bad;
}

static void test_every_call_in_a_forked_child_leaves_the_arena_alone(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w, open;
    struct child child = {.f = f, .w = &w, .open = &open};
    int status;
    pid_t pid;

    child.lease = writer_up(&w, f->arena, "ann");
    assert_int_equal(ring_writer_init(&open, f->arena), 0);
    assert_int_equal(ring_reserve(&child.claim, &open, &child.lease, 50000), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(write_calls(&child) + read_calls(&child));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    /* The parent goes on. */
    memset(child.claim.payload, 5, 50000);
    assert_int_equal(ring_commit(&open, &child.claim), 0);
    emit_value(&w, &child.lease, 6, 8);
    drain_value(f, child.lease.ring, UINT64_C(0x0505050505050505));
    drain_value(f, child.lease.ring, 6);
    ring_writer_deinit(&open);
    ring_writer_deinit(&w);
}

static int spill_up(void **state)
{
    struct fixture *f;

    if (fixture_up_empty(state) < 0)
        return -1;
    f = *state;
    f->spill_bytes = 65536;
    fixture_own(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_every_call_in_a_forked_child_leaves_the_arena_alone, spill_up, fixture_down),
    };

    return cmocka_run_group_tests_name("ring fork", tests, NULL, NULL);
}
