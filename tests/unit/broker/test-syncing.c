/* SPDX-License-Identifier: Apache-2.0 */
#include "process-test.h"

#include "base/clock.h"
#include "ring/writer.h"
#include "upkeep/syncing.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The disk is as slow as the test wants it: this fdatasync stands before the C library's. */
static sem_t arrived;
static sem_t left;
static atomic_bool slow;
static atomic_uint arrivals;

__attribute__((visibility("default"))) int fdatasync(int fd);
int fdatasync(int fd)
{
    if (atomic_load(&slow) && syscall(SYS_gettid) != getpid()) {
        atomic_fetch_add(&arrivals, 1);
        sem_post(&arrived);
        sem_wait(&left);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* A broker's part of it: events of "ann" that are kept and released, and the loop. */
struct scene {
    struct fixture *f;
    struct child child;
    struct ev_loop *loop;
    struct syncing syncing;
};

static void scene_start(struct scene *scene, struct fixture *f)
{
    scene->f = f;
    scene->loop = ev_loop_new(0);
    assert_non_null(scene->loop);
    sem_init(&arrived, 0, 0);
    sem_init(&left, 0, 0);
    atomic_store(&arrivals, 0);
    child_start(&scene->child, f);
    const struct syncing_options options = {
        .loop = scene->loop, .history = f->history, .drain = f->drain, .interval_ms = 10};
    assert_return_code(syncing_start(&scene->syncing, &options), 0);
}

static void scene_end(struct scene *scene)
{
    syncing_stop(&scene->syncing);
    child_stop(&scene->child);
    ev_loop_destroy(scene->loop);
}

static struct ring_mark release_one(struct scene *scene, struct event event)
{
    child_emit(&scene->child, "ann", event);
    drain_turn(scene->f->drain, 100);
    fixture_commit(scene->f);
    drain_release(scene->f->drain);
    return drain_mark(scene->f->drain, fixture_user(scene->f, "ann"));
}

static bool is_durable(struct scene *scene, const struct ring_mark *mark)
{
    return ring_wait_position(scene->f->arena, mark->ring, mark->position, RING_DURABLE, 0) == 0;
}

static void run_until_durable(struct scene *scene, const struct ring_mark *mark)
{
    uint64_t until_ms = clock_monotonic_ms() + 30000;
    while (!is_durable(scene, mark) && clock_monotonic_ms() < until_ms)
        ev_run(scene->loop, EVRUN_ONCE);
    assert_true(is_durable(scene, mark));
}

static void run_until_begun(struct scene *scene)
{
    uint64_t until_ms = clock_monotonic_ms() + 30000;
    while (sem_trywait(&arrived) < 0 && clock_monotonic_ms() < until_ms)
        ev_run(scene->loop, EVRUN_ONCE);
    assert_true(scene->syncing.under_way);
}

static void test_writers_are_told_once_a_sync_is_through(void **state)
{
    struct scene scene;
    scene_start(&scene, *state);
    struct ring_mark mark = release_one(&scene, started("r-1"));
    run_until_durable(&scene, &mark);
    assert_int_equal(history_synced_count(scene.f->history), 1);
    mark = release_one(&scene, text_event("r-1", "m-1", 0));
    run_until_durable(&scene, &mark);
    assert_int_equal(history_synced_count(scene.f->history), 2);
    scene_end(&scene);
}

static void test_the_loop_goes_on_and_begins_no_other_while_the_disk_works(void **state)
{
    struct scene scene;
    scene_start(&scene, *state);
    atomic_store(&slow, true);
    struct ring_mark before = release_one(&scene, started("r-1"));
    run_until_begun(&scene);
    struct ring_mark after = release_one(&scene, text_event("r-1", "m-1", 0));
    for (int i = 0; i < 5; i++)
        ev_run(scene.loop, EVRUN_ONCE); /* each with a tick */
    assert_int_equal(atomic_load(&arrivals), 1);
    assert_false(is_durable(&scene, &before));
    ev_timer_stop(scene.loop, &scene.syncing.timer);
    atomic_store(&slow, false);
    sem_post(&left);
    run_until_durable(&scene, &before);
    assert_false(is_durable(&scene, &after));
    assert_int_equal(history_synced_count(scene.f->history), 1);
    ev_timer_again(scene.loop, &scene.syncing.timer);
    run_until_durable(&scene, &after);
    scene_end(&scene);
}

static void test_without_a_descriptor_it_is_not_started(void **state)
{
    struct fixture *f = *state;
    struct syncing syncing = SYNCING_INIT;
    struct rlimit before;
    assert_return_code(getrlimit(RLIMIT_NOFILE, &before), errno);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
    const struct syncing_options options = {
        .history = f->history, .drain = f->drain, .interval_ms = 10};
    int rc = syncing_start(&syncing, &options);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &before), errno);
    assert_int_equal(rc, -EMFILE);
    syncing_stop(&syncing);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_writers_are_told_once_a_sync_is_through),
        CASE(test_the_loop_goes_on_and_begins_no_other_while_the_disk_works),
        CASE(test_without_a_descriptor_it_is_not_started),
    };
    return cmocka_run_group_tests_name("broker-syncing", tests, NULL, NULL);
}
