/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "ring/directory-internal.h"
#include "stepping.h"

static void test_user_ids_are_found_whole(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    char longest[127], id[128];
    uint32_t a, b, ring;

    memset(longest, 'x', sizeof longest);
    assert_int_equal(ring_writer_init(&w, f->arena), 0);
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), -ENOENT);
    assert_int_equal(directory_claim(&a, &w, "ann", 3), 0);
    assert_int_equal(directory_claim(&b, &w, longest, sizeof longest), 0);
    assert_int_not_equal(a, b);
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    assert_int_equal(ring, a);
    assert_int_equal(directory_find(&ring, f->arena, "an", 2), -ENOENT);
    assert_int_equal(directory_find(&ring, f->arena, longest, sizeof longest - 1), -ENOENT);
    assert_int_equal(directory_user_id(id, f->arena, b), sizeof longest);
    assert_memory_equal(id, longest, sizeof longest);
    assert_int_equal(id[127], 0);
    assert_int_equal(directory_user_id(id, f->arena, FIXTURE_RINGS), -ENOENT);
    ring_writer_deinit(&w);
}

static void test_what_is_no_user_id_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    char too_long[128];
    uint32_t ring;

    memset(too_long, 'x', sizeof too_long);
    assert_int_equal(ring_writer_init(&w, f->arena), 0);
    assert_int_equal(directory_claim(&ring, &w, "", 0), -EINVAL);
    assert_int_equal(directory_claim(&ring, &w, too_long, sizeof too_long), -EINVAL);
    assert_int_equal(directory_claim(&ring, &w, "a\0b", 3), -EINVAL);
    assert_int_equal(directory_find(&ring, f->arena, "a\0b", 3), -EINVAL);
    ring_writer_deinit(&w);
}

static void test_every_ring_can_be_claimed_and_then_it_is_full(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    uint64_t seen = 0;
    uint32_t ring;
    char user[16];

    assert_int_equal(ring_writer_init(&w, f->arena), 0);
    for (uint32_t i = 0; i < FIXTURE_RINGS; i++) {
        int n = snprintf(user, sizeof user, "user-%u", i);

        assert_int_equal(directory_claim(&ring, &w, user, (size_t)n), 0);
        assert_false(seen & (UINT64_C(1) << ring));
        seen |= UINT64_C(1) << ring;
    }
    assert_int_equal(directory_claim(&ring, &w, "one more", 8), -ENOSPC);
    assert_int_equal(directory_claim(&ring, &w, "user-7", 6), 0);
    ring_writer_deinit(&w);
}

#define CLAIMERS 4
#define CLAIMED_USERS 48

struct claimer {
    struct ring_writer w;
    uint32_t rings[CLAIMED_USERS];
    int error;
};

static void *claim_all(void *userdata)
{
    struct claimer *c = userdata;
    char user[16];

    for (uint32_t i = 0; i < CLAIMED_USERS; i++) {
        int n = snprintf(user, sizeof user, "user-%u", i);
        int r = directory_claim(&c->rings[i], &c->w, user, (size_t)n);

        if (r < 0)
            c->error = r;
    }
    return NULL;
}

static void test_concurrent_claimers_agree(void **state)
{
    struct fixture *f = *state;
    struct claimer claimers[CLAIMERS] = {0};
    pthread_t threads[CLAIMERS];

    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < CLAIMERS; i++)
            assert_int_equal(ring_writer_init(&claimers[i].w, f->arena), 0);
        for (int i = 0; i < CLAIMERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, claim_all, &claimers[i]), 0);
        for (int i = 0; i < CLAIMERS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < CLAIMERS; i++) {
            assert_int_equal(claimers[i].error, 0);
            assert_memory_equal(claimers[i].rings, claimers[0].rings, sizeof claimers[0].rings);
            ring_writer_deinit(&claimers[i].w);
        }
        fixture_disown(f);
        fixture_remove(f);
        fixture_own(f);
    }
}

static jmp_buf died;

static void die(void)
{
    longjmp(died, 1);
}

/* A claimer that stops for good at a step; its arena is left as by a dead process. */
static void claimer_dies(struct fixture *f, const char *step, const char *user)
{
    struct ring_writer w;
    struct arena *other;
    uint32_t ring;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    assert_int_equal(ring_writer_init(&w, other), 0);
    step_at(step, 1, die);
    if (setjmp(died) == 0) {
        directory_claim(&ring, &w, user, strlen(user));
        fail_msg("%s was not reached", step);
    }
    arena_detach(other);
}

