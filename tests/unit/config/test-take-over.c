/* SPDX-License-Identifier: Apache-2.0 */
#include "config-test.h"

#include "config/take_over.h"

#include <stdio.h>

struct told {
    char done[256];
    char later[256];
};

static void tell(void *context, const struct option *option, enum take_over outcome)
{
    struct told *told = context;
    char *list = outcome == TAKE_OVER_DONE ? told->done : told->later;
    size_t used = strlen(list);
    snprintf(list + used, sizeof(told->done) - used, "%s.%s ", option->section, option->key);
}

static bool all_but_port(const struct option *option)
{
    return option != &option_table[OPTION_AT_gateway_port];
}

static struct told take_over(struct config *config, const char *yaml)
{
    struct sandbox *sandbox = NULL;
    struct told told = {0};
    const struct take_over_rules rules = {
        .may_change = all_but_port, .tell = tell, .context = &told};
    assert_int_equal(sandbox_setup((void **)&sandbox), 0);
    sandbox_load(sandbox, yaml, NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
    config_take_over(config, &sandbox->config, &rules);
    assert_int_equal(sandbox_teardown((void **)&sandbox), 0);
    return told;
}

static void test_options_of_every_kind_are_taken_over(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, "gateway: {heartbeat: 10s}\n", NULL);
    struct told told = take_over(&sandbox->config,
        "node: {log_level: debug}\n"
        "gateway: {token_issuer: me, max_connections: 7, heartbeat: 5s, max_outbox: 1M}\n");
    assert_string_equal(told.done, "node.log_level gateway.token_issuer gateway.max_connections "
                                   "gateway.max_outbox gateway.heartbeat ");
    assert_string_equal(told.later, "");
    assert_string_equal(sandbox->config.node_log_level, "debug");
    assert_string_equal(sandbox->config.gateway_token_issuer, "me");
    assert_int_equal(sandbox->config.gateway_max_connections, 7);
    assert_int_equal(sandbox->config.gateway_max_outbox, 1 << 20);
    assert_int_equal(sandbox->config.gateway_heartbeat, 5000);
}

static void test_what_is_as_it_was_is_not_told(void **state)
{
    struct sandbox *sandbox = *state;
    const char *yaml = "gateway: {token_issuer: me, heartbeat: 10s}\n";
    sandbox_load(sandbox, yaml, NULL);
    struct told told = take_over(&sandbox->config, yaml);
    assert_string_equal(told.done, "");
    assert_string_equal(told.later, "");
}

static void test_what_may_not_change_stays_and_is_told(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, "gateway: {port: 1001}\n", NULL);
    struct told told = take_over(&sandbox->config, "gateway: {port: 1002, max_connections: 7}\n");
    assert_string_equal(told.done, "gateway.max_connections ");
    assert_string_equal(told.later, "gateway.port ");
    assert_int_equal(sandbox->config.gateway_port, 1001);
}

static void test_a_line_that_was_removed_brings_the_default_back(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, "gateway: {token_issuer: me, max_connections: 7}\n", NULL);
    struct told told = take_over(&sandbox->config, "gateway: {}\n");
    assert_string_equal(told.done, "gateway.token_issuer gateway.max_connections ");
    assert_string_equal(sandbox->config.gateway_token_issuer, "");
    assert_int_equal(sandbox->config.gateway_max_connections, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_options_of_every_kind_are_taken_over, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(
            test_what_is_as_it_was_is_not_told, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(
            test_what_may_not_change_stays_and_is_told, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_line_that_was_removed_brings_the_default_back, sandbox_setup, sandbox_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
