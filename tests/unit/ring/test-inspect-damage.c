/* SPDX-License-Identifier: Apache-2.0 */
/* The view from outside of what is damaged, and of what is no arena. */
#include "chance.h"
#include "inspect-test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ring/mapping.h"

static void expect_refusal(const char *path, int r, const char *words)
{
    char reason[INSPECT_REASON_SIZE] = "";
    struct inspect *view = NULL;

    assert_int_equal(inspect_open(&view, path, reason), r);
    assert_null(view);
    if (!strstr(reason, words))
        fail_msg("\"%s\" does not say \"%s\"", reason, words);
}

static void write_at(const char *path, off_t offset, uint64_t value, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &value, length, offset), length);
    close(fd);
}

static void test_what_is_no_arena_is_refused_with_a_reason(void **state)
{
    struct fixture *f = *state;
    char path[128], nowhere[128];

    snprintf(path, sizeof path, "%s/arena", f->parent);
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", f->parent);
    expect_refusal(nowhere, -ENOENT, "there is no arena at");
    expect_refusal(f->parent, -ENOENT, "there is no arena at");
    snprintf(nowhere, sizeof nowhere, "%s/arena/below", f->directory);
    expect_refusal(nowhere, -ENOENT, "there is no arena at");
    expect_refusal("/dev/null", -EUCLEAN, "not an arena");
    write_at(path, 0, 0, 8);
    expect_refusal(path, -EUCLEAN, "not an arena");
    copy_file(f, "arena", path);
    write_at(path, 8, LAYOUT_VERSION + 41, 4);
    expect_refusal(path, -EPROTO, "layout version 4");
    write_at(path, 8, LAYOUT_VERSION, 4);
    write_at(path, 40, 77, 4);
    expect_refusal(path, -EUCLEAN, "header is damaged");
    copy_file(f, "arena", path);
    assert_int_equal(truncate(path, 70000), 0);
    expect_refusal(path, -EUCLEAN, "truncated");
    assert_int_equal(truncate(path, 12), 0);
    expect_refusal(path, -EUCLEAN, "not an arena");
    assert_int_equal(unlink(path), 0);
}

struct hurt {
    struct ring_writer w;
    struct ring_lease lease;
    struct ring_header *header;
    struct inspect *view;
};

static struct hurt hurt_up(struct fixture *f)
{
    struct hurt h;

    h.lease = writer_up(&h.w, f->arena, "ann");
    h.header = arena_ring_header(f->arena, h.lease.ring);
    for (uint64_t v = 0; v < 3; v++)
        emit_value(&h.w, &h.lease, v, 40);
    h.view = look(f->directory);
    return h;
}

static void hurt_down(struct hurt *h)
{
    inspect_free(h->view);
    ring_writer_deinit(&h->w);
}

static void test_words_that_cannot_be_are_called_damage(void **state)
{
    struct fixture *f = *state;
    struct hurt h = hurt_up(f);
    _Atomic uint64_t *control = &arena_record(f->arena, h.lease.ring, 2)->control;
    const uint64_t shapes[] = {UINT64_MAX, UINT64_C(1) << 56, control_free(0), control_free(1),
        control_pack(CONTROL_COMMITTED, 1, 0, 0), control_pack(CONTROL_COMMITTED, 1, 129, 0),
        control_pack(CONTROL_COMMITTED, 1, 7, 0), control_pack(CONTROL_COMMITTED, 1, 2, 3),
        control_pack(CONTROL_BUSY, 4094, 2, 0), control_pack(CONTROL_PADDING, 1, 2, 0)};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct inspect_ring seen;

        atomic_store(control, shapes[i]);
        seen = look_at(h.view, h.lease.ring, NULL);
        assert_int_equal(seen.state, INSPECT_DAMAGED);
        assert_non_null(seen.note);
        assert_int_equal(seen.committed, 1);
        assert_string_equal(seen.user_id, "ann");
    }
    hurt_down(&h);
}