static void test_claimer_dead_before_the_link_is_in_nobodys_way(void **state)
{
    static const char *const steps[] = {"directory_named", "directory_claimed", "directory_filled"};
    struct fixture *f = *state;
    struct ring_writer w;
    uint32_t used = 0;

    for (size_t i = 0; i < 3; i++) {
        const char *user = i == 0 ? "ann" : i == 1 ? "bob" : "cid";
        uint32_t ring;

        claimer_dies(f, steps[i], user);
        assert_int_equal(directory_find(&ring, f->arena, user, 3), -ENOENT);
        struct ring_lease lease = writer_up(&w, f->arena, user);
        emit_value(&w, &lease, i, 8);
        drain_value(f, lease.ring, i);
        ring_writer_deinit(&w);
    }
    reap_dead(f->arena, NULL, NULL);
    for (uint32_t i = 0; i < FIXTURE_RINGS; i++)
        used += entry_state_of(atomic_load(&arena_entry(f->arena, i)->word)) != ENTRY_FREE;
    assert_int_equal(used, 3); /* what the dead had taken is free again */
}

static void test_claimer_dead_after_the_link_has_made_the_ring(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    uint32_t ring;

    claimer_dies(f, "directory_linked", "ann");
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    assert_int_equal(lease.ring, ring);
    emit_value(&w, &lease, 5, 8);
    drain_value(f, ring, 5);
    ring_writer_deinit(&w);
}

static void completed_one(void *userdata, const struct process_reaped *reaped)
{
    *(uint32_t *)userdata += reaped->completed;
}

static void test_unfinished_claim_of_the_dead_is_completed_by_the_owner(void **state)
{
    struct fixture *f = *state;
    uint32_t completed = 0, ring;

    claimer_dies(f, "directory_linked", "ann");
    reap_dead(f->arena, completed_one, &completed);
    assert_int_equal(completed, 1);
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    assert_int_equal(directory_state(f->arena, ring), ENTRY_READY);
}

static struct fixture *met_fixture;
static uint32_t met_ring;

static void claimed_by_another(void)
{
    struct ring_writer w;

    assert_int_equal(ring_writer_init(&w, met_fixture->arena), 0);
    assert_int_equal(directory_claim(&met_ring, &w, "ann", 3), 0);
    ring_writer_deinit(&w);
}

static void test_claim_linked_while_another_is_about_to_gives_one_ring(void **state)
{
    static const char *const steps[] = {"directory_named", "directory_claimed", "directory_filled"};

    for (size_t i = 0; i < 3; i++) {
        struct fixture *f = *state;
        struct ring_writer w;
        uint32_t ring, used = 0;

        assert_int_equal(ring_writer_init(&w, f->arena), 0);
        met_fixture = f;
        step_at(steps[i], 1, claimed_by_another);
        assert_int_equal(directory_claim(&ring, &w, "ann", 3), 0);
        assert_int_equal(ring, met_ring);
        for (uint32_t r = 0; r < FIXTURE_RINGS; r++)
            used += entry_state_of(atomic_load(&arena_entry(f->arena, r)->word)) != ENTRY_FREE;
        assert_int_equal(used, 1);
        ring_writer_deinit(&w);
        fixture_disown(f);
        fixture_remove(f);
        fixture_own(f);
    }
}

static void test_loop_in_a_chain_is_damage_and_ends(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    uint32_t ring;

    assert_int_equal(ring_writer_init(&w, f->arena), 0);
    assert_int_equal(directory_claim(&ring, &w, "ann", 3), 0);
    for (uint32_t i = 0; i < FIXTURE_RINGS; i++)
        atomic_store(&f->arena->heads[i], head_pack(1, ring + 1));
    atomic_store(&arena_entry(f->arena, ring)->next, ring + 1);
    assert_int_equal(directory_find(&ring, f->arena, "bob", 3), -EUCLEAN);
    assert_int_equal(directory_claim(&ring, &w, "bob", 3), -EUCLEAN);
    atomic_store(&arena_entry(f->arena, ring)->next, UINT32_MAX);
    assert_int_equal(directory_claim(&ring, &w, "bob", 3), -EUCLEAN);
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    ring_writer_deinit(&w);
}

static void test_claimer_dead_before_the_claim_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    uint32_t completed = 0, ring;

    claimer_dies(f, "directory_named", "ann");
    reap_dead(f->arena, completed_one, &completed);
    assert_int_equal(completed, 0);
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), -ENOENT);
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_user_ids_are_found_whole),
        WITH_ARENA(test_what_is_no_user_id_is_refused),
        WITH_ARENA(test_every_ring_can_be_claimed_and_then_it_is_full),
        WITH_ARENA(test_concurrent_claimers_agree),
        WITH_ARENA(test_claimer_dead_before_the_link_is_in_nobodys_way),
        WITH_ARENA(test_claimer_dead_after_the_link_has_made_the_ring),
        WITH_ARENA(test_loop_in_a_chain_is_damage_and_ends),
        WITH_ARENA(test_unfinished_claim_of_the_dead_is_completed_by_the_owner),
        WITH_ARENA(test_claim_linked_while_another_is_about_to_gives_one_ring),
        WITH_ARENA(test_claimer_dead_before_the_claim_leaves_nothing),
    };

    return cmocka_run_group_tests_name("ring directory", tests, NULL, NULL);
}
