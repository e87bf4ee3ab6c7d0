/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-test.h"

#include <errno.h>
#include <string.h>

#include "ring/layout.h"

static void test_tail_carries_position_length_and_owner(void **state)
{
    struct tail t = tail_unpack(tail_pack(RING_POSITION_END - 1, RING_LENGTH_MAX, RING_OWNER_MAX));

    (void)state;
    assert_int_equal(t.position, RING_POSITION_END - 1);
    assert_int_equal(t.length, RING_LENGTH_MAX);
    assert_int_equal(t.owner, RING_OWNER_MAX);
    assert_int_equal(tail_pack(0, 0, 0), 0);
}

static void test_control_carries_state_owner_length_and_lap(void **state)
{
    struct control c = control_unpack(control_pack(CONTROL_DISCARDED, 4094, 2047, UINT32_MAX));

    (void)state;
    assert_int_equal(c.state, CONTROL_DISCARDED);
    assert_int_equal(c.owner, 4094);
    assert_int_equal(c.length, 2047);
    assert_int_equal(c.lap, UINT32_MAX);
    assert_int_equal(control_free(0), 0);
}

static void test_control_with_stray_high_bits_has_no_known_state(void **state)
{
    (void)state;
    assert_true(control_unpack(UINT64_C(1) << 63).state > CONTROL_DISCARDED);
    assert_true(control_unpack(UINT64_C(1) << 58).state > CONTROL_DISCARDED);
}

static void test_directory_and_holder_words_come_back_whole(void **state)
{
    uint64_t word = entry_pack(ENTRY_RETIRING, 4094, UINT64_MAX);

    (void)state;
    assert_int_equal(entry_state_of(word), ENTRY_RETIRING);
    assert_int_equal(entry_owner_of(word), 4094);
    assert_int_equal(entry_generation_of(word), (UINT64_C(1) << 49) - 1);
    assert_int_equal(head_version(head_pack(UINT32_MAX, 7)), UINT32_MAX);
    assert_int_equal(head_next(head_pack(UINT32_MAX, 7)), 7);
    assert_int_equal(holder_process(holder_pack(origin_pack(77, 4095))), 4095);
    assert_int_equal(
        origin_incarnation(origin_pack(ORIGIN_INCARNATION_MAX, 0)), ORIGIN_INCARNATION_MAX);
    assert_int_equal(holder_process(0), -1);
}

static void test_geometry_refuses_impossible_counts(void **state)
{
    const struct arena_geometry bad[] = {
        {.user_count = 0,
            .first_bytes = 16384,
            .last_bytes = 16384,
            .process_count = 1,
            .slot_count = 1},
        {.user_count = 65,
            .first_bytes = 16384,
            .last_bytes = 16384,
            .process_count = 1,
            .slot_count = 1},
        {.user_count = 64,
            .first_bytes = 8192,
            .last_bytes = 8192,
            .process_count = 1,
            .slot_count = 1},
        {.user_count = 64,
            .first_bytes = 20000,
            .last_bytes = 20000,
            .process_count = 1,
            .slot_count = 1},
        {.user_count = 64,
            .first_bytes = 16384,
            .last_bytes = 16384,
            .process_count = 0,
            .slot_count = 1},
        {.user_count = 64,
            .first_bytes = 16384,
            .last_bytes = 16384,
            .process_count = 1,
            .slot_count = 4095},
    };
    struct arena_geometry g;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(layout_compute(&g, &bad[i]), -EINVAL);
}

static void test_classes_grow_fourfold_up_to_the_last(void **state)
{
    struct arena_geometry g, counts = {.user_count = 64,
                                 .first_bytes = 16384,
                                 .last_bytes = 131072,
                                 .process_count = 1,
                                 .slot_count = 1};

    (void)state;
    assert_int_equal(layout_compute(&g, &counts), 0);
    assert_int_equal(g.class_count, 3);
    assert_int_equal(class_bytes(&g, 0), 16384);
    assert_int_equal(class_bytes(&g, 1), 65536);
    assert_int_equal(class_bytes(&g, 2), 131072);
    assert_true(g.total_bytes - g.data_offset == 64 * (16384u + 65536 + 131072));
    counts.first_bytes = LAYOUT_RING_BYTES_MIN;
    counts.last_bytes = LAYOUT_RING_BYTES_MAX;
    assert_int_equal(layout_compute(&g, &counts), 0);
    assert_int_equal(g.class_count, LAYOUT_CLASSES_MAX);
}

static void test_a_closed_tail_says_why(void **state)
{
    uint64_t word = tail_close(77, CLOSED_GROWN);

    (void)state;
    assert_true(tail_is_closed(word, CLOSED_GROWN));
    assert_false(tail_is_closed(word, CLOSED_RETIRED));
    assert_false(tail_is_closed(tail_pack(77, CLOSED_GROWN, 5), CLOSED_GROWN));
    assert_int_equal(tail_unpack(word).position, 77);
}

static void test_header_check_notices_every_flipped_bit(void **state)
{
    struct arena_geometry g, counts = {.user_count = 128,
                                 .first_bytes = 16384,
                                 .last_bytes = 16384,
                                 .process_count = 4,
                                 .slot_count = 8};
    struct arena_header header, copy;
    const char *reason;

    (void)state;
    assert_int_equal(layout_compute(&g, &counts), 0);
    layout_header_init(&header, &g, 42);
    assert_int_equal(layout_header_check(&header, g.total_bytes, &reason), 0);
    assert_int_equal(layout_header_check(&header, g.total_bytes - 1, &reason), -EUCLEAN);
    for (size_t bit = 0; bit < sizeof header * 8; bit++) {
        memcpy(&copy, &header, sizeof copy);
        ((uint8_t *)&copy)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        int r = layout_header_check(&copy, g.total_bytes, &reason);
        assert_true(r == -EUCLEAN || r == -EPROTO);
    }
}

static void test_largest_claim_is_a_quarter_and_fits_its_field(void **state)
{
    (void)state;
    assert_int_equal(claim_units_max(512), 128);
    assert_int_equal(claim_units_max(8192), 2047);
    assert_int_equal(record_units(0), 1);
    assert_int_equal(record_units(8), 1);
    assert_int_equal(record_units(9), 2);
    assert_true(record_units(UINT32_MAX) > RING_LENGTH_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tail_carries_position_length_and_owner),
        cmocka_unit_test(test_control_carries_state_owner_length_and_lap),
        cmocka_unit_test(test_control_with_stray_high_bits_has_no_known_state),
        cmocka_unit_test(test_directory_and_holder_words_come_back_whole),
        cmocka_unit_test(test_geometry_refuses_impossible_counts),
        cmocka_unit_test(test_classes_grow_fourfold_up_to_the_last),
        cmocka_unit_test(test_a_closed_tail_says_why),
        cmocka_unit_test(test_header_check_notices_every_flipped_bit),
        cmocka_unit_test(test_largest_claim_is_a_quarter_and_fits_its_field),
    };

    return cmocka_run_group_tests_name("ring words", tests, NULL, NULL);
}
