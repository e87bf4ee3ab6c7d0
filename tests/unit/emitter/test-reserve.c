/* SPDX-License-Identifier: Apache-2.0 */
/* Events whose data is written in place. */
#include "emitter-test.h"

#include <sys/wait.h>
#include <unistd.h>

/* Reserves room for the event and writes its data. */
static int write_in_place(rs_run *run, struct rs_reservation reservation, const char *data)
{
    int rc = rs_reserve(run, &reservation);
    if (rc == RS_OK)
        memcpy(reservation.data, data, strlen(data));
    return rc;
}

static struct rs_reservation text_of(size_t size)
{
    return (struct rs_reservation){.type = "partial_result", .message_id = "m-1", .size = size};
}

static void test_data_written_in_place_is_the_events(void **state)
{
    static const char text[] = "{\"delta\":\"in place\"}";
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(write_in_place(run, text_of(strlen(text)), text), RS_OK);
    assert_string_equal(node_read(node, "ann"), "");
    assert_int_equal(rs_commit(run, strlen(text)), RS_OK);
    const char *script = node_read(node, "ann");
    assert_non_null(strstr(script, "partial_result message=m-1 {\"delta\":\"in place\"} "));
    assert_int_equal(rs_text_final(run, "m-1"), RS_OK);
    rs_run_free(run);
}

static void test_what_was_not_written_is_spaces(void **state)
{
    static const char text[] = "{\"delta\":\"short\"}";
    struct node *node = *state;
    struct event event;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(write_in_place(run, text_of(3000), text), RS_OK);
    assert_int_equal(rs_commit(run, strlen(text)), RS_OK);
    assert_true(node_next(&event, node, "ann"));
    assert_in_range(event.data.len, 3000, 3100);
    assert_memory_equal(event.data.data, text, strlen(text));
    for (size_t i = strlen(text); i < event.data.len; i++)
        assert_int_equal(event.data.data[i], ' ');
    rs_run_free(run);
}

static void test_the_library_adds_what_it_knows_better(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    struct rs_reservation call = {.type = "tool_executing", .tool_call_id = "c-1", .size = 64};
    struct rs_reservation end = {.type = "tool_completed", .tool_call_id = "c-1", .size = 64};
    struct rs_reservation error = {.type = "error_event", .size = 64};
    node_read(node, "ann");
    assert_int_equal(write_in_place(run, call, "{\"tool_name\":\"a\\u0001\"}"), RS_OK);
    assert_int_equal(rs_commit(run, 23), RS_OK);
    assert_non_null(rs_run_tool(run, "c-1"));
    assert_int_equal(write_in_place(run, end, "{\"status\":\"ok\"  }  "), RS_OK);
    assert_int_equal(rs_commit(run, 19), RS_OK);
    assert_null(rs_run_tool(run, "c-1"));
    assert_int_equal(write_in_place(run, error, "{\"code\":\"c\",\"message\":\"m\"}"), RS_OK);
    assert_int_equal(rs_commit(run, 26), RS_OK);
    const char *script = node_read(node, "ann");
    assert_non_null(strstr(script, "{\"tool_name\":\"a\\u0001\",\"args\":{}} "));
    assert_non_null(
        strstr(script, "{\"status\":\"ok\",\"tool_name\":\"a\\u0001\",\"duration_ms\":0} "));
    assert_non_null(
        strstr(script, "{\"code\":\"c\",\"message\":\"m\",\"fatal\":false,\"retryable\":false} "));
    rs_run_free(run);
}

static void test_a_name_of_the_largest_size_still_fits(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    struct rs_reservation end = {.type = "tool_completed", .tool_call_id = "c-1", .size = 15};
    char name[128];
    memset(name, '\x01', 127);
    name[127] = '\0';
    node_read(node, "ann");
    assert_int_equal(rs_tool_begin(NULL, run, "c-1", name, NULL), RS_OK);
    assert_int_equal(write_in_place(run, end, "{\"status\":\"ok\"}"), RS_OK);
    assert_int_equal(rs_commit(run, 15), RS_OK);
    assert_non_null(strstr(node_read(node, "ann"), "\\u0001\",\"duration_ms\":0}"));
    rs_run_free(run);
}

