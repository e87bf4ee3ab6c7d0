/* SPDX-License-Identifier: Apache-2.0 */
/* Attaching, threads, processes, commit points. */
#include "emitter-test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int attach_error(const char *node_name, const char *directory)
{
    struct rs_attach_options options = {.node = node_name, .arena_dir = directory};
    rs_emitter *emitter = NULL;
    int rc = rs_attach(&emitter, &options);
    assert_null(emitter);
    return rc;
}

static void test_without_a_node_there_is_no_emitter(void **state)
{
    struct node *node = *state;
    setenv("RINGSIDE_NODE_NAME", "no-such-node-anywhere", 1);
    assert_int_equal(attach_error(NULL, NULL), RS_E_NO_NODE);
    unsetenv("RINGSIDE_NODE_NAME");
    assert_int_equal(attach_error("no-such-node-anywhere", NULL), RS_E_NO_NODE);
    assert_int_equal(attach_error(NULL, node->parent), RS_E_NO_NODE);
    assert_int_equal(attach_error(NULL, "/dev/null"), RS_E_NO_NODE);
    assert_int_equal(attach_error("a/../b", NULL), RS_E_INVALID);
    assert_int_equal(rs_attach(NULL, NULL), RS_E_INVALID);
}

static void test_the_node_is_found_by_name(void **state)
{
    char name[32], directory[64];
    (void)state;
    if (access("/dev/shm", W_OK) != 0)
        skip();
    snprintf(name, sizeof(name), "test-%d", (int)getpid());
    snprintf(directory, sizeof(directory), "/dev/shm/ringside-%s", name);
    struct arena_options options = {
        .directory = directory, .ring_count = 64, .ring_bytes = RING_BYTES};
    struct arena *arena;
    rs_emitter *by_environment = NULL, *by_option = NULL;
    struct rs_attach_options named = {.node = name};
    assert_int_equal(arena_create(&arena, &options), 0);
    setenv("RINGSIDE_NODE_NAME", name, 1);
    int rc = rs_attach(&by_environment, NULL);
    setenv("RINGSIDE_NODE_NAME", "another", 1);
    int named_rc = rs_attach(&by_option, &named);
    unsetenv("RINGSIDE_NODE_NAME");
    rs_detach(by_environment);
    rs_detach(by_option);
    assert_int_equal(arena_unlink(arena), 0);
    arena_detach(arena);
    assert_int_equal(rc, RS_OK);
    assert_int_equal(named_rc, RS_OK);
}

static void test_every_emitter_has_an_entry_of_its_own(void **state)
{
    struct node *node = *state;
    rs_emitter *other = node_attach(node, 0);
    assert_int_not_equal(rs_emitter_process_index(other), rs_emitter_process_index(node->emitter));
    assert_int_not_equal(rs_emitter_process_index(other), arena_process_index(node->arena));
    rs_detach(other);
    assert_null(rs_detach(NULL));
}

static void test_a_node_without_rings_left_says_so(void **state)
{
    struct node *node = *state;
    struct rs_run_context context = {.thread_id = "t", .agent = "a"};
    rs_run *run;
    int rc = RS_OK;
    for (int i = 0; i < 200 && rc == RS_OK; i++) {
        char user[16];
        snprintf(user, sizeof(user), "u%d", i);
        context.user_id = user;
        rc = rs_run_open(&run, node->emitter, &context);
        if (rc == RS_OK)
            rs_run_free(run);
    }
    assert_int_equal(rc, RS_E_NO_ROOM);
}

struct talker {
    rs_emitter *emitter;
    const char *user_id;
    int failures;
};

#define TALKS 50

static void *talk(void *argument)
{
    struct talker *talker = argument;
    struct rs_run_context context = {
        .user_id = talker->user_id, .thread_id = "t", .agent = "a", .run_id = "r-1"};
    rs_run *run;
    if (rs_run_open(&run, talker->emitter, &context) || rs_run_start(run)) {
        talker->failures++;
        return NULL;
    }
    for (int i = 0; i < TALKS; i++)
        talker->failures += rs_text(run, "m-1", talker->user_id, 3, NULL) != RS_OK;
    talker->failures += rs_run_complete(run, RS_SUCCESS, NULL, NULL) != RS_OK;
    rs_run_free(run);
    return NULL;
}

