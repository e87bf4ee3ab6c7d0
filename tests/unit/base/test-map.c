/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "chance.h"
#include "unit.h"

#define KEYS 400

struct entry {
    char name[16];
    bool present;
    bool seen;
};

static struct entry entries[KEYS];

static struct span key_of(const struct entry *entry)
{
    return span_of_string(entry->name);
}

static void name_entries(void)
{
    for (int i = 0; i < KEYS; i++) {
        entries[i] = (struct entry){0};
        snprintf(entries[i].name, sizeof(entries[i].name), "user-%d", i * 7919);
    }
}

/* Each present entry is found and iterated exactly once, each absent one not at all. */
static void compare_with_entries(const struct map *map)
{
    size_t count = 0;
    for (int i = 0; i < KEYS; i++) {
        assert_ptr_equal(
            map_get(map, key_of(&entries[i])), entries[i].present ? &entries[i] : NULL);
        entries[i].seen = false;
        count += entries[i].present;
    }
    assert_int_equal(map->count, count);
    size_t cursor = 0;
    for (struct entry *entry; (entry = map_next(map, &cursor));) {
        assert_true(entry->present);
        assert_false(entry->seen);
        entry->seen = true;
        count--;
    }
    assert_int_equal(count, 0);
}

static void test_map_agrees_with_a_plain_array_over_many_changes(void **state)
{
    (void)state;
    struct map map = {0};
    struct chance chance = chance_make();
    name_entries();
    for (int i = 0; i < 40000; i++) {
        struct entry *entry = &entries[chance_below(&chance, KEYS)];
        if (chance_below(&chance, 2)) {
            assert_int_equal(map_put(&map, key_of(entry), entry), 0);
            entry->present = true;
        } else {
            assert_ptr_equal(map_remove(&map, key_of(entry)), entry->present ? entry : NULL);
            entry->present = false;
        }
        if (i % 100 == 0)
            compare_with_entries(&map);
    }
    compare_with_entries(&map);
    map_deinit(&map);
}

static void test_map_put_replaces_the_value_and_key_of_an_entry(void **state)
{
    (void)state;
    struct map map = {0};
    char first[] = "name";
    char second[] = "name";
    assert_int_equal(map_put(&map, span_of_string(first), first), 0);
    assert_int_equal(map_put(&map, span_of_string(second), second), 0);
    first[0] = 'x';
    assert_int_equal(map.count, 1);
    assert_ptr_equal(map_get(&map, SPAN_LITERAL("name")), second);
    map_deinit(&map);
}

static void test_map_may_be_emptied_while_it_is_iterated(void **state)
{
    (void)state;
    struct map map = {0};
    name_entries();
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(map_put(&map, key_of(&entries[i]), &entries[i]), 0);
    size_t cursor = 0;
    size_t visited = 0;
    for (struct entry *entry; (entry = map_next(&map, &cursor)); visited++) {
        assert_ptr_equal(map_remove(&map, key_of(entry)), entry);
        cursor--;
    }
    assert_int_equal(visited, KEYS);
    assert_int_equal(map.count, 0);
    map_deinit(&map);
}

static void note_seen(void *context, void *value)
{
    struct entry *entry = value;
    size_t *visited = context;
    assert_false(entry->seen);
    entry->seen = true;
    ++*visited;
}

static void test_map_scan_visits_each_entry_once_while_the_map_grows_and_others_go(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    for (int round = 0; round < 50; round++) {
        struct map map = {0};
        size_t visited = 0, added = KEYS / 4;
        uint64_t cursor = 0;
        name_entries();
        for (size_t i = 0; i < added; i++)
            assert_int_equal(map_put(&map, key_of(&entries[i]), &entries[i]), 0);
        do {
            cursor = map_scan(&map, cursor, note_seen, &visited);
            if (chance_below(&chance, 4) == 0 && added < KEYS) {
                assert_int_equal(map_put(&map, key_of(&entries[added]), &entries[added]), 0);
                added++;
            }
            if (chance_below(&chance, 8) == 0) /* the odd ones may go */
                map_remove(&map, key_of(&entries[chance_below(&chance, KEYS / 8) * 2 + 1]));
        } while (cursor);
        for (size_t i = 0; i < KEYS / 4; i += 2)
            assert_true(entries[i].seen);
        assert_true(visited >= KEYS / 8 && visited <= added);
        map_deinit(&map);
    }
}

static void test_map_without_entries_has_nothing(void **state)
{
    (void)state;
    struct map map = {0};
    size_t cursor = 0;
    assert_null(map_get(&map, SPAN_LITERAL("a")));
    assert_null(map_remove(&map, SPAN_LITERAL("a")));
    assert_null(map_next(&map, &cursor));
    assert_int_equal(map_scan(&map, 0, note_seen, NULL), 0);
    map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_agrees_with_a_plain_array_over_many_changes),
        cmocka_unit_test(test_map_put_replaces_the_value_and_key_of_an_entry),
        cmocka_unit_test(test_map_may_be_emptied_while_it_is_iterated),
        cmocka_unit_test(test_map_scan_visits_each_entry_once_while_the_map_grows_and_others_go),
        cmocka_unit_test(test_map_without_entries_has_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
