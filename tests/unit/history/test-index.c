/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "chance.h"
#include "history/index.h"

static void push(struct index *index, uint64_t first_seq, uint64_t batch)
{
    assert_int_equal(index_reserve(index), 0);
    index_push(index, &(struct index_entry){first_seq, index_place(batch, 7)});
}

static void test_an_empty_index_has_no_front(void **state)
{
    (void)state;
    struct index index = {0};
    assert_true(index_empty(&index));
    assert_null(index_front(&index));
    index_deinit(&index);
}

static void test_a_place_holds_batch_and_section(void **state)
{
    (void)state;
    struct index_entry entry = {1, index_place(INDEX_BATCH_MAX, 0xfffff)};
    assert_int_equal(index_batch(&entry), INDEX_BATCH_MAX);
    assert_int_equal(index_section(&entry), 0xfffff);
}

static void test_the_entry_of_each_number_is_found(void **state)
{
    (void)state;
    struct index index = {0};
    for (uint64_t i = 0; i < 100; i++)
        push(&index, 1 + i * 10, 1 + i);
    for (uint64_t seq = 1; seq <= 1000; seq++)
        assert_int_equal(index_batch(&index.entries[index_find(&index, seq)]), 1 + (seq - 1) / 10);
    index_deinit(&index);
}

static void test_memory_goes_back_when_the_last_entry_left(void **state)
{
    (void)state;
    struct index index = {0};
    push(&index, 1, 1);
    index_pop_front(&index);
    assert_null(index.entries);
    assert_int_equal(index.cap, 0);
}

/* Pushes and pops at random against two plain counters: entries are numbers in a row. */
static void test_the_front_is_always_the_oldest_that_is_left(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    struct index index = {0};
    uint64_t oldest = 1;
    uint64_t next = 1;
    for (int i = 0; i < 20000; i++) {
        if (chance_below(&chance, 100) < (i < 10000 ? 55u : 45u)) {
            push(&index, next, next);
            next++;
        } else if (oldest < next) {
            index_pop_front(&index);
            oldest++;
        }
        assert_int_equal(index.end - index.start, next - oldest);
        if (oldest == next)
            continue;
        assert_int_equal(index_front(&index)->first_seq, oldest);
        uint64_t any = oldest + chance_below(&chance, next - oldest);
        assert_int_equal(index.entries[index_find(&index, any)].first_seq, any);
    }
    index_deinit(&index);
}

static void test_a_steady_window_needs_no_more_than_twice_its_memory(void **state)
{
    (void)state;
    struct index index = {0};
    for (uint64_t i = 1; i <= 100000; i++) {
        push(&index, i, i);
        if (i > 64)
            index_pop_front(&index);
    }
    assert_in_range(index.cap, 64, 160);
    index_deinit(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_index_has_no_front),
        cmocka_unit_test(test_a_place_holds_batch_and_section),
        cmocka_unit_test(test_the_entry_of_each_number_is_found),
        cmocka_unit_test(test_memory_goes_back_when_the_last_entry_left),
        cmocka_unit_test(test_the_front_is_always_the_oldest_that_is_left),
        cmocka_unit_test(test_a_steady_window_needs_no_more_than_twice_its_memory),
    };
    return cmocka_run_group_tests_name("history-index", tests, NULL, NULL);
}
