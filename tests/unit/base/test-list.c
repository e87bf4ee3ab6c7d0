/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include "unit.h"

struct item {
    int number;
    struct list_link link;
};

static void fill(struct list_link *head, struct item *items, int count)
{
    list_init(head);
    for (int i = 0; i < count; i++) {
        items[i].number = i;
        list_append(head, &items[i].link);
    }
}

static void test_list_keeps_the_order_of_appending(void **state)
{
    (void)state;
    struct list_link head;
    struct item items[5];
    fill(&head, items, 5);
    int expected = 0;
    LIST_FOR_EACH(struct item, item, &head, link) assert_int_equal(item->number, expected++);
    assert_int_equal(expected, 5);
    assert_ptr_equal(LIST_FIRST(struct item, &head, link), &items[0]);
}

static void test_list_iteration_survives_removal_of_the_current_element(void **state)
{
    (void)state;
    struct list_link head;
    struct item items[6];
    fill(&head, items, 6);
    LIST_FOR_EACH(struct item, item, &head, link)
    {
        if (item->number % 2 == 0)
            list_remove(&item->link);
    }
    int expected = 1;
    LIST_FOR_EACH(struct item, item, &head, link)
    {
        assert_int_equal(item->number, expected);
        expected += 2;
    }
    assert_int_equal(expected, 7);
}

static void test_list_removal_may_be_repeated(void **state)
{
    (void)state;
    struct list_link head;
    struct item items[1];
    fill(&head, items, 1);
    list_remove(&items[0].link);
    list_remove(&items[0].link);
    assert_true(list_empty(&head));
    assert_null(LIST_FIRST(struct item, &head, link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_keeps_the_order_of_appending),
        cmocka_unit_test(test_list_iteration_survives_removal_of_the_current_element),
        cmocka_unit_test(test_list_removal_may_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
