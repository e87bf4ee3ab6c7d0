/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include "unit.h"

static void assert_shown(const char *json, const char *expected)
{
    json_t *object = json_loads(json, 0, NULL);
    struct buffer out = BUFFER_INIT;
    assert_non_null(object);
    table_append(&out, object);
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data, expected);
    buffer_deinit(&out);
    json_decref(object);
}

static void test_members_become_aligned_lines(void **state)
{
    (void)state;
    assert_shown("{\"users\":3,\"events_per_s\":1200.5,\"ok\":true}", "users     3\n"
                                                                      "events/s  1200\n"
                                                                      "ok        yes\n");
}

static void test_units_are_taken_from_names(void **state)
{
    (void)state;
    assert_shown("{\"uptime_ms\":1500,\"lag_ms\":0.25,\"age_ms\":864000000,\"bytes\":1536,"
                 "\"max_bytes\":8589934592,\"used_bytes\":12}",
        "uptime      1.5 s\n"
        "lag         0.25 ms\n"
        "age         10 days\n"
        "bytes       1.5 KiB\n"
        "max bytes   8.0 GiB\n"
        "used bytes  12 B\n");
}

static void test_groups_follow_plain_members(void **state)
{
    (void)state;
    assert_shown("{\"broker\":{\"pid\":12,\"uptime_ms\":5},\"users\":1}", "users  1\n"
                                                                          "\n"
                                                                          "broker\n"
                                                                          "  pid     12\n"
                                                                          "  uptime  5 ms\n");
}

static void test_lists_of_objects_become_tables(void **state)
{
    (void)state;
    assert_shown(
        "{\"workers\":[{\"name\":\"w-1\",\"pid\":7},{\"name\":\"worker-2\",\"slots\":16}]}",
        "workers\n"
        "  name      pid  slots\n"
        "  w-1       7    \n"
        "  worker-2       16\n");
}

static void test_objects_in_a_row_give_columns(void **state)
{
    (void)state;
    assert_shown("{\"gateways\":[{\"name\":\"g\",\"report\":{\"name\":\"g\",\"port\":1,"
                 "\"counters\":{\"frames\":9}}}]}",
        "gateways\n"
        "  name  port\n"
        "  g     1\n");
}

static void test_empty_groups_say_none(void **state)
{
    (void)state;
    assert_shown("{\"gateways\":[],\"runs\":{}}", "gateways  none\n"
                                                  "runs      none\n");
}

static void test_texts_cannot_steer_the_terminal(void **state)
{
    (void)state;
    assert_shown("{\"name\":\"a\\u001b[2Jb\"}", "name  a?[2Jb\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_become_aligned_lines),
        cmocka_unit_test(test_units_are_taken_from_names),
        cmocka_unit_test(test_groups_follow_plain_members),
        cmocka_unit_test(test_lists_of_objects_become_tables),
        cmocka_unit_test(test_objects_in_a_row_give_columns),
        cmocka_unit_test(test_empty_groups_say_none),
        cmocka_unit_test(test_texts_cannot_steer_the_terminal),
    };
    return cmocka_run_group_tests_name("cli-table", tests, NULL, NULL);
}
