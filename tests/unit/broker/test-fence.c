/* SPDX-License-Identifier: Apache-2.0 */
/* A process stopped within an emit: told of, killed if it is to be, and its user goes on. */
#include "loop/broker.h"
#include "ring/writer.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define AFTER 100u
#define DEADLINE_S 10.

struct node {
    char directory[64];
    struct arena *arena;
    struct ev_loop *loop;
    struct processes *processes;
    struct drain *drain;
    struct counters counters;
    struct process_death death;
};

static void on_death(void *context, const struct process_death *death)
{
    struct node *node = context;
    node->death = *death;
    ev_break(node->loop, EVBREAK_ALL);
}

static const struct processes_events events = {.on_death = on_death};

static int node_up(void **state)
{
    struct node *node = calloc(1, sizeof(*node));
    snprintf(node->directory, sizeof(node->directory), "/dev/shm/ringside-fence-%d", getpid());
    const struct arena_options options = {
        .directory = node->directory, .ring_count = 64, .ring_bytes = 16384};
    assert_int_equal(arena_create(&node->arena, &options), 0);
    node->loop = ev_default_loop(0);
    assert_int_equal(processes_new(&node->processes, node->loop, node->arena, &events, node), 0);
    assert_int_equal(drain_new(&node->drain, &(struct drain_options){.arena = node->arena,
                                                 .processes = node->processes,
                                                 .counters = &node->counters,
                                                 .max_staged = SIZE_MAX}),
        0);
    *state = node;
    return 0;
}

static int node_down(void **state)
{
    struct node *node = *state;
    drain_free(node->drain);
    processes_free(node->processes);
    assert_int_equal(arena_unlink(node->arena), 0);
    arena_detach(node->arena);
    free(node);
    return 0;
}

static int stop_within_an_emit(const char *directory)
{
    struct ring_writer writer;
    struct ring_lease lease;
    struct ring_claim claim;
    struct arena *arena;
    if (arena_attach(&arena, directory) < 0 || ring_writer_init(&writer, arena) < 0 ||
        ring_lease_for_user(&lease, &writer, "ann", 3) < 0 ||
        ring_reserve(&claim, &writer, &lease, 8) < 0)
        return 1;
    raise(SIGSTOP);
    return 2;
}

static pid_t start_stopped(const struct node *node)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(stop_within_an_emit(node->directory));
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    return pid;
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)watcher;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

/* Turns until a death was reported. */
static void wait_for_death(struct node *node)
{
    ev_timer deadline;
    ev_timer_init(&deadline, on_deadline, DEADLINE_S, 0.);
    ev_timer_start(node->loop, &deadline);
    while (node->death.incarnation == 0 && ev_is_active(&deadline)) {
        ev_run(node->loop, EVRUN_ONCE);
        processes_turn(node->processes, false);
    }
    ev_timer_stop(node->loop, &deadline);
    assert_true(node->death.incarnation != 0);
}

static void unstick(struct node *node, uint64_t now_ms, bool kill)
{
    const struct drain_stuck stuck = {.after_ms = AFTER, .kill = kill};
    drain_unstick(node->drain, now_ms, &stuck);
}

static void test_stopped_writer_is_killed_when_told_so(void **state)
{
    struct node *node = *state;
    struct ring_reader_stats stats;
    pid_t pid = start_stopped(node);

    processes_turn(node->processes, true);
    drain_sweep(node->drain); /* meets the ring */
    unstick(node, 1, true);
    unstick(node, 1 + AFTER - 1, true);
    unstick(node, 1 + AFTER, false);
    assert_int_equal(node->counters.writers_killed, 0); /* not yet, and not unless told so */
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    unstick(node, 1 + AFTER, true);
    assert_int_equal(node->counters.writers_killed, 1);
    wait_for_death(node);
    /* Who asks how it died may have taken the zombie away. */
    assert_true(waitpid(pid, NULL, 0) == pid || errno == ECHILD);
    drain_everything(node->drain); /* nothing but what was discarded */
    drain_stats(node->drain, &stats);
    assert_int_equal(stats.discarded, 1);
    unstick(node, 100000, true);
    unstick(node, 200000, true);
    assert_int_equal(node->counters.writers_killed, 1);
}

static void test_nobody_else_is_killed(void **state)
{
    struct node *node = *state;
    uint64_t incarnation;

    assert_int_equal(processes_kill(node->processes, arena_process_index(node->arena), 1), -EPERM);
    assert_int_equal(processes_kill(node->processes, 7, 1), -ESRCH);
    pid_t pid = start_stopped(node);
    processes_turn(node->processes, true);
    assert_true(processes_incarnation(node->processes, 1, &incarnation));
    assert_int_equal(processes_kill(node->processes, 1, incarnation + 1), -ESRCH);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    assert_int_equal(processes_kill(node->processes, 1, incarnation), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    processes_turn(node->processes, true);
}

/* What waits for its claim is released long before that of a writer nobody has given up. */
static void test_fenced_writer_is_killed_when_somebody_waits_for_its_claim(void **state)
{
    struct node *node = *state;
    const struct drain_stuck never = {.after_ms = 60000, .kill = true};
    const struct drain_stuck blocking = {.after_ms = 60000, .kill_fenced = true};
    uint64_t incarnation;
    pid_t pid = start_stopped(node);

    processes_turn(node->processes, true);
    drain_sweep(node->drain);
    assert_true(processes_incarnation(node->processes, 1, &incarnation));
    drain_unstick(node->drain, 1, &blocking);
    drain_unstick(node->drain, 2000, &blocking);
    assert_int_equal(node->counters.writers_killed, 0); /* nobody has given it up */
    assert_int_equal(processes_fence(node->processes, 1, incarnation), 0);
    processes_disown(node->processes, 1, incarnation);
    drain_unstick(node->drain, 2000, &never);
    assert_int_equal(node->counters.writers_killed, 0);
    drain_unstick(node->drain, 2000, &blocking);
    assert_int_equal(node->counters.writers_killed, 1);
    wait_for_death(node);
    assert_int_equal(node->death.signal, SIGKILL);
    assert_true(waitpid(pid, NULL, 0) == pid || errno == ECHILD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_stopped_writer_is_killed_when_told_so, node_up, node_down),
        cmocka_unit_test_setup_teardown(
            test_fenced_writer_is_killed_when_somebody_waits_for_its_claim, node_up, node_down),
        cmocka_unit_test_setup_teardown(test_nobody_else_is_killed, node_up, node_down),
    };

    return cmocka_run_group_tests_name("broker fence", tests, NULL, NULL);
}