static void test_bad_data_stays_reserved_and_can_be_mended(void **state)
{
    static const char *const bad[] = {"", "{", "[]", "{\"delta\":1}", "{\"delta\":\"\xff\"}",
        "{\"delta\":\"a\",\"delta\":\"b\"}", "{\"d\\u0065lta\":\"a\"}", "{\"delta\":\"a\"}}"};
    static const char good[] = "{\"delta\":\"good\"}";
    struct node *node = *state;
    struct rs_reservation reservation = text_of(100);
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(rs_reserve(run, &reservation), RS_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        memcpy(reservation.data, bad[i], strlen(bad[i]));
        assert_int_equal(rs_commit(run, strlen(bad[i])), RS_E_INVALID);
    }
    assert_int_equal(rs_commit(run, 101), RS_E_INVALID);
    assert_string_equal(node_read(node, "ann"), "");
    memcpy(reservation.data, good, strlen(good));
    assert_int_equal(rs_commit(run, strlen(good)), RS_OK);
    assert_non_null(strstr(node_read(node, "ann"), good));
    rs_run_free(run);
}

static void test_an_illegal_step_leaves_no_trace(void **state)
{
    static const char text[] = "{\"delta\":\"late\"}";
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(say(run, "m-1", "x"), RS_OK);
    assert_int_equal(rs_text_final(run, "m-1"), RS_OK);
    node_read(node, "ann");
    assert_int_equal(write_in_place(run, text_of(50), text), RS_OK);
    assert_int_equal(rs_commit(run, strlen(text)), RS_E_ORDER);
    rs_abandon(run);
    assert_int_equal(say(run, "m-2", "after"), RS_OK);
    assert_string_equal(
        node_read(node, "ann"), "partial_result message=m-2 {\"delta\":\"after\"}\n");
    rs_run_free(run);
}

static void test_ends_of_runs_are_not_reserved(void **state)
{
    static const char fatal[] = "{\"code\":\"c\",\"message\":\"m\",\"fatal\":true}";
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    struct rs_reservation end = {.type = "agent_completed", .size = 64};
    struct rs_reservation error = {.type = "error_event", .size = 64};
    struct rs_reservation start = {.type = "agent_started", .size = 64};
    assert_int_equal(rs_reserve(run, &end), RS_E_TYPE);
    assert_int_equal(rs_reserve(run, &start), RS_E_TYPE);
    assert_int_equal(write_in_place(run, error, fatal), RS_OK);
    assert_int_equal(rs_commit(run, strlen(fatal)), RS_E_INVALID);
    rs_abandon(run);
    assert_false(rs_run_ended(run));
    assert_int_equal(rs_run_complete(run, RS_SUCCESS, NULL, NULL), RS_OK);
    assert_int_equal(rs_reserve(run, &error), RS_E_ENDED);
    rs_run_free(run);
}

static void test_while_reserved_the_run_takes_no_other_step(void **state)
{
    struct node *node = *state;
    struct rs_reservation reservation = text_of(50);
    rs_run *run = run_new(node->emitter, "ann");
    assert_int_equal(rs_reserve(run, &reservation), RS_E_ORDER);
    assert_int_equal(rs_commit(run, 0), RS_E_ORDER);
    assert_int_equal(rs_run_start(run), RS_OK);
    assert_int_equal(rs_reserve(run, &reservation), RS_OK);
    assert_int_equal(rs_reserve(run, &reservation), RS_E_ORDER);
    assert_int_equal(rs_thinking_status(run, "x"), RS_E_ORDER);
    assert_int_equal(rs_text(run, NULL, "", 0, NULL), RS_E_ORDER);
    assert_int_equal(rs_run_complete(run, RS_SUCCESS, NULL, NULL), RS_E_ORDER);
    assert_int_equal(rs_run_fail(run, "c", "m", false), RS_E_ORDER);
    rs_abandon(run);
    rs_abandon(run);
    assert_int_equal(rs_thinking_status(run, "x"), RS_OK);
    rs_run_free(run);
}

