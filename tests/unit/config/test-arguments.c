/* SPDX-License-Identifier: Apache-2.0 */
#include "config/arguments.h"

#include "unit.h"

struct reading {
    struct arguments arguments;
    struct problems problems;
    const char *operands[16];
    const char *thread;
    const char *json;
};

static void read_arguments(struct reading *ret_reading, bool with_operands, int argc, char **argv)
{
    *ret_reading = (struct reading){0};
    const struct config_flag flags[] = {
        {"thread", "T", "the thread", &ret_reading->thread},
        {"json", NULL, "JSON lines", &ret_reading->json},
        {NULL, NULL, NULL, NULL},
    };
    const struct config_program program = {.name = "test", .summary = "", .flags = flags};
    const struct command_line line = {argc, argv, with_operands ? ret_reading->operands : NULL};
    arguments_read(&ret_reading->arguments, &program, &line, &ret_reading->problems);
}

/* The arguments behind the program's name. */
#define READ(reading, with_operands, ...)                                                          \
    do {                                                                                           \
        char *argv_[] = {(char *)(uintptr_t) "test", __VA_ARGS__};                                 \
        read_arguments(reading, with_operands, (int)(sizeof(argv_) / sizeof(argv_[0])), argv_);    \
    } while (0)
#define WORD(text) ((char *)(uintptr_t)(text))

static void assert_one_problem(struct reading *reading, const char *text)
{
    buffer_append_char(&reading->problems.lines, '\0');
    if (reading->problems.count != 1 || strcmp(reading->problems.lines.data, text) != 0)
        fail_msg("expected only \"%s\", got %zu:\n%s", text, reading->problems.count,
            reading->problems.lines.data);
    problems_deinit(&reading->problems);
}

static void test_values_stand_behind_or_after_equals(void **state)
{
    (void)state;
    struct reading reading;
    READ(&reading, false, WORD("--gateway-port"), WORD("1"), WORD("--node-name=n"));
    assert_int_equal(reading.problems.count, 0);
    assert_string_equal(reading.arguments.values[OPTION_AT_gateway_port], "1");
    assert_string_equal(reading.arguments.values[OPTION_AT_node_name], "n");
}

static void test_last_of_several_counts(void **state)
{
    (void)state;
    struct reading reading;
    READ(&reading, false, WORD("--gateway-port=1"), WORD("--gateway-port=2"));
    assert_string_equal(reading.arguments.values[OPTION_AT_gateway_port], "2");
}

static void test_own_flags_and_operands_mix(void **state)
{
    (void)state;
    struct reading reading;
    READ(&reading, true, WORD("--json"), WORD("hello"), WORD("--thread"), WORD("t"), WORD("you"));
    assert_int_equal(reading.problems.count, 0);
    assert_string_equal(reading.json, "");
    assert_string_equal(reading.thread, "t");
    assert_string_equal(reading.operands[0], "hello");
    assert_string_equal(reading.operands[1], "you");
    assert_null(reading.operands[2]);
}

static void test_double_dash_ends_the_flags(void **state)
{
    (void)state;
    struct reading reading;
    READ(&reading, true, WORD("--"), WORD("--json"), WORD("-"), WORD("--"));
    assert_null(reading.json);
    assert_string_equal(reading.operands[0], "--json");
    assert_string_equal(reading.operands[1], "-");
    assert_string_equal(reading.operands[2], "--");
    assert_null(reading.operands[3]);
}

static void test_help_is_seen_among_mistakes(void **state)
{
    (void)state;
    struct reading reading;
    READ(&reading, false, WORD("--nonsense"), WORD("-h"));
    assert_true(reading.arguments.help);
    problems_deinit(&reading.problems);
}

static void test_unknown_flag_gets_the_nearest_known(void **state)
{
    (void)state;
    struct reading reading;
    READ(&reading, false, WORD("--gateway-prot"), WORD("80"));
    assert_one_problem(&reading, "--gateway-prot: unknown option; did you mean --gateway-port?\n");
    READ(&reading, false, WORD("--jsn"));
    assert_one_problem(&reading, "--jsn: unknown option; did you mean --json?\n");
    READ(&reading, false, WORD("--zzzzzz"));
    assert_one_problem(&reading, "--zzzzzz: unknown option; --help lists them\n");
    READ(&reading, false, WORD("-x"));
    assert_one_problem(&reading, "-x: unknown option; --help lists them\n");
}

static void test_value_missing_or_too_much_is_said(void **state)
{
    (void)state;
    struct reading reading;
    READ(&reading, false, WORD("--gateway-port"));
    assert_one_problem(&reading, "--gateway-port: needs a value behind it\n");
    READ(&reading, false, WORD("--json=yes"));
    assert_one_problem(&reading, "--json: takes no value\n");
    READ(&reading, false, WORD("--help=me"));
    assert_one_problem(&reading, "--help: takes no value\n");
}

static void test_operand_where_none_belongs_is_said(void **state)
{
    (void)state;
    struct reading reading;
    READ(&reading, false, WORD("stray"));
    assert_one_problem(&reading, "stray: takes no such argument; --help lists them\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_stand_behind_or_after_equals),
        cmocka_unit_test(test_last_of_several_counts),
        cmocka_unit_test(test_own_flags_and_operands_mix),
        cmocka_unit_test(test_double_dash_ends_the_flags),
        cmocka_unit_test(test_help_is_seen_among_mistakes),
        cmocka_unit_test(test_unknown_flag_gets_the_nearest_known),
        cmocka_unit_test(test_value_missing_or_too_much_is_said),
        cmocka_unit_test(test_operand_where_none_belongs_is_said),
    };
    return cmocka_run_group_tests_name("config-arguments", tests, NULL, NULL);
}
