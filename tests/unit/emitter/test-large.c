/* SPDX-License-Identifier: Apache-2.0 */
/* Events too long for a ring: they lie beside it, and are in their order. */
#include "emitter-test.h"

#include <stdio.h>
#include <stdlib.h>

/* A JSON string of so many bytes, quotes included; the caller frees it. */
static char *json_of(size_t length)
{
    char *json = malloc(length + 1);
    assert_non_null(json);
    memset(json, 'x', length);
    json[0] = json[length - 1] = '"';
    json[length] = '\0';
    return json;
}

static void expect_result(struct node *node, size_t length)
{
    static const char name[] = "\"result\":";
    struct event event;
    assert_true(node_next(&event, node, "ann"));
    assert_int_equal(event.type, EVENT_TOOL_COMPLETED);
    const char *at = memmem(event.data.data, event.data.len, name, strlen(name));
    assert_non_null(at);
    assert_true(event.data.len > length);
    at += strlen(name);
    for (size_t i = 1; i + 1 < length; i++)
        assert_int_equal(at[i], 'x');
}

static void test_a_large_result_is_one_event_in_its_order(void **state)
{
    struct node *node = *state;
    struct event event;
    rs_tool *tool;
    rs_run *run = run_started(node->emitter, "ann");
    char *json = json_of(100000);
    assert_in_range(rs_emitter_event_max(node->emitter), 100200, SPILL_BYTES);
    node_read(node, "ann");
    assert_int_equal(rs_tool_begin(&tool, run, "c-1", "a", NULL), RS_OK);
    assert_int_equal(rs_tool_end(tool, RS_TOOL_OK, json, NULL, NULL), RS_OK);
    assert_int_equal(say(run, "m-1", "after"), RS_OK);
    assert_true(node_next(&event, node, "ann"));
    assert_int_equal(event.type, EVENT_TOOL_EXECUTING);
    expect_result(node, 100000);
    assert_true(node_next(&event, node, "ann"));
    assert_int_equal(event.type, EVENT_PARTIAL_RESULT);
    node_release(node, "ann");
    free(json);
    rs_run_free(run);
}

static void test_large_data_written_in_place(void **state)
{
    struct node *node = *state;
    struct rs_reservation end = {.type = "tool_completed", .tool_call_id = "c-1", .size = 100050};
    rs_run *run = run_started(node->emitter, "ann");
    char *json = json_of(100000);
    assert_int_equal(rs_tool_begin(NULL, run, "c-1", "a", NULL), RS_OK);
    node_read(node, "ann");
    assert_int_equal(rs_reserve(run, &end), RS_OK);
    int length = snprintf(end.data, end.size, "{\"status\":\"ok\",\"result\":%s}", json);
    assert_in_range(length, 100000, end.size - 1);
    assert_int_equal(rs_commit(run, (size_t)length), RS_OK);
    expect_result(node, 100000);
    node_release(node, "ann");
    assert_null(rs_run_tool(run, "c-1"));
    free(json);
    rs_run_free(run);
}

static void test_an_abandoned_large_reservation_is_given_back(void **state)
{
    struct node *node = *state;
    struct rs_reservation thought = {.type = "agent_thinking", .size = 100000};
    rs_run *run = run_started(node->emitter, "ann");
    /* More often than there are places beside the ring. */
    for (int i = 0; i < 200; i++) {
        assert_int_equal(rs_reserve(run, &thought), RS_OK);
        rs_abandon(run);
        node_read(node, "ann");
    }
    rs_run_free(run);
}

static void test_text_still_goes_in_pieces_that_fit_the_ring(void **state)
{
    struct node *node = *state;
    struct event event;
    size_t taken, pieces = 0;
    rs_run *run = run_started(node->emitter, "ann");
    char *text = json_of(9000);
    text[0] = text[8999] = 'x';
    node_read(node, "ann");
    assert_int_equal(rs_text(run, "m-1", text, 9000, &taken), RS_OK);
    assert_int_equal(taken, 9000);
    for (; node_next(&event, node, "ann"); pieces++)
        assert_in_range(event.data.len, 1, EVENT_MAX);
    assert_in_range(pieces, 3, 4);
    node_release(node, "ann");
    free(text);
    rs_run_free(run);
}

static void test_the_largest_event_is_the_spill_limit(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    char *json = json_of(SPILL_BYTES);
    assert_int_equal(rs_tool_begin(NULL, run, "c-1", "a", json), RS_E_TOO_BIG);
    free(json);
    rs_run_free(run);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up_spilling, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_a_large_result_is_one_event_in_its_order),
        NODE_TEST(test_large_data_written_in_place),
        NODE_TEST(test_an_abandoned_large_reservation_is_given_back),
        NODE_TEST(test_text_still_goes_in_pieces_that_fit_the_ring),
        NODE_TEST(test_the_largest_event_is_the_spill_limit),
    };
    return cmocka_run_group_tests_name("emitter-large", tests, NULL, NULL);
}