static void check_talk(struct node *node, const char *user_id)
{
    struct event event;
    char delta[32];
    snprintf(delta, sizeof(delta), "{\"delta\":\"%s\"}", user_id);
    assert_true(node_next(&event, node, user_id));
    assert_int_equal(event.type, EVENT_AGENT_STARTED);
    for (int i = 0; i < TALKS; i++) {
        assert_true(node_next(&event, node, user_id));
        assert_true(span_is(event.data, delta));
    }
    assert_true(node_next(&event, node, user_id));
    assert_true(event.flags & EVENT_FLAG_FINAL);
    assert_true(node_next(&event, node, user_id));
    assert_true(event_is_terminal(&event));
    assert_false(node_next(&event, node, user_id));
    node_release(node, user_id);
}

static void test_runs_of_two_users_on_two_threads(void **state)
{
    struct node *node = *state;
    struct talker talkers[] = {{node->emitter, "ann", 0}, {node->emitter, "bob", 0}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &talkers[i]), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(talkers[i].failures, 0);
        check_talk(node, talkers[i].user_id);
    }
}

static int emit_in_child(struct node *node, rs_run *run)
{
    struct rs_run_context context = {.user_id = "bob", .thread_id = "t", .agent = "a"};
    rs_run *other;
    rs_emitter *emitter = node->emitter;
    node->emitter = NULL;
    int bad = rs_thinking_status(run, "x") != RS_E_FORKED;
    bad |= rs_run_open(&other, emitter, &context) != RS_E_FORKED;
    bad |= rs_run_flush(run, RS_SEQUENCED, -1) != RS_E_FORKED;
    struct rs_position position;
    bad |= rs_run_position(run, &position) != RS_OK;
    bad |= rs_event_reached(emitter, &position, RS_DELIVERED) != RS_E_FORKED;
    bad |= rs_event_wait(emitter, &position, RS_DELIVERED, -1) != RS_E_FORKED;
    bad |= rs_run_unwatched_ms(run) != 0;
    rs_run_free(run);
    rs_detach(emitter);
    return bad;
}

static void test_a_forked_child_cannot_emit(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(emit_in_child(node, run));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(node_read(node, "ann"), "agent_started {\"agent\":\"tester\"}\n");
    assert_int_equal(say(run, "m-1", "the parent goes on"), RS_OK);
    rs_run_free(run);
}

static void test_flush_waits_for_the_reader(void **state)
{
    struct node *node = *state;
    rs_run *run = run_new(node->emitter, "ann");
    assert_int_equal(rs_run_flush(run, RS_DURABLE, 0), RS_OK);
    assert_int_equal(rs_run_start(run), RS_OK);
    assert_int_equal(rs_run_flush(run, RS_COMMITTED, 0), RS_OK);
    assert_int_equal(rs_run_flush(run, RS_SEQUENCED, 0), RS_E_TIMEOUT);
    node_read(node, "ann");
    assert_int_equal(rs_run_flush(run, RS_SEQUENCED, 0), RS_OK);
    assert_int_equal(rs_run_flush(run, RS_DURABLE, 0), RS_E_TIMEOUT);
    uint32_t ring = node_ring(node, "ann");
    assert_int_equal(
        ring_reader_set_durable(node->reader, ring, ring_reader_cursor(node->reader, ring)), 0);
    assert_int_equal(rs_run_flush(run, RS_DURABLE, 0), RS_OK);
    assert_int_equal(rs_run_flush(run, RS_DELIVERED, 0), RS_E_TIMEOUT);
    assert_int_equal(
        ring_reader_set_delivered(node->reader, ring, ring_reader_cursor(node->reader, ring)), 0);
    assert_int_equal(rs_run_flush(run, RS_DELIVERED, 0), RS_OK);
    assert_int_equal(rs_run_flush(run, (enum rs_commit_point)5, 0), RS_E_INVALID);
    rs_run_free(run);
}

static void reached(const struct node *node, const struct rs_position *position, const char *points)
{
    for (int point = RS_COMMITTED; point <= RS_DELIVERED; point++) {
        bool wanted = points[point] == 'x';
        assert_int_equal(
            rs_event_reached(node->emitter, position, (enum rs_commit_point)point), wanted);
        assert_int_equal(rs_event_wait(node->emitter, position, (enum rs_commit_point)point, 0),
            wanted ? RS_OK : RS_E_TIMEOUT);
    }
}

