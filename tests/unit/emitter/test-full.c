/* SPDX-License-Identifier: Apache-2.0 */
/* Full rings: an answer without a trace, waited out where that was asked for. */
#include "emitter-test.h"

#include "base/clock.h"

#include <pthread.h>

static void test_a_full_ring_refuses_every_step_without_a_trace(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    rs_tool *tool;
    size_t taken = 9;
    assert_int_equal(rs_tool_begin(&tool, run, "c-1", "a", NULL), RS_OK);
    fill_ring(run);
    assert_int_equal(rs_text(run, "m-1", "x", 1, &taken), RS_E_FULL);
    assert_int_equal(taken, 0);
    assert_int_equal(rs_tool_begin(NULL, run, "c-2", "a", NULL), RS_E_FULL);
    assert_int_equal(rs_tool_end(tool, RS_TOOL_OK, NULL, NULL, NULL), RS_E_FULL);
    assert_int_equal(rs_emit(run, "agent_thinking", NULL, NULL, "{\"status\":\"\"}"), RS_E_FULL);
    node_read(node, "ann");
    assert_int_equal(rs_text_final(run, "m-1"), RS_E_ORDER);
    assert_null(rs_run_tool(run, "c-2"));
    assert_int_equal(rs_tool_begin(NULL, run, "c-2", "a", NULL), RS_OK);
    assert_int_equal(rs_tool_end(tool, RS_TOOL_OK, NULL, NULL, NULL), RS_OK);
    rs_run_free(run);
}

static void test_a_full_ring_is_its_users_only(void **state)
{
    struct node *node = *state;
    rs_run *ann = run_started(node->emitter, "ann");
    rs_run *bob = run_started(node->emitter, "bob");
    fill_ring(ann);
    assert_int_equal(say(bob, "m-1", "hello"), RS_OK);
    rs_run_free(bob);
    node_read(node, "ann");
    rs_run_free(ann);
}

static void test_an_event_larger_than_a_record_is_refused(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    char status[RING_BYTES];
    memset(status, 'x', sizeof(status) - 1);
    status[sizeof(status) - 1] = '\0';
    node_read(node, "ann");
    assert_int_equal(rs_thinking_status(run, status), RS_E_TOO_BIG);
    assert_int_equal(rs_tool_begin(NULL, run, "c-1", status, NULL), RS_E_INVALID);
    status[0] = status[sizeof(status) - 2] = '"';
    assert_int_equal(rs_tool_begin(NULL, run, "c-1", "a", status), RS_E_TOO_BIG);
    assert_string_equal(node_read(node, "ann"), "");
    struct rs_run_context context = {
        .user_id = "ann", .thread_id = "t", .agent = "a", .input_json = status};
    rs_run *other;
    assert_int_equal(rs_run_open(&other, node->emitter, &context), RS_E_TOO_BIG);
    rs_run_free(run);
}

static void test_a_freed_run_ends_as_soon_as_there_is_room(void **state)
{
    struct node *node = *state;
    rs_run *ann = run_started(node->emitter, "ann");
    rs_run *bob = run_started(node->emitter, "bob");
    fill_ring(ann);
    fill_ring(bob);
    rs_run_free(ann);
    rs_run_free(bob);
    rs_run_free(run_new(node->emitter, "cleo"));
    assert_null(strstr(node_read(node, "bob"), "agent_failed"));
    rs_run_free(run_new(node->emitter, "cleo"));
    assert_non_null(strstr(node_read(node, "bob"), "error_event fatal {\"code\":\"agent_failed\""));
    assert_null(strstr(node_read(node, "ann"), "agent_failed"));
    rs_run_free(run_new(node->emitter, "cleo"));
    assert_non_null(strstr(node_read(node, "ann"), "error_event fatal {\"code\":\"agent_failed\""));
    assert_string_equal(node_read(node, "bob"), "");
}

static void test_detaching_ends_freed_runs(void **state)
{
    struct node *node = *state;
    rs_emitter *emitter = node_attach(node, 0);
    rs_run *run = run_started(emitter, "ann");
    fill_ring(run);
    rs_run_free(run);
    node_read(node, "ann");
    rs_detach(emitter);
    assert_non_null(strstr(node_read(node, "ann"), "error_event fatal {\"code\":\"agent_failed\""));
}

