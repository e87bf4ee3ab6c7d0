/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/cleanup.h"
#include "base/pages.h"

#include <string.h>

static void assert_zeroes(const char *bytes, size_t count)
{
    assert_int_equal(bytes[0], 0);
    assert_memory_equal(bytes, bytes + 1, count - 1);
}

static void test_large_tables_begin_a_huge_page_and_are_zero_as_small_ones(void **state)
{
    (void)state;
    const size_t sizes[] = {1, PAGES_LARGE - 1, PAGES_LARGE, PAGES_LARGE + 1};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char *pages = pages_new(sizes[i], 1);
        assert_non_null(pages);
        assert_zeroes(pages, sizes[i]);
        if (sizes[i] >= PAGES_LARGE)
            assert_int_equal((uintptr_t)pages % PAGES_HUGE, 0);
        memset(pages, 1, sizes[i]);
        pages_free(pages, sizes[i], 1);
    }
    assert_null(pages_new(SIZE_MAX / 2, 3));
    pages_free(NULL, PAGES_LARGE, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_tables_begin_a_huge_page_and_are_zero_as_small_ones),
    };
    return cmocka_run_group_tests_name("base-pages", tests, NULL, NULL);
}