static void test_a_freed_or_dropped_run_gives_its_reservation_up(void **state)
{
    struct node *node = *state;
    struct rs_reservation reservation = text_of(50);
    rs_run *run = run_started(node->emitter, "ann");
    rs_run *dropped = run_started(node->emitter, "bob");
    assert_int_equal(rs_reserve(run, &reservation), RS_OK);
    rs_run_free(run);
    assert_non_null(strstr(node_read(node, "ann"), "agent_failed"));
    assert_int_equal(rs_reserve(dropped, &reservation), RS_OK);
    rs_run_drop(dropped);
    assert_int_equal(rs_commit(dropped, 2), RS_E_ORDER);
    run = run_started(node->emitter, "bob");
    assert_non_null(strstr(node_read(node, "bob"), "agent_started"));
    rs_run_free(dropped);
    rs_run_free(run);
}

static void test_full_rings_and_large_data_are_answers(void **state)
{
    struct node *node = *state;
    struct rs_reservation reservation = text_of(EVENT_MAX + 1);
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(rs_reserve(run, &reservation), RS_E_TOO_BIG);
    reservation.size = SIZE_MAX;
    assert_int_equal(rs_reserve(run, &reservation), RS_E_INVALID);
    reservation.size = 64;
    fill_ring(run);
    assert_int_equal(rs_reserve(run, &reservation), RS_E_FULL);
    node_read(node, "ann");
    assert_int_equal(rs_reserve(run, &reservation), RS_OK);
    rs_abandon(run);
    rs_run_free(run);
}

static void test_a_reservation_in_a_batch(void **state)
{
    static const char text[] = "{\"delta\":\"x\",\"final\":true}";
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(rs_batch_begin(run), RS_OK);
    assert_int_equal(say(run, "m-1", "a"), RS_OK);
    assert_int_equal(write_in_place(run, text_of(strlen(text)), text), RS_OK);
    assert_int_equal(rs_commit(run, strlen(text)), RS_OK);
    assert_int_equal(rs_batch_end(run), RS_OK);
    assert_int_equal(rs_text_final(run, "m-1"), RS_E_ORDER);
    assert_non_null(strstr(node_read(node, "ann"), "partial_result message=m-1 final {"));
    rs_run_free(run);
}

static int reserve_in_child(struct node *node, rs_run *run)
{
    struct rs_reservation reservation = text_of(50);
    int bad = rs_commit(run, 2) != RS_E_FORKED;
    rs_abandon(run);
    bad |= rs_reserve(run, &reservation) != RS_E_FORKED;
    rs_run_free(run);
    rs_detach(node->emitter);
    return bad;
}

static void test_a_forked_child_leaves_its_parents_reservation_alone(void **state)
{
    static const char text[] = "{\"delta\":\"parent\"}";
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    int status;
    node_read(node, "ann");
    assert_int_equal(write_in_place(run, text_of(strlen(text)), text), RS_OK);
    pid_t child = fork();
    if (child == 0)
        _exit(reserve_in_child(node, run));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(rs_commit(run, strlen(text)), RS_OK);
    assert_non_null(strstr(node_read(node, "ann"), text));
    rs_run_free(run);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_data_written_in_place_is_the_events),
        NODE_TEST(test_what_was_not_written_is_spaces),
        NODE_TEST(test_the_library_adds_what_it_knows_better),
        NODE_TEST(test_a_name_of_the_largest_size_still_fits),
        NODE_TEST(test_bad_data_stays_reserved_and_can_be_mended),
        NODE_TEST(test_an_illegal_step_leaves_no_trace),
        NODE_TEST(test_ends_of_runs_are_not_reserved),
        NODE_TEST(test_while_reserved_the_run_takes_no_other_step),
        NODE_TEST(test_a_freed_or_dropped_run_gives_its_reservation_up),
        NODE_TEST(test_full_rings_and_large_data_are_answers),
        NODE_TEST(test_a_reservation_in_a_batch),
        NODE_TEST(test_a_forked_child_leaves_its_parents_reservation_alone),
    };
    return cmocka_run_group_tests_name("emitter-reserve", tests, NULL, NULL);
}