static void test_positions_that_cannot_be_are_called_damage(void **state)
{
    struct fixture *f = *state;
    struct hurt h = hurt_up(f);
    uint64_t tail = atomic_load(&h.header->tail);

    atomic_store(&h.header->tail, tail_pack(FIXTURE_CAPACITY + 1, 2, 1));
    assert_int_equal(look_at(h.view, h.lease.ring, NULL).state, INSPECT_DAMAGED);
    atomic_store(&h.header->tail, tail);
    atomic_store(&h.header->consumed, 7);
    assert_int_equal(look_at(h.view, h.lease.ring, NULL).state, INSPECT_DAMAGED);
    atomic_store(&h.header->consumed, 0);
    atomic_store(&h.header->durable, 1);
    assert_int_equal(look_at(h.view, h.lease.ring, NULL).state, INSPECT_DAMAGED);
    atomic_store(&h.header->durable, 0);
    assert_int_equal(look_at(h.view, h.lease.ring, NULL).state, INSPECT_OPEN);
    hurt_down(&h);
}

static void test_tables_that_cannot_be_are_not_believed(void **state)
{
    struct fixture *f = *state;
    struct hurt h = hurt_up(f);
    struct directory_entry *entry = arena_entry(f->arena, arena_entry_of(f->arena, h.lease.ring));
    struct arena_slot *words = arena_slot_of(f->arena, 9);
    struct inspect_slot slot;
    struct inspect_ring seen;

    atomic_store(&words->holder, holder_pack(origin_pack(1, 4095)));
    atomic_store(&words->current_ring, UINT32_MAX);
    assert_int_equal(inspect_slot(&slot, h.view, 9), 1);
    assert_int_equal(slot.process, -1);
    assert_int_equal(slot.current_ring, -2);
    assert_int_equal(slot.life, INSPECT_UNKNOWN);
    atomic_store(&words->holder, 0);
    atomic_store(&entry->user_id_length, 128);
    seen = look_at(h.view, h.lease.ring, NULL);
    assert_int_equal(seen.state, INSPECT_DAMAGED);
    assert_string_equal(seen.user_id, "");
    atomic_store(&entry->user_id_length, 2);
    seen = look_at(h.view, h.lease.ring, NULL);
    assert_int_equal(seen.state, INSPECT_DAMAGED);
    atomic_store(&entry->user_id_length, 3);
    atomic_store(&entry->word, UINT64_MAX);
    assert_int_equal(look_at(h.view, h.lease.ring, NULL).state, INSPECT_DAMAGED);
    atomic_store(&entry->word, entry_pack(ENTRY_READY, 0, h.lease.generation));
    hurt_down(&h);
}

static void test_a_quarantined_ring_is_called_so(void **state)
{
    struct fixture *f = *state;
    struct hurt h = hurt_up(f);
    struct ring_record record;

    atomic_store(&arena_record(f->arena, h.lease.ring, 0)->control, UINT64_MAX);
    assert_int_equal(ring_reader_next(&record, f->reader, h.lease.ring), -EUCLEAN);
    assert_int_equal(look_at(h.view, h.lease.ring, NULL).state, INSPECT_QUARANTINED);
    hurt_down(&h);
}

static void test_an_arena_of_random_bytes_is_looked_through(void **state)
{
    struct fixture *f = *state;
    struct inspect *view = look(f->directory);
    const struct arena_geometry *g = &f->arena->geometry;
    struct inspect_ring ring;
    struct chance chance = chance_make();
    struct inspect_slot slot;

    for (int round = 0; round < 30; round++) {
        uint64_t *words = (uint64_t *)(void *)f->arena->base;

        for (uint64_t i = g->shared_offset / 8; i < g->initial_bytes / 8; i++)
            words[i] = chance_next(&chance) >> (round % 3 ? chance_below(&chance, 64) : 0);
        for (uint32_t e = 0; e < FIXTURE_RINGS && round % 2; e++)
            atomic_store(&arena_entry(f->arena, e)->word, entry_pack(ENTRY_READY, 0, 1));
        for (uint32_t r = 0; r < arena_ring_count(f->arena); r++) {
            assert_int_equal(arena_allocate_ring(f->arena, r), 0);
            inspect_ring(&ring, view, r, NULL, NULL);
        }
        for (uint32_t owner = 0; owner < 40; owner++)
            inspect_slot(&slot, view, owner);
    }
    inspect_free(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_what_is_no_arena_is_refused_with_a_reason, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_words_that_cannot_be_are_called_damage, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_positions_that_cannot_be_are_called_damage, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_tables_that_cannot_be_are_not_believed, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_a_quarantined_ring_is_called_so, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_an_arena_of_random_bytes_is_looked_through, fixture_up, fixture_down),
    };

    return cmocka_run_group_tests_name("ring-inspect-damage", tests, NULL, NULL);
}
