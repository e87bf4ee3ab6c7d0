/* SPDX-License-Identifier: Apache-2.0 */
#include "config/suggest.h"

#include "unit.h"

static void test_distance_counts_edits_and_swaps(void **state)
{
    (void)state;
    assert_int_equal(suggestion_distance("port", "port"), 0);
    assert_int_equal(suggestion_distance("prot", "port"), 1);
    assert_int_equal(suggestion_distance("por", "port"), 1);
    assert_int_equal(suggestion_distance("portt", "port"), 1);
    assert_int_equal(suggestion_distance("", "port"), 4);
    assert_int_equal(suggestion_distance("kitten", "sitting"), 3);
}

static void test_distance_of_overlong_texts_is_not_computed(void **state)
{
    (void)state;
    char text[80];
    memset(text, 'x', sizeof(text));
    text[79] = '\0';
    assert_true(suggestion_distance(text, "x") == SIZE_MAX);
    text[63] = '\0';
    assert_int_equal(suggestion_distance(text, "x"), 62);
}

static void test_nearest_of_several_is_offered(void **state)
{
    (void)state;
    struct suggestion suggestion = suggestion_for("max_runz");
    suggestion_offer(&suggestion, "max_line");
    suggestion_offer(&suggestion, "max_runs");
    suggestion_offer(&suggestion, "host");
    assert_string_equal(suggestion.nearest, "max_runs");
}

static void test_nothing_near_offers_nothing(void **state)
{
    (void)state;
    struct suggestion suggestion = suggestion_for("colour");
    suggestion_offer(&suggestion, "port");
    suggestion_offer(&suggestion, "max_outbox");
    assert_null(suggestion.nearest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_counts_edits_and_swaps),
        cmocka_unit_test(test_distance_of_overlong_texts_is_not_computed),
        cmocka_unit_test(test_nearest_of_several_is_offered),
        cmocka_unit_test(test_nothing_near_offers_nothing),
    };
    return cmocka_run_group_tests_name("config-suggest", tests, NULL, NULL);
}
