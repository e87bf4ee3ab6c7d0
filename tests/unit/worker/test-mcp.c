/* SPDX-License-Identifier: Apache-2.0 */
/* MCP servers: a real one, in Python, faithful or bad as it is told; and what its messages mean. */
#include "worker-test.h"

#include "tools/interrupts.h"

#include "base/cleanup.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

#define CALL(name, args)                                                                           \
    "{\\\"name\\\":\\\"" name "\\\",\\\"tool_call_id\\\":\\\"c-1\\\",\\\"args\\\":{" args "}}"
#define ONE(name, args) "\"[" CALL(name, args) "]\""

static const char *folder;

/* ---- messages */

static bool result_of(const char *line, struct buffer *value)
{
    struct rpc_message message;
    const char *reason;
    assert_int_equal(rpc_parse(&message, span_of_string(line), &reason), 0);
    buffer_clear(value);
    bool ok = mcp_parse_result(&message, value);
    buffer_append_char(value, '\0');
    return ok;
}

static void test_result_is_structure_or_text_or_parts(void **state)
{
    static const struct {
        const char *line;
        bool ok;
        const char *value;
    } cases[] = {
        {"{\"content\":[{\"type\":\"text\",\"text\":\"a\\\"\"},{\"type\":\"text\",\"text\":\"b\"}]"
         "}",
            true, "\"a\\\"\\nb\""},
        {"{\"content\":[],\"structuredContent\":{\"a\":1}}", true, "{\"a\":1}"},
        {"{\"structuredContent\":{\"a\":1}}", true, "{\"a\":1}"},
        {"{\"content\":[]}", true, "[]"},
        {"{\"content\":[{\"type\":\"image\"}]}", true, "[{\"type\":\"image\"}]"},
        {"{\"content\":[{\"text\":\"a\"},{\"text\":\"b\"}],\"isError\":true}", false, "a\nb"},
        {"{\"content\":[],\"isError\":true}", false, "the tool failed"},
        {"{\"content\":{}}", false, "the answer is no result of a tool"},
        {"7", false, "the answer is no result of a tool"},
    };
    struct buffer value = BUFFER_INIT;
    char line[512];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":%s}", cases[i].line);
        assert_int_equal(result_of(line, &value), cases[i].ok);
        assert_string_equal(value.data, cases[i].value);
    }
    assert_false(result_of(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1,\"message\":\"no\"}}", &value));
    assert_string_equal(value.data, "no (-1)");
    assert_false(result_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}", &value));
    assert_string_equal(value.data, "it was refused");
    buffer_deinit(&value);
}

static void test_progress_is_a_share_where_the_total_is_known(void **state)
{
    struct mcp_progress progress;
    struct buffer out = BUFFER_INIT;
    (void)state;
    assert_true(mcp_parse_progress(&progress,
        SPAN_LITERAL("{\"progressToken\":7,\"progress\":1,\"total\":4,\"message\":\"m\"}")));
    assert_int_equal(progress.token, 7);
    mcp_append_progress(&out, &progress);
    assert_true(mcp_parse_progress(
        &progress, SPAN_LITERAL("{\"progressToken\":7,\"progress\":9,\"total\":\"x\"}")));
    mcp_append_progress(&out, &progress);
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data,
        "{\"fraction\":0.25,\"progress\":1,\"total\":4,\"message\":\"m\"}{\"progress\":9}");
    assert_false(mcp_parse_progress(&progress, SPAN_LITERAL("{\"progressToken\":7}")));
    assert_false(
        mcp_parse_progress(&progress, SPAN_LITERAL("{\"progressToken\":\"7\",\"progress\":1}")));
    assert_false(mcp_parse_progress(&progress, SPAN_EMPTY));
    buffer_deinit(&out);
}

/* ---- servers that cannot be used */

/* A server alone, on a loop of its own. */
struct stage {
    char path[4096];
    char *argv[4];
    struct config_mcp_tool tool;
    struct registry_mcp declared;
    struct ev_loop *loop;
    struct mcp_server *server;
    uint64_t start_timeout_ms; /* 0 for one that is never reached */
};

