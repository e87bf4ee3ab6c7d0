/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/cleanup.h"
#include "history/positions.h"

#include <errno.h>

#define ARENA 7u

static void stage(struct positions *positions, uint64_t ring, uint64_t position)
{
    const struct history_position drained = {ARENA, ring, 1, position};
    assert_int_equal(positions_stage(positions, &drained), 0);
}

static void assert_position(const struct positions *positions, uint64_t ring, uint64_t expected)
{
    struct history_position asked = {.arena_id = ARENA, .ring = ring, .generation = 1};
    assert_int_equal(positions_find(positions, &asked), 0);
    assert_int_equal(asked.position, expected);
}

static void assert_unknown(const struct positions *positions, uint64_t ring)
{
    struct history_position asked = {.arena_id = ARENA, .ring = ring, .generation = 1};
    assert_int_equal(positions_find(positions, &asked), -ENOENT);
}

/* The last of them lie in a table of huge pages. */
static void test_a_table_that_grows_keeps_what_it_knows(void **state)
{
    (void)state;
    _cleanup_(positions_deinit) struct positions positions = {0};
    for (uint64_t ring = 1; ring < POSITIONS_RINGS / 8; ring *= 3) {
        stage(&positions, ring, ring + 1);
        positions_committed(&positions, ring);
    }
    for (uint64_t ring = 1; ring < POSITIONS_RINGS / 8; ring *= 3) {
        const struct history_position position = {ARENA, ring, 1, 0};
        assert_position(&positions, ring, ring + 1);
        assert_unknown(&positions, ring + 1);
        assert_true(positions_known_by(&positions, &position, ring));
    }
    assert_unknown(&positions, POSITIONS_RINGS);
    positions_fetch(&positions, POSITIONS_RINGS);
}

static void test_a_ring_is_staged_once_between_two_commits(void **state)
{
    (void)state;
    _cleanup_(positions_deinit) struct positions positions = {0};
    for (uint64_t commit = 1; commit <= 3; commit++) {
        stage(&positions, 3, commit * 10);
        stage(&positions, 0, commit * 20);
        stage(&positions, 3, commit * 10 + 1);
        assert_int_equal(positions.staged_count, 2);
        assert_int_equal(positions.staged[0].position, commit * 10 + 1);
        positions_committed(&positions, commit);
    }
    assert_position(&positions, 3, 31);
    assert_position(&positions, 0, 60);
}

static void test_a_ring_that_no_arena_has_is_refused(void **state)
{
    (void)state;
    _cleanup_(positions_deinit) struct positions positions = {0};
    const struct history_position beyond = {ARENA, POSITIONS_RINGS, 1, 5};
    assert_int_equal(positions_stage(&positions, &beyond), -EINVAL);
    assert_int_equal(positions_replay(&positions, &beyond, 1), -EUCLEAN);
    assert_int_equal(positions.staged_count, 0);
    stage(&positions, 1, 5);
    assert_position(&positions, 1, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table_that_grows_keeps_what_it_knows),
        cmocka_unit_test(test_a_ring_is_staged_once_between_two_commits),
        cmocka_unit_test(test_a_ring_that_no_arena_has_is_refused),
    };
    return cmocka_run_group_tests_name("history-positions", tests, NULL, NULL);
}
