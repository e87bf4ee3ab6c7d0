/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "agents/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What a configuration file with this text says. */
static void load(struct config *ret_config, const char *text)
{
    static const char *const sections[] = {"worker", NULL};
    static const struct config_flag flags[] = {{.name = NULL}};
    const struct config_program program = {
        .name = "test-registry", .summary = "", .sections = sections, .flags = flags};
    char name[] = "test-registry";
    char flag[] = "--config";
    char file[] = "/tmp/test-registry-XXXXXX";
    char *argv[] = {name, flag, file, NULL};
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    assert_int_equal(config_load(ret_config, &program, 3, argv), CONFIG_RUN);
    unlink(file);
}

static void test_agents_and_tools_are_found_with_their_programs(void **state)
{
    struct config config;
    struct registry registry;
    struct buffer problems = BUFFER_INIT;
    (void)state;
    load(&config, "agents:\n"
                  "  one: {command: [sh], tools: {list: {command: [/bin/cat]},\n"
                  "    look: {command: [sh], description: Looks, input_schema: {type: object}}}}\n"
                  "  two: {command: [/bin/cat]}\n");
    assert_int_equal(registry_init(&registry, &config, &problems), 0);
    const struct registry_agent *one = registry_find(&registry, SPAN_LITERAL("one"));
    assert_non_null(one);
    assert_int_equal(one->program.path[0], '/');
    assert_string_equal(one->program.directory, "/tmp");
    assert_string_equal(registry_find_tool(one, "list")->program.path, "/bin/cat");
    assert_null(registry_find_tool(one, "read"));
    assert_true(span_is(buffer_span(&one->offer),
        "[{\"name\":\"list\"},{\"name\":\"look\",\"description\":\"Looks\","
        "\"input_schema\":{\"type\":\"object\"}}]"));
    assert_true(span_is(buffer_span(&registry_find(&registry, SPAN_LITERAL("two"))->offer), "[]"));
    assert_null(registry_find(&registry, SPAN_LITERAL("three")));
    assert_string_equal(registry.names.data, "one\ntwo");
    registry_deinit(&registry);
    config_deinit(&config);
    buffer_deinit(&problems);
}

static void test_every_program_that_cannot_be_run_is_named_with_its_reason(void **state)
{
    struct config config;
    struct registry registry;
    struct buffer problems = BUFFER_INIT;
    (void)state;
    load(&config, "agents:\n"
                  "  one: {command: [no-such-program-here]}\n"
                  "  two: {command: [/tmp]}\n"
                  "  three: {command: [sh], tools: {list: {command: [/etc/passwd]},\n"
                  "    look: {command: [sh], input_schema: {type: object, required: x}}}}\n");
    assert_int_equal(registry_init(&registry, &config, &problems), -ENOEXEC);
    buffer_append_char(&problems, '\0');
    assert_string_equal(problems.data,
        "agent one: its program no-such-program-here is not there\n"
        "agent two: its program /tmp is not a file\n"
        "agent three, tool list: its program /etc/passwd may not be executed\n"
        "agent three, tool look: its input_schema: \"required\" is not a list of names\n");
    config_deinit(&config);
    buffer_deinit(&problems);
}

static bool has_variable(const struct registry *registry, const char *name)
{
    for (char **variable = registry->environment; *variable; variable++) {
        if (strncmp(*variable, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

static void test_children_do_not_see_what_is_only_the_workers(void **state)
{
    struct config config;
    struct registry registry;
    struct buffer problems = BUFFER_INIT;
    (void)state;
    setenv("RINGSIDE_GATEWAY_TOKEN_KEY_FILE", "/secret", 1);
    setenv("NOTIFY_SOCKET", "/run/x", 1);
    setenv("LIBRARIAN_FOLDER", "/books", 1);
    load(&config, "agents:\n  one: {command: [sh]}\n");
    assert_int_equal(registry_init(&registry, &config, &problems), 0);
    assert_false(has_variable(&registry, "RINGSIDE_"));
    assert_false(has_variable(&registry, "NOTIFY_SOCKET="));
    assert_true(has_variable(&registry, "LIBRARIAN_FOLDER=/books"));
    registry_deinit(&registry);
    config_deinit(&config);
    buffer_deinit(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agents_and_tools_are_found_with_their_programs),
        cmocka_unit_test(test_every_program_that_cannot_be_run_is_named_with_its_reason),
        cmocka_unit_test(test_children_do_not_see_what_is_only_the_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