static int start_alone(struct stage *stage, const char *way, const char *declared_tool)
{
    const char *said;
    int verdict;
    stage->loop = ev_loop_new(EVFLAG_AUTO);
    snprintf(stage->path, sizeof(stage->path), "%s/mcp_server.py", folder);
    stage->argv[0] = (char[]){"python3"};
    stage->argv[1] = stage->path;
    stage->argv[2] = (char *)(uintptr_t)way;
    stage->tool.name = (char *)(uintptr_t)declared_tool;
    stage->declared = (struct registry_mcp){.name = "test",
        .program = {.path = (char[]){"/usr/bin/python3"},
            .argv = stage->argv,
            .environment = (char *[]){NULL},
            .directory = folder},
        .tools = &stage->tool,
        .tool_count = declared_tool ? 1 : 0};
    const struct mcp_server_options options = {.loop = stage->loop,
        .declared = &stage->declared,
        .agent = "guest",
        .line_max = 100000,
        .output_max = 1000,
        .start_timeout_ms = stage->start_timeout_ms ? stage->start_timeout_ms : 20000};
    assert_int_equal(mcp_server_new(&stage->server, &options), 0);
    while ((verdict = mcp_server_verdict(stage->server, &said)) == 0)
        ev_run(stage->loop, EVRUN_ONCE);
    return verdict;
}

static void end_alone(struct stage *stage)
{
    mcp_server_free(stage->server);
    ev_loop_destroy(stage->loop);
}

static void assert_refused(const char *way, const char *declared_tool, const char *reason)
{
    struct stage stage = {.start_timeout_ms = strcmp(way, "silent") == 0 ? 100 : 0};
    const char *said;
    assert_int_equal(start_alone(&stage, way, declared_tool), -ENOEXEC);
    mcp_server_verdict(stage.server, &said);
    assert_contains(said, reason);
    end_alone(&stage);
}

static void test_server_that_cannot_be_used_is_refused_with_its_reason(void **state)
{
    (void)state;
    assert_refused("exits", NULL, "exited with status 1: no database here");
    assert_refused("garbage", NULL, "a line that is not a message, as it is not JSON");
    assert_refused("longline", NULL, "too long a line");
    assert_refused("silent", NULL, "did not answer initialize in time");
    assert_refused("old", NULL, "no revision of the protocol that is known here");
    assert_refused("no_tools", NULL, "it has no tools");
    assert_refused("endless", NULL, "its list of tools has no end");
    assert_refused("", "nothing", "it has no tool nothing");
}

/* On a busy machine it may not even get as far within a short time: then it is given a longer one.
 */
static void test_server_that_does_not_list_its_tools_is_refused(void **state)
{
    bool refused = false;
    (void)state;
    for (uint64_t limit = 200; !refused && limit < 20000; limit *= 2) {
        struct stage stage = {.start_timeout_ms = limit};
        const char *said;
        assert_int_equal(start_alone(&stage, "list_silent", NULL), -ENOEXEC);
        mcp_server_verdict(stage.server, &said);
        refused = strstr(said, "did not list its tools in time") != NULL;
        if (!refused)
            assert_contains(said, "did not answer initialize in time");
        end_alone(&stage);
    }
    assert_true(refused);
}

static const struct mcp_call_events no_events = {.on_progress = NULL, .on_ended = NULL};

static void test_server_that_does_not_read_gets_no_more_calls(void **state)
{
    enum { CALLS = 40 };
    struct mcp_call *calls[CALLS];
    struct stage stage = {.start_timeout_ms = 0};
    struct buffer args = BUFFER_INIT;
    int made = 0;
    int rc = 0;
    (void)state;
    assert_int_equal(start_alone(&stage, "deaf", NULL), 1);
    buffer_append_string(&args, "{\"a\":\"");
    for (int i = 0; i < 60000; i++)
        buffer_append_char(&args, 'x');
    buffer_append_string(&args, "\"}");
    const struct mcp_wanted wanted = {
        .name = "slow", .args = buffer_span(&args), .timeout_ms = 600000};
    while (made < CALLS) {
        rc = mcp_server_call(&calls[made], stage.server, &wanted, &no_events, NULL);
        if (rc)
            break;
        made++;
    }
    assert_int_equal(rc, -ENOBUFS);
    assert_true(made > 8);
    while (made > 0)
        mcp_call_drop(calls[--made]);
    end_alone(&stage);
    buffer_deinit(&args);
}

/* ---- calls */

