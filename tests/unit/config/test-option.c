/* SPDX-License-Identifier: Apache-2.0 */
#include "config/option.h"

#include "unit.h"

#include <errno.h>

static void test_every_default_is_a_value_its_option_takes(void **state)
{
    (void)state;
    struct config config = {0};
    assert_int_equal(option_set_defaults(&config), 0);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        struct buffer text = BUFFER_INIT;
        option_append_default(&option_table[i], &text);
        buffer_append_char(&text, '\0');
        if (option_set(&config, &option_table[i], text.data) != 0)
            fail_msg("%s.%s does not take its default \"%s\"", option_table[i].section,
                option_table[i].key, text.data);
        buffer_deinit(&text);
    }
    assert_int_equal(config.gateway_port, 8080);
    assert_string_equal(config.node_name, "default");
    config_deinit(&config);
}

static void test_names_follow_from_section_and_key(void **state)
{
    (void)state;
    const struct option *option = option_find(SPAN_LITERAL("gateway"), SPAN_LITERAL("max_outbox"));
    char name[OPTION_NAME_MAX];
    assert_non_null(option);
    option_flag_name(option, name);
    assert_string_equal(name, "gateway-max-outbox");
    option_variable_name(option, name);
    assert_string_equal(name, "RINGSIDE_GATEWAY_MAX_OUTBOX");
    assert_null(option_find(SPAN_LITERAL("worker"), SPAN_LITERAL("max_outbox")));
}

static void refuse(const char *section, const char *key, const char *text)
{
    struct config config = {0};
    const struct option *option = option_find(span_of_string(section), span_of_string(key));
    assert_non_null(option);
    assert_int_equal(option_set_defaults(&config), 0);
    if (option_set(&config, option, text) != -EINVAL)
        fail_msg("%s.%s took \"%s\"", section, key, text);
    config_deinit(&config);
}

static void test_values_outside_their_range_are_refused(void **state)
{
    (void)state;
    refuse("gateway", "port", "65536");
    refuse("gateway", "port", "-1");
    refuse("gateway", "port", "eighty");
    refuse("gateway", "port", "80 ");
    refuse("gateway", "heartbeat", "999ms");
    refuse("gateway", "max_frame", "1T");
    refuse("ring", "bytes", "48K");
    refuse("node", "log_level", "loud");
    refuse("node", "log_level", "info|warn");
    refuse("node", "log_level", "");
    refuse("node", "name", "a/b");
    refuse("node", "name", "..");
    refuse("node", "name", "");
}

static void test_refused_value_leaves_the_old_one(void **state)
{
    (void)state;
    struct config config = {0};
    const struct option *port = &option_table[OPTION_AT_gateway_port];
    assert_int_equal(option_set_defaults(&config), 0);
    assert_int_equal(option_set(&config, port, "9000"), 0);
    assert_int_equal(option_set(&config, port, "many"), -EINVAL);
    assert_int_equal(config.gateway_port, 9000);
    config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_default_is_a_value_its_option_takes),
        cmocka_unit_test(test_names_follow_from_section_and_key),
        cmocka_unit_test(test_values_outside_their_range_are_refused),
        cmocka_unit_test(test_refused_value_leaves_the_old_one),
    };
    return cmocka_run_group_tests_name("config-option", tests, NULL, NULL);
}
