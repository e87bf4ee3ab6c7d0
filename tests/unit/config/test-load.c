/* SPDX-License-Identifier: Apache-2.0 */
/* Which source counts, and that each complains under its own name. */
#include "config-test.h"

#include <stdlib.h>
#include <unistd.h>

static void test_defaults_hold_without_a_file(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, NULL, NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
    assert_int_equal(sandbox->config.gateway_port, 8080);
    assert_string_equal(sandbox->config.gateway_host, "127.0.0.1");
    assert_int_equal(sandbox->config.agent_count, 0);
}

static void test_file_beats_default(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, "gateway: {port: 1001}\n", NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
    assert_int_equal(sandbox->config.gateway_port, 1001);
    assert_string_equal(sandbox->config.file, sandbox->path);
}

static void test_environment_beats_file(void **state)
{
    struct sandbox *sandbox = *state;
    setenv("RINGSIDE_GATEWAY_PORT", "1002", 1);
    sandbox_load(sandbox, "gateway: {port: 1001}\n", NULL);
    assert_int_equal(sandbox->config.gateway_port, 1002);
}

static void test_flag_beats_environment(void **state)
{
    struct sandbox *sandbox = *state;
    setenv("RINGSIDE_GATEWAY_PORT", "1002", 1);
    sandbox_load(
        sandbox, "gateway: {port: 1001}\n", (const char *[]){"--gateway-port", "1003", NULL});
    assert_int_equal(sandbox->config.gateway_port, 1003);
}

static void test_empty_variable_counts_as_absent(void **state)
{
    struct sandbox *sandbox = *state;
    setenv("RINGSIDE_GATEWAY_PORT", "", 1);
    sandbox_load(sandbox, "gateway: {port: 1001}\n", NULL);
    assert_int_equal(sandbox->config.gateway_port, 1001);
}

static void test_file_is_found_through_the_environment(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_write(sandbox, "other.yaml", "gateway: {port: 1004}\n");
    char path[128];
    snprintf(path, sizeof(path), "%s/other.yaml", sandbox->folder);
    setenv("RINGSIDE_CONFIG", path, 1);
    sandbox_load(sandbox, NULL, NULL);
    assert_int_equal(sandbox->config.gateway_port, 1004);
    sandbox_load(sandbox, "gateway: {port: 1001}\n", NULL);
    assert_int_equal(sandbox->config.gateway_port, 1001);
}

static void test_short_folder_variables_beat_the_file(void **state)
{
    struct sandbox *sandbox = *state;
    setenv("RINGSIDE_RUN_DIR", "/short/run", 1);
    setenv("RINGSIDE_DATA_DIR", "/short/data", 1);
    sandbox_load(sandbox, "node: {run_dir: /file/run, data_dir: /file/data}\n", NULL);
    assert_string_equal(sandbox->config.node_run_dir, "/short/run");
    assert_string_equal(sandbox->config.node_data_dir, "/short/data");
    setenv("RINGSIDE_NODE_RUN_DIR", "/long/run", 1);
    sandbox_load(sandbox, "node: {run_dir: /file/run}\n", NULL);
    assert_string_equal(sandbox->config.node_run_dir, "/long/run");
}

static void test_bad_variable_is_named(void **state)
{
    struct sandbox *sandbox = *state;
    setenv("RINGSIDE_WORKER_MAX_RUNS", "none", 1);
    sandbox_load(sandbox, NULL, NULL);
    assert_said(sandbox, "RINGSIDE_WORKER_MAX_RUNS: \"none\" is not a whole number from 1 to 4096");
}

static void test_mistyped_variable_is_named_with_the_right_one(void **state)
{
    struct sandbox *sandbox = *state;
    setenv("RINGSIDE_GATEWAY_PROT", "80", 1);
    sandbox_load(sandbox, NULL, NULL);
    assert_said(
        sandbox, "RINGSIDE_GATEWAY_PROT: unknown variable; did you mean RINGSIDE_GATEWAY_PORT?");
}

static void test_variables_that_platforms_make_are_left_alone(void **state)
{
    struct sandbox *sandbox = *state;
    setenv("RINGSIDE_GATEWAY_SERVICE_HOST", "10.0.0.1", 1);
    sandbox_load(sandbox, NULL, NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
}

static void test_bad_value_is_a_problem_even_where_replaced(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(
        sandbox, "gateway: {port: many}\n", (const char *[]){"--gateway-port", "1003", NULL});
    assert_said_at(sandbox, 1, "gateway.port: \"many\" is not a whole number");
}

static void test_problems_of_all_sources_are_said_together(void **state)
{
    struct sandbox *sandbox = *state;
    setenv("RINGSIDE_WORKER_MAX_RUNS", "none", 1);
    sandbox_load(sandbox, "gateway:\n  prot: 1\n  heartbeat: never\n",
        (const char *[]){"--ring-bytes", "5", NULL});
    assert_said_at(sandbox, 2, "gateway.prot: ");
    assert_said_at(sandbox, 3, "gateway.heartbeat: ");
    assert_said(sandbox, "RINGSIDE_WORKER_MAX_RUNS: ");
    assert_said(sandbox, "--ring-bytes: \"5\" is not a power of two in bytes");
    assert_int_equal(sandbox_lines_said(sandbox), 4);
}

static void test_missing_file_is_a_problem(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, NULL, (const char *[]){"--config", "/no/such/file.yaml", NULL});
    assert_said(sandbox, "/no/such/file.yaml: cannot be read: No such file or directory");
}

static void test_check_config_answers_and_leaves(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, "gateway: {port: 1}\n", (const char *[]){"--check-config", NULL});
    assert_int_equal(sandbox->action, CONFIG_EXIT_DONE);
    sandbox_load(sandbox, "gateway: {port: x}\n", (const char *[]){"--check-config", NULL});
    assert_int_equal(sandbox->action, CONFIG_EXIT_USAGE);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, sandbox_setup, sandbox_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_defaults_hold_without_a_file),
        CASE(test_file_beats_default),
        CASE(test_environment_beats_file),
        CASE(test_flag_beats_environment),
        CASE(test_empty_variable_counts_as_absent),
        CASE(test_file_is_found_through_the_environment),
        CASE(test_short_folder_variables_beat_the_file),
        CASE(test_bad_variable_is_named),
        CASE(test_mistyped_variable_is_named_with_the_right_one),
        CASE(test_variables_that_platforms_make_are_left_alone),
        CASE(test_bad_value_is_a_problem_even_where_replaced),
        CASE(test_problems_of_all_sources_are_said_together),
        CASE(test_missing_file_is_a_problem),
        CASE(test_check_config_answers_and_leaves),
    };
    return cmocka_run_group_tests_name("config-load", tests, NULL, NULL);
}
