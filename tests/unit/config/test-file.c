/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of mistake in a file names its line; agents are read as documented. */
#include "config-test.h"

#include <sys/stat.h>

struct mistake {
    const char *yaml;
    unsigned line;
    const char *said;
};

static const struct mistake mistakes[] = {
    {"gateway:\n  prot: 1\n", 2, "gateway.prot: unknown key; did you mean \"port\"?"},
    {"gateway:\n  zebra: 1\n", 2, "gateway.zebra: unknown key\n"},
    {"gateway:\n  max_runs: 1\n", 2, "gateway.max_runs: unknown key here; it belongs to \"wor"},
    {"\n\ngatewy:\n  port: 1\n", 3, "gatewy: unknown key; did you mean \"gateway\"?"},
    {"agent: {}\n", 1, "agent: unknown key; did you mean \"agents\"?"},
    {"port: 1\n", 1, "port: unknown key here; it belongs below \"gateway:\""},
    {"gateway:\n  port: 1\n  port: 2\n", 3, "gateway: \"port\" is given twice, first on line 2"},
    {"gateway: {}\nnode: {}\ngateway: {}\n", 3, "file: \"gateway\" is given twice, first on li"},
    {"gateway:\n  port:\n", 2, "gateway.port: has no value"},
    {"gateway:\n  port: [1, 2]\n", 2, "gateway.port: needs one value"},
    {"gateway:\n  host: \"a\\0b\"\n", 2, "gateway.host: contains a NUL byte"},
    {"gateway:\n  [a]: 1\n", 2, "gateway: a key here is no plain text"},
    {"gateway: 7\n", 1, "gateway: needs keys of its own"},
    {"- gateway\n", 1, "file: needs sections"},
    {"gateway:\n  port: 70000\n", 2, "gateway.port: \"70000\" is not a whole number from 0 to "},
    {"gateway:\n  heartbeat: 5\n", 2, "gateway.heartbeat: \"5\" is not a duration (250ms, 5s,"},
    {"ring:\n  bytes: 100000\n", 2, "ring.bytes: \"100000\" is not a power of two"},
    {"node:\n  log_level: loud\n", 2, "node.log_level: \"loud\" is not one of debug|info|warn"},
    {"node:\n  name: a/b\n", 2, "node.name: \"a/b\" is not a name of 1 to 63"},
    {"gateway: {port: 1}\n---\nnode: {}\n", 3, "file: a second document"},
    {"gateway:\n  port: [\n", 3, "not valid YAML: "},
    {"gateway:\n\tport: 1\n", 2, "not valid YAML: "},
    {"agents: [a]\n", 1, "agents: needs the agents by name"},
    {"agents:\n  \"a b\": {command: [x]}\n", 2, "agents: a name is 1 to 127 printable"},
    {"agents:\n  a:\n", 2, "agents: \"a\" needs at least"},
    {"agents:\n  a: {}\n", 2, "agents.a: has no \"command\""},
    {"agents:\n  a:\n    comand: [x]\n", 3, "agents.a.comand: unknown key; did you mean \"comm"},
    {"agents:\n  a: {command: x y}\n", 2, "agents.a.command: needs a list of words"},
    {"agents:\n  a: {command: []}\n", 2, "agents.a.command: needs 1 to 256 words"},
    {"agents:\n  a: {command: ['']}\n", 2, "agents.a.command: the first word, the program, is"},
    {"agents:\n  a: {command: [x, [y]]}\n", 2, "agents.a.command: needs one value"},
    {"agents:\n  a: {kind: magic, command: [x]}\n", 2,
        "agents.a.kind: \"magic\" is none of exec, native, llm"},
    {"agents:\n  a: {kind: llm}\n", 2, "agents.a: has no \"settings\""},
    {"agents:\n  a: {kind: llm, settings: {}, command: [x]}\n", 2,
        "agents.a: \"command\" is for kind: exec"},
    {"agents:\n  a: {kind: native}\n", 2, "agents.a: has no \"library\""},
    {"agents:\n  a: {kind: native, library: a.so}\n", 2, "agents.a.library: needs a path with"},
    {"agents:\n  a: {command: [x], library: ./a.so}\n", 2,
        "agents.a: \"library\" is for kind: native"},
    {"agents:\n  a: {command: [x], settings: 7}\n", 2, "agents.a.settings: needs settings by name"},
    {"agents:\n  a: {command: [x], settings: &s {s: *s}}\n", 2,
        "agents.a.settings: is nested more than 32 deep"},
    {"agents:\n  a: {command: [x], limits: 7}\n", 2, "agents.a.limits: needs its values by name"},
    {"agents:\n  a: {command: [x], limits: {memory: 1}}\n", 2,
        "agents.a.limits.memory: \"1\" is not a size (64M) from 1M to 1024T"},
    {"agents:\n  a: {command: [x], limits: {cpu_time: 1ms}}\n", 2,
        "agents.a.limits.cpu_time: \"1ms\" is not a duration (250ms, 5s) from 1s to 1d"},
    {"agents:\n  a: {command: [x], limits: {run: 1}}\n", 2,
        "agents.a.limits.run: unknown key; did you mean \"runs\"?"},
    {"agents:\n  a: {command: [x], pool: {max_uses: 0}}\n", 2,
        "agents.a.pool.max_uses: \"0\" is not a whole number from 1 to 1000000"},
    {"agents:\n  a:\n    command: [x]\n    tools: [t]\n", 4, "agents.a.tools: needs the tools"},
    {"agents:\n  a:\n    command: [x]\n    tools:\n      t: {}\n", 5,
        "agents.a.tools.t: has no \"command\""},
    {"agents:\n  a:\n    command: [x]\n    tools:\n      t: {command: [y], timeout: 5}\n", 5,
        "agents.a.tools.t.timeout: \"5\" is not a duration"},
    {"agents:\n  a:\n    command: [x]\n    tools:\n      t: {command: [y], timout: 5s}\n", 5,
        "agents.a.tools.t.timout: unknown key; did you mean \"timeout\"?"},
    {"agents:\n  a:\n    command: [x]\n    mcp: [x]\n", 4,
        "agents.a.mcp: needs the servers by name"},
    {"agents:\n  a:\n    command: [x]\n    mcp:\n      t: {timeout: 5s}\n", 5,
        "agents.a.mcp.t: has no \"command\""},
    {"agents:\n  a:\n    command: [x]\n    mcp:\n      a.b: {command: [y]}\n", 5,
        "agents.a.mcp.a.b: a server's name is 1 to 32 letters, digits, _ and -"},
    {"agents:\n  a:\n    command: [x]\n    mcp:\n      t: {command: [y], tool: {}}\n", 5,
        "agents.a.mcp.t.tool: unknown key; did you mean \"tools\"?"},
    {"agents:\n  a:\n    command: [x]\n    mcp:\n      t: {command: [y], tools: {u: {x: 1}}}\n", 5,
        "agents.a.mcp.t.tools.u.x: unknown key"},
    {"agents:\n  a:\n    command: [x]\n    tools:\n      t: {command: [y], approval: yes}\n", 5,
        "agents.a.tools.t.approval: \"yes\" is not one of: auto, ask, deny"},
    {"agents:\n  a:\n    command: [x]\n    tools:\n      t: {kind: clint}\n", 5,
        "agents.a.tools.t.kind: \"clint\" is not one of: command, client"},
    {"agents:\n  a:\n    command: [x]\n    tools:\n      t: {kind: client, command: [y]}\n", 5,
        "agents.a.tools.t: \"command\" is not for kind: client"},
    {"agents:\n  a:\n    command: [x]\n    tools:\n      t: {command: [y], input_schema: {}}\n", 5,
        "agents.a.tools.t.input_schema: needs \"type: object\""},
    {"agents:\n  a:\n    command: [x]\n    tools:\n      t: {command: [y], input_schema: x}\n", 5,
        "agents.a.tools.t.input_schema: needs settings by name"},
};

