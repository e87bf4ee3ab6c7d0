/* SPDX-License-Identifier: Apache-2.0 */
/* Real processes: a shell that says ready, ends, ignores TERM, or outlives its parent. */
#include "child.h"

#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_SECONDS 20.0

struct scene {
    struct ev_loop *loop;
    struct child child;
    ev_timer deadline;
    char line[64];
    int ready_count;
    int end_count;
    int status;
    bool late;
};

static void on_ready(void *context, struct child *child, struct span line)
{
    struct scene *scene = context;
    (void)child;
    scene->ready_count++;
    snprintf(scene->line, sizeof(scene->line), "%.*s", SPAN_ARG(line));
    ev_break(scene->loop, EVBREAK_ONE);
}

static void on_ended(void *context, struct child *child, int status)
{
    struct scene *scene = context;
    (void)child;
    scene->end_count++;
    scene->status = status;
    ev_break(scene->loop, EVBREAK_ONE);
}

static const struct child_events scene_events = {.on_ready = on_ready, .on_ended = on_ended};

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct scene *scene = watcher->data;
    (void)events;
    scene->late = true;
    ev_break(loop, EVBREAK_ONE);
}

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.loop = ev_default_loop(0)};
    child_init(&scene->child, "test", scene->loop, &scene_events, scene);
    ev_timer_init(&scene->deadline, on_deadline, DEADLINE_SECONDS, 0.);
    scene->deadline.data = scene;
    ev_timer_start(scene->loop, &scene->deadline);
}

static void scene_deinit(struct scene *scene)
{
    child_deinit(&scene->child);
    ev_timer_stop(scene->loop, &scene->deadline);
}

static void scene_start(struct scene *scene, const char *script)
{
    char *argv[] = {
        (char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)script, NULL};
    assert_int_equal(child_start(&scene->child, argv), 0);
}

/* Until the next thing happens. */
static void scene_wait(struct scene *scene)
{
    ev_run(scene->loop, 0);
    assert_false(scene->late);
}

static void test_child_says_ready_and_ends(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    scene_start(&scene, "trap 'kill $!; exit 3' USR1; sleep 1000 & "
                        "echo ready 8080 >&$RINGSIDE_READY_FD; wait");
    scene_wait(&scene);
    assert_int_equal(scene.ready_count, 1);
    assert_true(scene.child.ready);
    assert_string_equal(scene.line, "ready 8080");
    child_signal(&scene.child, SIGUSR1);
    scene_wait(&scene);
    assert_int_equal(scene.end_count, 1);
    assert_true(WIFEXITED(scene.status));
    assert_int_equal(WEXITSTATUS(scene.status), 3);
    assert_int_equal(scene.child.pid, 0);
    assert_false(scene.child.ready);
    scene_deinit(&scene);
}

static void test_child_that_ends_before_it_was_ready_only_ends(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    scene_start(&scene, "printf read >&$RINGSIDE_READY_FD; exit 0");
    scene_wait(&scene);
    assert_int_equal(scene.ready_count, 0);
    assert_int_equal(scene.end_count, 1);
    scene_deinit(&scene);
}

static void test_child_that_is_ready_and_ends_at_once_was_ready(void **state)
{
    (void)state;
    struct scene scene;
    siginfo_t end;
    scene_init(&scene);
    scene_start(&scene, "echo ready >&$RINGSIDE_READY_FD; exit 5");
    assert_int_equal(waitid(P_PID, (id_t)scene.child.pid, &end, WEXITED | WNOWAIT), 0);
    while (!scene.end_count)
        scene_wait(&scene);
    assert_int_equal(scene.ready_count, 1);
    assert_string_equal(scene.line, "ready");
    assert_int_equal(WEXITSTATUS(scene.status), 5);
    assert_false(scene.child.ready);
    scene_deinit(&scene);
}

