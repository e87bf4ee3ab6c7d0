/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/cleanup.h"
#include "base/pages.h"
#include "base/region.h"

#include <string.h>

#define THINGS 20000u

/* The last ones lie in huge pages. */
static void test_things_lie_apart_on_lines_of_their_own_and_are_zero(void **state)
{
    (void)state;
    _cleanup_(region_deinit) struct region region = {0};
    static char *things[THINGS];
    for (unsigned i = 0; i < THINGS; i++) {
        things[i] = region_take(&region, 1 + i % 700);
        assert_non_null(things[i]);
        assert_int_equal((uintptr_t)things[i] % 64, 0);
        for (unsigned at = 0; at < 1 + i % 700; at++)
            assert_int_equal(things[i][at], 0);
        memset(things[i], (int)(1 + i % 100), 1 + i % 700);
    }
    for (unsigned i = 0; i < THINGS; i++) {
        assert_int_equal(things[i][0], 1 + i % 100);
        assert_int_equal(things[i][i % 700], 1 + i % 100);
    }
}

static void test_a_thing_larger_than_any_chunk_has_one_of_its_own(void **state)
{
    (void)state;
    _cleanup_(region_deinit) struct region region = {0};
    char *small = region_take(&region, 8);
    char *large = region_take(&region, 2 * PAGES_LARGE);
    assert_non_null(large);
    memset(large, 1, 2 * PAGES_LARGE);
    assert_int_equal(small[0], 0);
    assert_null(region_take(&region, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_things_lie_apart_on_lines_of_their_own_and_are_zero),
        cmocka_unit_test(test_a_thing_larger_than_any_chunk_has_one_of_its_own),
    };
    return cmocka_run_group_tests_name("base-region", tests, NULL, NULL);
}