static void test_each_mistake_names_its_line_and_key(void **state)
{
    struct sandbox *sandbox = *state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        sandbox_load(sandbox, mistakes[i].yaml, NULL);
        assert_said_at(sandbox, mistakes[i].line, mistakes[i].said);
    }
}

static void test_file_that_cannot_be_meant_as_text_is_refused(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, "gateway:\n  host: \xff\xfe\n", NULL);
    assert_said(sandbox, "not valid YAML: ");
    sandbox_load(sandbox, "a: &a [*a]\ngateway: *a\n", NULL);
    assert_int_equal(sandbox->action, CONFIG_EXIT_USAGE);
}

static void test_empty_file_changes_nothing(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox, "", NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
    sandbox_load(sandbox, "# nothing but this\n", NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
    assert_int_equal(sandbox->config.gateway_port, 8080);
}

static void test_paths_start_at_the_files_folder(void **state)
{
    struct sandbox *sandbox = *state;
    char expected[128];
    sandbox_load(sandbox, "gateway:\n  token_key_file: keys/k\n  web_root: /w\n", NULL);
    snprintf(expected, sizeof(expected), "%s/keys/k", sandbox->folder);
    assert_string_equal(sandbox->config.gateway_token_key_file, expected);
    assert_string_equal(sandbox->config.gateway_web_root, "/w");
    assert_string_equal(sandbox->config.gateway_token_pem_file, "");
}

static void test_settings_are_json_for_the_agent_alone_and_limits_are_read(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox,
        "agents:\n"
        "  a:\n"
        "    kind: native\n"
        "    library: lib/a.so\n"
        "    settings:\n"
        "      model: gpt\n"
        "      steps: 12\n"
        "      ratio: -0.5e1\n"
        "      version: 1.10.0\n"
        "      port: '8080'\n"
        "      on: true\n"
        "      off:\n"
        "      list: [1, two, {three: \"3\\n\"}]\n"
        "  b: {command: [b], limits: {runs: 3, memory: 64M, cpu_time: 5m}, pool: {min_idle: "
        "2}}\n",
        NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
    const struct config_agent *a = config_find_agent(&sandbox->config, SPAN_LITERAL("a"));
    assert_int_equal(a->kind, CONFIG_AGENT_NATIVE);
    assert_null(a->command.argv);
    assert_int_equal(a->library[0], '/');
    assert_string_equal(a->settings,
        "{\"model\":\"gpt\",\"steps\":12,\"ratio\":-0.5e1,\"version\":\"1.10.0\",\"port\":\"8080\","
        "\"on\":true,\"off\":null,\"list\":[1,\"two\",{\"three\":\"3\\n\"}]}");
    const struct config_agent *b = config_find_agent(&sandbox->config, SPAN_LITERAL("b"));
    assert_string_equal(b->settings, "{}");
    assert_int_equal(b->limits.runs, 3);
    assert_int_equal(b->limits.memory, 64u << 20);
    assert_int_equal(b->limits.cpu_time_ms, 300000);
    assert_int_equal(b->pool.min_idle, 2);
    assert_int_equal(b->pool.max_uses, 1);
}

static void test_agents_are_read_with_their_tools(void **state)
{
    struct sandbox *sandbox = *state;
    sandbox_load(sandbox,
        "agents:\n"
        "  one:\n"
        "    description: The first\n"
        "    command: [python3, -u, one.py]\n"
        "    tools:\n"
        "      look:\n"
        "        command: [look, deep]\n"
        "        timeout: 10s\n"
        "        description: Looks deep\n"
        "        input_schema: {type: object, required: [depth]}\n"
        "      think: {command: [think]}\n"
        "  two: {command: [two]}\n",
        NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
    assert_int_equal(sandbox->config.agent_count, 2);
    const struct config_agent *one = config_find_agent(&sandbox->config, SPAN_LITERAL("one"));
    assert_non_null(one);
    assert_string_equal(one->description, "The first");
    assert_string_equal(one->directory, sandbox->folder);
    assert_string_equal(one->command.argv[2], "one.py");
    assert_null(one->command.argv[3]);
    assert_int_equal(one->tool_count, 2);
    assert_string_equal(one->tools[0].name, "look");
    assert_int_equal(one->tools[0].timeout_ms, 10000);
    assert_string_equal(one->tools[0].command.argv[1], "deep");
    assert_string_equal(one->tools[0].description, "Looks deep");
    assert_string_equal(
        one->tools[0].input_schema, "{\"type\":\"object\",\"required\":[\"depth\"]}");
    assert_int_equal(one->tools[1].timeout_ms, 30000);
    assert_null(one->tools[1].description);
    assert_null(one->tools[1].input_schema);
    const struct config_agent *two = config_find_agent(&sandbox->config, SPAN_LITERAL("two"));
    assert_non_null(two);
    assert_string_equal(two->description, "");
    assert_null(config_find_agent(&sandbox->config, SPAN_LITERAL("three")));
}

static void test_words_of_a_command_are_resolved_as_documented(void **state)
{
    struct sandbox *sandbox = *state;
    char folder[128], expected[160];
    snprintf(folder, sizeof(folder), "%s/agents", sandbox->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    sandbox_write(sandbox, "agents/a.py", "");
    sandbox_write(sandbox, "plain", "");
    sandbox_load(sandbox,
        "agents:\n"
        "  a: {command: [bin/run, agents/a.py, agents/none.py, plain, 'http://h/x', /etc/x]}\n"
        "  b: {command: [plain]}\n",
        NULL);
    assert_int_equal(sandbox->action, CONFIG_RUN);
    char **argv = sandbox->config.agents[0].command.argv;
    snprintf(expected, sizeof(expected), "%s/bin/run", sandbox->folder);
    assert_string_equal(argv[0], expected);
    snprintf(expected, sizeof(expected), "%s/agents/a.py", sandbox->folder);
    assert_string_equal(argv[1], expected);
    assert_string_equal(argv[2], "agents/none.py");
    assert_string_equal(argv[3], "plain");
    assert_string_equal(argv[4], "http://h/x");
    assert_string_equal(argv[5], "/etc/x");
    assert_string_equal(sandbox->config.agents[1].command.argv[0], "plain");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, sandbox_setup, sandbox_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_each_mistake_names_its_line_and_key),
        CASE(test_file_that_cannot_be_meant_as_text_is_refused),
        CASE(test_empty_file_changes_nothing),
        CASE(test_paths_start_at_the_files_folder),
        CASE(test_settings_are_json_for_the_agent_alone_and_limits_are_read),
        CASE(test_agents_are_read_with_their_tools),
        CASE(test_words_of_a_command_are_resolved_as_documented),
    };
    return cmocka_run_group_tests_name("config-file", tests, NULL, NULL);
}
