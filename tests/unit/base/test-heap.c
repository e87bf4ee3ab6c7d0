/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "chance.h"
#include "unit.h"

#define NODES 500

static void test_heap_gives_the_smallest_key_first(void **state)
{
    (void)state;
    static struct heap_node nodes[NODES];
    struct heap heap = {NULL};
    struct chance chance = chance_make();
    for (int i = 0; i < NODES; i++) {
        heap_node_init(&nodes[i]);
        assert_false(heap_has(&nodes[i]));
        heap_add(&heap, &nodes[i], chance_below(&chance, NODES));
        assert_true(heap_has(&nodes[i]));
    }
    uint64_t last = 0;
    for (int i = 0; i < NODES; i++) {
        struct heap_node *first = heap.root;
        assert_non_null(first);
        assert_true(first->key >= last);
        last = first->key;
        heap_remove(&heap, first);
    }
    assert_null(heap.root);
}

/* The heap against a plain array, over many additions and removals anywhere. */
static void test_any_node_can_be_taken_out(void **state)
{
    (void)state;
    static struct heap_node nodes[NODES];
    struct heap heap = {NULL};
    struct chance chance = chance_make();
    for (int i = 0; i < NODES; i++)
        heap_node_init(&nodes[i]);
    for (int step = 0; step < 20 * NODES; step++) {
        struct heap_node *node = &nodes[chance_below(&chance, NODES)];
        if (heap_has(node))
            heap_remove(&heap, node);
        else
            heap_add(&heap, node, chance_next(&chance));
        uint64_t smallest = UINT64_MAX;
        for (int i = 0; step % 50 == 0 && i < NODES; i++) {
            if (heap_has(&nodes[i]) && nodes[i].key < smallest)
                smallest = nodes[i].key;
        }
        if (step % 50 == 0)
            assert_int_equal(heap.root ? heap.root->key : UINT64_MAX, smallest);
    }
}

static void test_removal_of_what_is_in_no_heap_does_nothing(void **state)
{
    (void)state;
    struct heap_node node;
    struct heap heap = {NULL};
    heap_node_init(&node);
    heap_remove(&heap, &node);
    heap_add(&heap, &node, 7);
    heap_remove(&heap, &node);
    heap_remove(&heap, &node);
    assert_null(heap.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_gives_the_smallest_key_first),
        cmocka_unit_test(test_any_node_can_be_taken_out),
        cmocka_unit_test(test_removal_of_what_is_in_no_heap_does_nothing),
    };
    return cmocka_run_group_tests_name("base-heap", tests, NULL, NULL);
}