static void test_event_tells_how_far_it_has_come(void **state)
{
    struct node *node = *state;
    struct rs_position first;
    struct rs_position second;
    rs_run *run = run_new(node->emitter, "ann");
    assert_int_equal(rs_run_position(run, &first), RS_E_ORDER);
    assert_int_equal(rs_run_start(run), RS_OK);
    assert_int_equal(rs_run_position(run, &first), RS_OK);
    reached(node, &first, "x...");
    node_read(node, "ann");
    uint32_t ring = node_ring(node, "ann");
    assert_int_equal(ring_reader_set_delivered(node->reader, ring, first.position), 0);
    reached(node, &first, "xx.x"); /* seen before it is durable */
    assert_int_equal(ring_reader_set_durable(node->reader, ring, first.position), 0);
    assert_int_equal(say(run, "m-1", "more"), RS_OK);
    assert_int_equal(rs_run_position(run, &second), RS_OK);
    reached(node, &first, "xxxx");
    reached(node, &second, "x...");
    assert_int_equal(ring_reader_set_delivered(node->reader, ring, second.position), -EINVAL);
    rs_run_free(run);
}

/* Nobody will ever say it, and what is delivered of the next life of the ring is none of this
 * one's. */
static void test_ring_taken_back_tells_nothing_of_what_was_delivered(void **state)
{
    struct node *node = *state;
    struct rs_position position;
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(rs_run_complete(run, RS_SUCCESS, NULL, NULL), RS_OK);
    assert_int_equal(rs_run_position(run, &position), RS_OK);
    node_read(node, "ann");
    for (uint64_t now = 1; now < 4; now++)
        ring_reader_reclaim(node->reader, now * 1000000, 1);
    rs_run *later = run_started(node->emitter, "ann");
    node_read(node, "ann");
    uint32_t ring = node_ring(node, "ann");
    assert_int_equal(ring, position.ring);
    assert_int_equal(
        ring_reader_set_delivered(node->reader, ring, ring_reader_cursor(node->reader, ring)), 0);
    reached(node, &position, "xx..");
    assert_int_equal(rs_run_flush(run, RS_DELIVERED, -1), RS_E_TIMEOUT);
    rs_run_free(run);
    rs_run_free(later);
}

static void test_run_tells_how_long_nobody_has_watched(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    assert_int_equal(rs_run_unwatched_ms(run), 0); /* not known */
    node_read(node, "ann");
    uint32_t ring = node_ring(node, "ann");
    ring_reader_set_unwatched(node->reader, ring, 1);
    assert_true(rs_run_unwatched_ms(run) > 0);
    ring_reader_set_unwatched(node->reader, ring, 0);
    assert_int_equal(rs_run_unwatched_ms(run), 0);
    assert_int_equal(rs_run_unwatched_ms(NULL), 0);
    rs_run_free(run);
}

static void *read_all(void *argument)
{
    struct node *node = argument;
    struct event event;
    while (!node_next(&event, node, "ann")) {
    }
    node_release(node, "ann");
    return NULL;
}

static void test_flush_is_woken_by_the_reader(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_all, node), 0);
    assert_int_equal(rs_run_flush(run, RS_SEQUENCED, 20000), RS_OK);
    assert_int_equal(pthread_join(reader, NULL), 0);
    rs_run_free(run);
}

static void test_every_code_has_words(void **state)
{
    (void)state;
    for (int code = RS_OK; code >= RS_E_TOO_MANY; code--) {
        assert_string_not_equal(rs_strerror(code), "unknown code");
        for (int other = RS_OK; other > code; other--)
            assert_string_not_equal(rs_strerror(code), rs_strerror(other));
    }
    assert_string_equal(rs_strerror(1), "unknown code");
    assert_string_equal(rs_strerror(RS_E_TOO_MANY - 1), "unknown code");
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_without_a_node_there_is_no_emitter),
        cmocka_unit_test(test_the_node_is_found_by_name),
        NODE_TEST(test_every_emitter_has_an_entry_of_its_own),
        NODE_TEST(test_a_node_without_rings_left_says_so),
        NODE_TEST(test_runs_of_two_users_on_two_threads),
        NODE_TEST(test_a_forked_child_cannot_emit),
        NODE_TEST(test_flush_waits_for_the_reader),
        NODE_TEST(test_event_tells_how_far_it_has_come),
        NODE_TEST(test_ring_taken_back_tells_nothing_of_what_was_delivered),
        NODE_TEST(test_run_tells_how_long_nobody_has_watched),
        NODE_TEST(test_flush_is_woken_by_the_reader),
        cmocka_unit_test(test_every_code_has_words),
    };
    return cmocka_run_group_tests_name("emitter-emitter", tests, NULL, NULL);
}
