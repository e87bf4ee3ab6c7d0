/* SPDX-License-Identifier: Apache-2.0 */
/* The example of the guide, as a process of its own. The first argument is its path. */
#include "emitter-test.h"

#include "base/clock.h"
#include "ring/doorbell.h"

#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *example;

static struct arena *own_node(char ret_name[32])
{
    char directory[64];
    struct arena *arena = NULL;
    snprintf(ret_name, 32, "example-%d", (int)getpid());
    snprintf(directory, sizeof(directory), "/dev/shm/ringside-%s", ret_name);
    struct arena_options options = {
        .directory = directory, .ring_count = 64, .ring_bytes = RING_BYTES};
    assert_int_equal(arena_create(&arena, &options), 0);
    return arena;
}

static pid_t start(const char *node_name)
{
    char node[64];
    pid_t child;
    const char *const argv[] = {example, "--user", "ann", "/proc/self/fd", NULL};
    char *environment[] = {node, NULL};
    snprintf(node, sizeof(node), "RINGSIDE_NODE_NAME=%s", node_name);
    assert_int_equal(
        posix_spawn(&child, example, NULL, NULL, (char *const *)(uintptr_t)argv, environment), 0);
    return child;
}

static void ignore_ring(void *userdata, uint32_t ring)
{
    (void)userdata, (void)ring;
}

/* Sleeps until there is news, as a broker does. */
static void await_news(struct arena *arena)
{
    struct pollfd bell = {.fd = doorbell_fd(arena), .events = POLLIN};
    doorbell_take(arena, ignore_ring, NULL);
    if (!doorbell_prepare_sleep(arena))
        poll(&bell, 1, 1000);
    doorbell_awake(arena);
}

/* Appends the types of events up to the terminal one, each with a space behind it. */
static void read_types(struct buffer *types, struct node *node)
{
    uint64_t deadline = clock_monotonic_ms() + 20000;
    struct event event = {.type = EVENT_NONE};
    uint32_t ring;
    while (!event_is_terminal(&event) && clock_monotonic_ms() < deadline) {
        if (directory_find(&ring, node->arena, "ann", 3) || !node_next(&event, node, "ann")) {
            await_news(node->arena);
            continue;
        }
        buffer_append_string(types, event_type_name(event.type));
        buffer_append_char(types, ' ');
    }
    buffer_append_char(types, '\0');
    node_release(node, "ann");
}

static void test_the_example_shows_its_user_what_it_does(void **state)
{
    char name[32];
    int status;
    struct node node = {0};
    struct buffer types = BUFFER_INIT;
    (void)state;
    if (access("/dev/shm", W_OK) != 0)
        skip();
    node.arena = own_node(name);
    assert_int_equal(ring_reader_new(&node.reader, node.arena), 0);
    pid_t child = start(name);
    read_types(&types, &node);
    assert_int_equal(waitpid(child, &status, 0), child);
    ring_reader_free(node.reader);
    assert_int_equal(arena_unlink(node.arena), 0);
    arena_detach(node.arena);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(types.data, "agent_started agent_thinking tool_executing tool_completed "
                                    "partial_result partial_result agent_completed ");
    buffer_deinit(&types);
}

static void test_without_a_node_the_example_fails(void **state)
{
    int status;
    (void)state;
    pid_t child = start("no-such-node-anywhere");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_shows_its_user_what_it_does),
        cmocka_unit_test(test_without_a_node_the_example_fails),
    };
    if (argc != 2)
        return 2;
    example = argv[1];
    return cmocka_run_group_tests_name("emitter-example", tests, NULL, NULL);
}