static void test_tools_are_offered_under_the_servers_name(void **state)
{
    struct bench *bench = *state;
    struct buffer offer = BUFFER_INIT;
    buffer_append_char(&offer, '[');
    mcp_set_append_offer(&bench->pools[0].mcp, &offer);
    buffer_append_char(&offer, '\0');
    assert_contains(offer.data,
        "[{\"name\":\"test__echo\",\"description\":\"Says it back\",\"input_schema\":{\"type\": "
        "\"object\", \"properties\": {\"text\": {\"type\": \"string\"}}, \"required\": "
        "[\"text\"]}},{\"name\":\"test__structured\",");
    assert_contains(offer.data, "{\"name\":\"other__echo\"");
    assert_int_equal(count_of(offer.data, "test__echo"), 1);
    assert_null(strstr(offer.data, "dot"));
    assert_null(strstr(offer.data, "xxx"));
    assert_null(strstr(offer.data, "schema\":{\"type\": \"objekt\""));
    buffer_deinit(&offer);
}

static void test_calls_of_a_run_go_to_the_server_side_by_side(void **state)
{
    const char *events = bench_run(*state, "guest",
        "\"[{\\\"name\\\":\\\"test__echo\\\",\\\"args\\\":{\\\"text\\\":\\\"hi\\\"}},"
        "{\\\"name\\\":\\\"test__parts\\\"},{\\\"name\\\":\\\"test__fails\\\"},"
        "{\\\"name\\\":\\\"test__refuses\\\"}]\"");
    assert_int_equal(count_of(events, "tool_executing"), 4);
    assert_contains(events,
        "\"result\":[{\"status\": \"ok\", \"result\": \"hi\"}, "
        "{\"status\": \"ok\", \"result\": [{\"type\": \"text\", \"text\": \"a\"}, "
        "{\"type\": \"image\", \"data\": \"AA==\", \"mimeType\": \"image/png\"}]}, "
        "{\"status\": \"error\", \"error\": {\"code\": \"tool_failed\", "
        "\"message\": \"there is no\\nsuch file\"}}, "
        "{\"status\": \"error\", \"error\": {\"code\": \"tool_failed\", "
        "\"message\": \"not today (-32602)\"}}]");
}

static void test_arguments_are_checked_and_unknown_tools_named(void **state)
{
    const char *events = bench_run(*state, "guest",
        "\"[{\\\"name\\\":\\\"test__echo\\\"},{\\\"name\\\":\\\"test__none\\\"},"
        "{\\\"name\\\":\\\"none__echo\\\"},{\\\"name\\\":\\\"test__nonsense\\\"}]\"");
    assert_contains(events, "args lacks \\\"text\\\"");
    assert_int_equal(count_of(events, "{\"code\": \"tool_not_found\""), 2);
    assert_contains(events, "the answer is no result of a tool");
}

static void test_progress_is_shown_with_its_call(void **state)
{
    const char *events = bench_run(*state, "guest", ONE("test__progress", ""));
    assert_contains(events,
        "partial_result tool=c-1 {\"progress\":{\"fraction\":0.25,\"progress\":1,"
        "\"total\":4,\"message\":\"a quarter\"}}");
    assert_int_equal(count_of(events, "\"fraction\""), 1);
}

static void test_flood_of_notes_is_thinned_out(void **state)
{
    const char *events = bench_run(*state, "guest", ONE("test__flood", ""));
    int notes = count_of(events, "{\"progress\":{\"progress\":");
    assert_true(notes >= 1 && notes < 1000);
    assert_contains(events, "{\"status\": \"ok\", \"result\": \"dry\"}");
}

static void test_server_is_asked_back_and_told_what_nobody_waits_for(void **state)
{
    const char *events = bench_run(*state, "guest",
        "\"{\\\"one_by_one\\\":[" CALL("other__slow", "") ",{\\\"name\\\":\\\"test__state\\\"},"
                                                          "{\\\"name\\\":\\\"test__state\\\"}]}\"");
    assert_contains(
        events, "\"code\": \"tool_timeout\", \"message\": \"the tool took longer than 50 ms\"");
    assert_contains(events, "\"pong\": \"result\"");
}

static void allow(struct bench *bench)
{
    const char *at = strstr(bench->events.data, "interrupt_requested {\"interrupt_id\":\"");
    at += sizeof("interrupt_requested {\"interrupt_id\":\"") - 1;
    const struct interrupt_answer answer = {.number = 1,
        .interrupt_id = span_of(at, strcspn(at, "\"")),
        .status = SPAN_LITERAL("resolved"),
        .payload = SPAN_LITERAL("{\"approved\":true}")};
    engine_resolve(bench->engine, &answer);
}

