/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: events that are committed one by one and wake the broker once. */
#include "emitter-test.h"

#include "ring/doorbell.h"
#include "ring/process.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

static void ignore_ring(void *userdata, uint32_t ring)
{
    (void)userdata;
    (void)ring;
}

/* Announces that the reader sleeps. What came before is taken, so that only what comes now rings.
 */
static void sleep_now(struct node *node)
{
    node_read(node, "ann");
    doorbell_awake(node->arena);
    while (doorbell_prepare_sleep(node->arena)) {
        process_take_news(node->arena);
        while (doorbell_take(node->arena, ignore_ring, NULL) > 0) {
        }
    }
}

static bool has_rung(const struct node *node)
{
    struct pollfd bell = {.fd = doorbell_fd(node->arena), .events = POLLIN};
    return poll(&bell, 1, 0) == 1;
}

static void test_an_event_outside_a_batch_rings_at_once(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    sleep_now(node);
    assert_false(has_rung(node));
    assert_int_equal(rs_thinking_status(run, "x"), RS_OK);
    assert_true(has_rung(node));
    rs_run_free(run);
}

static void test_a_batch_rings_at_its_end(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    sleep_now(node);
    assert_int_equal(rs_batch_begin(run), RS_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(rs_thinking_status(run, "x"), RS_OK);
    assert_false(has_rung(node));
    assert_int_equal(rs_batch_end(run), RS_OK);
    assert_true(has_rung(node));
    assert_true(doorbell_take(node->arena, ignore_ring, NULL) > 0);
    assert_non_null(strstr(node_read(node, "ann"), "agent_thinking"));
    rs_run_free(run);
}

static void test_the_events_of_a_batch_are_committed_before_its_end(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(rs_batch_begin(run), RS_OK);
    assert_int_equal(say(run, "m-1", "one"), RS_OK);
    assert_int_equal(say(run, "m-1", "two"), RS_OK);
    assert_string_equal(node_read(node, "ann"), "partial_result message=m-1 {\"delta\":\"one\"}\n"
                                                "partial_result message=m-1 {\"delta\":\"two\"}\n");
    assert_int_equal(rs_batch_end(run), RS_OK);
    rs_run_free(run);
}

static void test_a_batch_rings_before_it_waits_for_room(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    sleep_now(node);
    assert_int_equal(rs_batch_begin(run), RS_OK);
    fill_ring(run);
    assert_true(has_rung(node));
    node_read(node, "ann");
    assert_int_equal(rs_thinking_status(run, "goes on"), RS_OK);
    assert_int_equal(rs_batch_end(run), RS_OK);
    rs_run_free(run);
}

static void test_a_batch_rings_before_it_is_waited_for(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    sleep_now(node);
    assert_int_equal(rs_batch_begin(run), RS_OK);
    assert_int_equal(rs_thinking_status(run, "x"), RS_OK);
    assert_false(has_rung(node));
    assert_int_equal(rs_run_flush(run, RS_SEQUENCED, 0), RS_E_TIMEOUT);
    assert_true(has_rung(node));
    assert_int_equal(rs_batch_end(run), RS_OK);
    rs_run_free(run);
}

static void test_freeing_a_run_ends_its_batch(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    sleep_now(node);
    assert_int_equal(rs_batch_begin(run), RS_OK);
    assert_int_equal(rs_thinking_status(run, "x"), RS_OK);
    assert_false(has_rung(node));
    rs_run_free(run);
    assert_true(has_rung(node));
    assert_non_null(strstr(node_read(node, "ann"), "agent_failed"));
}

static void test_batches_do_not_nest(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(rs_batch_end(run), RS_E_ORDER);
    assert_int_equal(rs_batch_begin(run), RS_OK);
    assert_int_equal(rs_batch_begin(run), RS_E_ORDER);
    assert_int_equal(rs_batch_end(run), RS_OK);
    assert_int_equal(rs_batch_end(run), RS_E_ORDER);
    assert_int_equal(rs_batch_begin(NULL), RS_E_INVALID);
    assert_int_equal(rs_batch_end(NULL), RS_E_INVALID);
    rs_run_free(run);
}

static void test_two_runs_have_batches_of_their_own(void **state)
{
    struct node *node = *state;
    rs_run *ann = run_started(node->emitter, "ann");
    rs_run *bob = run_started(node->emitter, "bob");
    node_read(node, "bob");
    sleep_now(node);
    assert_int_equal(rs_batch_begin(ann), RS_OK);
    assert_int_equal(rs_thinking_status(ann, "x"), RS_OK);
    assert_false(has_rung(node));
    assert_int_equal(rs_thinking_status(bob, "x"), RS_OK);
    assert_true(has_rung(node));
    assert_int_equal(rs_batch_end(ann), RS_OK);
    rs_run_free(bob);
    rs_run_free(ann);
}

static int batch_in_child(struct node *node, rs_run *run)
{
    int bad = rs_thinking_status(run, "x") != RS_E_FORKED;
    bad |= rs_batch_end(run) != RS_E_FORKED;
    bad |= rs_batch_begin(run) != RS_E_FORKED;
    rs_run_free(run);
    rs_detach(node->emitter);
    return bad;
}

static void test_a_forked_child_leaves_its_parents_batch_alone(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    int status;
    sleep_now(node);
    assert_int_equal(rs_batch_begin(run), RS_OK);
    assert_int_equal(rs_thinking_status(run, "x"), RS_OK);
    pid_t child = fork();
    if (child == 0)
        _exit(batch_in_child(node, run));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(has_rung(node));
    assert_int_equal(rs_batch_end(run), RS_OK);
    assert_true(has_rung(node));
    rs_run_free(run);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_an_event_outside_a_batch_rings_at_once),
        NODE_TEST(test_a_batch_rings_at_its_end),
        NODE_TEST(test_the_events_of_a_batch_are_committed_before_its_end),
        NODE_TEST(test_a_batch_rings_before_it_waits_for_room),
        NODE_TEST(test_a_batch_rings_before_it_is_waited_for),
        NODE_TEST(test_freeing_a_run_ends_its_batch),
        NODE_TEST(test_batches_do_not_nest),
        NODE_TEST(test_two_runs_have_batches_of_their_own),
        NODE_TEST(test_a_forked_child_leaves_its_parents_batch_alone),
    };
    return cmocka_run_group_tests_name("emitter-batch", tests, NULL, NULL);
}