static void test_a_run_outlives_its_detached_emitter(void **state)
{
    struct node *node = *state;
    rs_emitter *emitter = node_attach(node, 0);
    rs_run *run = run_started(emitter, "ann");
    assert_null(rs_detach(emitter));
    assert_int_equal(say(run, "m-1", "still here"), RS_OK);
    rs_run_free(run);
    assert_non_null(strstr(node_read(node, "ann"), "agent_failed"));
}

/* A reader that lets go of the ring once the writer has met it full. */
static void *read_later(void *argument)
{
    struct node *node = argument;
    for (int i = 0; i < 3; i++)
        node_read(node, "ann");
    return NULL;
}

static void test_emitting_waits_for_room_where_asked_to(void **state)
{
    struct node *node = *state;
    rs_emitter *patient = node_attach(node, 20000);
    rs_run *run = run_started(node->emitter, "ann");
    struct rs_run_context context = {.user_id = "ann", .thread_id = "t", .agent = "a"};
    rs_run *waiting;
    pthread_t reader;
    assert_int_equal(rs_run_open(&waiting, patient, &context), RS_OK);
    fill_ring(run);
    assert_int_equal(pthread_create(&reader, NULL, read_later, node), 0);
    assert_int_equal(rs_run_start(waiting), RS_OK);
    assert_int_equal(pthread_join(reader, NULL), 0);
    rs_run_free(run);
    rs_run_free(waiting);
    rs_detach(patient);
}

static void test_waiting_for_room_ends_in_time(void **state)
{
    struct node *node = *state;
    rs_emitter *patient = node_attach(node, 30);
    rs_run *run = run_started(patient, "ann");
    fill_ring(run);
    assert_int_equal(say(run, "m-1", "x"), RS_E_FULL);
    node_read(node, "ann");
    rs_run_free(run);
    rs_detach(patient);
}

static void test_a_run_has_a_time_out_of_its_own(void **state)
{
    struct node *node = *state;
    rs_emitter *patient = node_attach(node, 3600 * 1000);
    rs_run *run = run_started(patient, "ann");
    assert_int_equal(rs_run_set_timeout(NULL, 0), RS_E_INVALID);
    assert_int_equal(rs_run_set_timeout(run, 0), RS_OK);
    fill_ring(run);
    assert_int_equal(rs_run_set_timeout(run, 40), RS_OK);
    uint64_t began = clock_monotonic_ms();
    assert_int_equal(say(run, "m-1", "x"), RS_E_FULL);
    assert_in_range(clock_monotonic_ms() - began, 39, 20000);
    node_read(node, "ann");
    rs_run_free(run);
    rs_detach(patient);
}

static void test_a_run_may_wait_for_ever(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    pthread_t reader;
    fill_ring(run);
    assert_int_equal(rs_run_set_timeout(run, -1), RS_OK);
    assert_int_equal(pthread_create(&reader, NULL, read_later, node), 0);
    assert_int_equal(say(run, "m-1", "x"), RS_OK);
    assert_int_equal(pthread_join(reader, NULL), 0);
    rs_run_free(run);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_a_full_ring_refuses_every_step_without_a_trace),
        NODE_TEST(test_a_full_ring_is_its_users_only),
        NODE_TEST(test_an_event_larger_than_a_record_is_refused),
        NODE_TEST(test_a_freed_run_ends_as_soon_as_there_is_room),
        NODE_TEST(test_detaching_ends_freed_runs),
        NODE_TEST(test_a_run_outlives_its_detached_emitter),
        NODE_TEST(test_emitting_waits_for_room_where_asked_to),
        NODE_TEST(test_waiting_for_room_ends_in_time),
        NODE_TEST(test_a_run_has_a_time_out_of_its_own),
        NODE_TEST(test_a_run_may_wait_for_ever),
    };
    return cmocka_run_group_tests_name("emitter-full", tests, NULL, NULL);
}