static void test_program_that_is_not_there_ends_with_127(void **state)
{
    (void)state;
    struct scene scene;
    char *argv[] = {(char *)(uintptr_t) "/no/such/program", NULL};
    scene_init(&scene);
    assert_int_equal(child_start(&scene.child, argv), 0);
    scene_wait(&scene);
    assert_int_equal(WEXITSTATUS(scene.status), 127);
    scene_deinit(&scene);
}

static void test_child_can_be_started_again(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    for (int i = 1; i <= 3; i++) {
        scene_start(&scene, "echo ready >&$RINGSIDE_READY_FD; exec sleep 1000");
        scene_wait(&scene);
        assert_int_equal(scene.ready_count, i);
        child_signal(&scene.child, SIGKILL);
        scene_wait(&scene);
        assert_int_equal(scene.end_count, i);
        assert_int_equal(WTERMSIG(scene.status), SIGKILL);
    }
    scene_deinit(&scene);
}

static void test_kill_reaches_the_whole_group(void **state)
{
    (void)state;
    struct scene scene;
    int alive[2];
    assert_int_equal(pipe(alive), 0);
    scene_init(&scene);
    /* The grandchild inherits the pipe: end of file means that it is gone as well. */
    scene_start(&scene, "sleep 1000 & echo ready >&$RINGSIDE_READY_FD; wait");
    close(alive[1]);
    scene_wait(&scene);
    child_signal(&scene.child, SIGKILL);
    scene_wait(&scene);
    struct pollfd end = {.fd = alive[0], .events = POLLIN};
    assert_int_equal(poll(&end, 1, (int)DEADLINE_SECONDS * 1000), 1);
    char byte;
    assert_int_equal(read(alive[0], &byte, 1), 0);
    close(alive[0]);
    scene_deinit(&scene);
}

/* In a process of its own: starts a child and waits to be killed. */
static _Noreturn void be_parent(int report)
{
    struct scene scene;
    scene_init(&scene);
    scene_start(&scene, "trap '' TERM INT; echo ready >&$RINGSIDE_READY_FD; exec sleep 1000");
    ev_run(scene.loop, 0);
    if (write(report, "r", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void test_child_does_not_outlive_its_parent(void **state)
{
    (void)state;
    int report[2], alive[2];
    char byte;
    assert_int_equal(pipe(report), 0);
    assert_int_equal(pipe(alive), 0);
    pid_t parent = fork();
    if (parent == 0) {
        close(report[0]);
        close(alive[0]);
        be_parent(report[1]);
    }
    close(report[1]);
    close(alive[1]);
    assert_int_equal(read(report[0], &byte, 1), 1);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    /* The child inherited the pipe: end of file means that it is gone as well. */
    struct pollfd end = {.fd = alive[0], .events = POLLIN};
    assert_int_equal(poll(&end, 1, (int)DEADLINE_SECONDS * 1000), 1);
    assert_int_equal(read(alive[0], &byte, 1), 0);
    close(report[0]);
    close(alive[0]);
}

static void test_ends_are_described(void **state)
{
    (void)state;
    char text[CHILD_END_SIZE];
    child_describe_end(text, 3 << 8);
    assert_string_equal(text, "ended with status 3");
    child_describe_end(text, SIGKILL);
    assert_string_equal(text, "was killed by signal 9 (Killed)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_says_ready_and_ends),
        cmocka_unit_test(test_child_that_ends_before_it_was_ready_only_ends),
        cmocka_unit_test(test_child_that_is_ready_and_ends_at_once_was_ready),
        cmocka_unit_test(test_program_that_is_not_there_ends_with_127),
        cmocka_unit_test(test_child_can_be_started_again),
        cmocka_unit_test(test_kill_reaches_the_whole_group),
        cmocka_unit_test(test_child_does_not_outlive_its_parent),
        cmocka_unit_test(test_ends_are_described),
    };
    return cmocka_run_group_tests_name("cli-child", tests, NULL, NULL);
}