static void test_each_tool_may_have_an_approval_of_its_own(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "May test__structured be run?", allow);
    const char *events = bench_run(bench, "guest",
        "\"[{\\\"name\\\":\\\"test__structured\\\"},{\\\"name\\\":\\\"other__structured\\\"}]\"");
    assert_contains(events, "[{\"status\": \"ok\", \"result\": {\"sum\": 3}}, "
                            "{\"status\": \"denied\"");
}

static void test_result_larger_than_a_tool_may_give_is_refused(void **state)
{
    const char *events = bench_run(*state, "guest", ONE("test__huge", ""));
    assert_contains(events, "\"code\": \"tool_output_too_large\"");
}

static void test_list_that_changes_is_read_again(void **state)
{
    struct bench *bench = *state;
    struct registry_tool tool;
    assert_null(mcp_set_find(&bench->pools[0].mcp, "test__grown", &tool));
    bench_run(bench, "guest", ONE("test__grow", ""));
    while (!mcp_set_find(&bench->pools[0].mcp, "test__grown", &tool))
        ev_run(bench->loop, EVRUN_ONCE);
    assert_int_equal(tool.timeout_ms, 10000);
}

static void test_call_is_lost_with_its_server_which_is_started_again(void **state)
{
    struct bench *bench = *state;
    const char *events = bench_run(bench, "guest", ONE("test__dies", ""));
    assert_contains(events, "\"code\": \"tool_lost\"");
    events = bench_run(bench, "guest", ONE("test__echo", "\\\"text\\\":\\\"too early\\\""));
    assert_contains(events, "\"code\": \"tool_unavailable\"");
    do
        events = bench_run(bench, "guest", ONE("test__echo", "\\\"text\\\":\\\"back\\\""));
    while (strstr(strrchr(events, '['), "tool_unavailable"));
    assert_contains(events, "{\"status\": \"ok\", \"result\": \"back\"}");
}

static void test_server_that_writes_nonsense_is_ended(void **state)
{
    const char *events = bench_run(*state, "guest", ONE("test__garbles", ""));
    assert_contains(events, "\"code\": \"tool_lost\"");
}

static void cancel(struct bench *bench)
{
    engine_cancel(bench->engine, SPAN_LITERAL("enough"));
}

static void test_cancelled_run_does_not_wait_for_the_server(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "tool_executing", cancel);
    const char *events = bench_run(bench, "guest", ONE("test__slow", ""));
    assert_contains(events, "\"status\":\"cancelled\"");
    assert_contains(events, "agent_completed cancelled");
    events = bench_run(bench, "guest", ONE("test__state", ""));
    assert_contains(events, "\"cancelled\": 1");
}

static void kill_it(struct bench *bench)
{
    engine_kill(bench->engine);
}

static void test_run_that_ends_leaves_its_call_behind(void **state)
{
    struct bench *bench = *state;
    bench_when(bench, "tool_executing", kill_it);
    bench_start(bench, "guest", ONE("test__slow", ""));
    bench_finish(bench);
    assert_contains(bench_run(bench, "guest", ONE("test__state", "")), "\"cancelled\": 1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_is_structure_or_text_or_parts),
        cmocka_unit_test(test_progress_is_a_share_where_the_total_is_known),
        cmocka_unit_test(test_server_that_cannot_be_used_is_refused_with_its_reason),
        cmocka_unit_test(test_server_that_does_not_list_its_tools_is_refused),
        cmocka_unit_test(test_server_that_does_not_read_gets_no_more_calls),
        TEST(test_tools_are_offered_under_the_servers_name),
        TEST(test_calls_of_a_run_go_to_the_server_side_by_side),
        TEST(test_arguments_are_checked_and_unknown_tools_named),
        TEST(test_progress_is_shown_with_its_call),
        TEST(test_flood_of_notes_is_thinned_out),
        TEST(test_server_is_asked_back_and_told_what_nobody_waits_for),
        TEST(test_each_tool_may_have_an_approval_of_its_own),
        TEST(test_result_larger_than_a_tool_may_give_is_refused),
        TEST(test_list_that_changes_is_read_again),
        TEST(test_call_is_lost_with_its_server_which_is_started_again),
        TEST(test_server_that_writes_nonsense_is_ended),
        TEST(test_cancelled_run_does_not_wait_for_the_server),
        TEST(test_run_that_ends_leaves_its_call_behind),
    };
    char path[4096];
    snprintf(path, sizeof(path), "%s", argc > 1 ? argv[1] : "tests/agents/mcp.yaml");
    bench_use(argc > 1 ? argv[1] : "tests/agents/mcp.yaml");
    folder = dirname(path);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
