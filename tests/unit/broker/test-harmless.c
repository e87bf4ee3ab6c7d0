/* SPDX-License-Identifier: Apache-2.0 */
/* What one user or worker may do without the others noticing. Turns are counted, never time. */
#include "process-test.h"

#include "base/cleanup.h"
#include "dose.h"
#include "event/record.h"
#include "ring/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a user with more events than anybody can read */

#define FLOOD_EVENT_BYTES (32u << 10)
#define FLOOD_BYTES DOSE(100u << 20)

static int emit(struct ring_writer *writer, const char *user, const struct event *event)
{
    struct event_record record;
    struct ring_lease lease;
    int rc = event_record_encode(&record, event);
    if (!rc)
        rc = ring_lease_for_user(&lease, writer, user, strlen(user));
    if (!rc)
        rc = ring_emit(NULL, writer, &lease, record.parts, EVENT_RECORD_PARTS);
    return rc;
}

/* As much as the ring takes, for ever. */
static _Noreturn void flood(const char *directory)
{
    static char data[FLOOD_EVENT_BYTES];
    struct arena *arena;
    struct ring_writer writer;
    struct event event = started("r-flood");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (arena_attach(&arena, directory) < 0 || ring_writer_init(&writer, arena) < 0)
        _exit(99);
    memset(data, 'x', sizeof(data));
    memcpy(data, "{\"delta\":\"", 10);
    memcpy(data + sizeof(data) - 2, "\"}", 2);
    for (;;) {
        int rc = emit(&writer, "flood", &event);
        if (rc == 0)
            event = (struct event){.type = EVENT_PARTIAL_RESULT,
                .run_id = SPAN_LITERAL("r-flood"),
                .message_id = SPAN_LITERAL("m-1"),
                .data = span_of(data, sizeof(data))};
        else if (rc != -EAGAIN && rc != -ESTALE)
            _exit(99);
    }
}

static pid_t start_flood(struct fixture *f)
{
    char path[PATHS_MAX];
    assert_return_code(paths_join(path, f->directory, "arena"), 0);
    pid_t pid = fork();
    assert_return_code(pid, 0);
    if (pid == 0) {
        if (close_range(3, ~0u, 0) < 0)
            _exit(99);
        flood(path);
    }
    return pid;
}

static uint64_t head_of(struct fixture *f, const char *user)
{
    return history_committed_head(fixture_user(f, user)->stream);
}

static void test_flood_of_one_user_costs_another_no_turn(void **state)
{
    struct fixture *f = *state;
    struct child quiet;
    child_start(&quiet, f);
    child_emit(&quiet, "ann", started("r-1"));
    fixture_turn(f);
    pid_t flooder = start_flood(f);
    uint64_t said = 1;
    while (head_of(f, "flood") * FLOOD_EVENT_BYTES < FLOOD_BYTES) {
        child_emit(&quiet, "ann", text_event("r-1", "m-1", 0));
        said++;
        fixture_turn(f);
        assert_int_equal(head_of(f, "ann"), said);
    }
    kill(flooder, SIGKILL);
    assert_int_equal(waitpid(flooder, NULL, 0), flooder);
    child_stop(&quiet);
}

/* ---- users that come once */

#define PASSING_USERS 10000

static uint64_t arena_blocks(const struct fixture *f)
{
    char path[PATHS_MAX];
    struct stat status;
    assert_return_code(paths_join(path, f->directory, "arena/arena"), 0);
    assert_return_code(stat(path, &status), 0);
    return (uint64_t)status.st_blocks;
}

static void reclaim(struct fixture *f, uint64_t *now_ms)
{
    for (int look = 0; look < 3; look++)
        drain_reclaim(f->drain, *now_ms += 1000, 500);
}

static void test_ten_thousand_users_that_come_once_leave_no_memory_behind(void **state)
{
    struct fixture *f = *state;
    struct ring_writer writer = {0};
    uint64_t now_ms = 1000;
    uint64_t blocks = 0;
    assert_int_equal(ring_writer_init(&writer, f->arena), 0);
    for (int i = 0; i < PASSING_USERS; i++) {
        char user[24];
        char run[24];
        snprintf(user, sizeof(user), "user-%d", i);
        snprintf(run, sizeof(run), "r-%d", i);
        struct event first = started(run);
        struct event last = event_of(EVENT_AGENT_COMPLETED, run);
        assert_int_equal(emit(&writer, user, &first), 0);
        assert_int_equal(emit(&writer, user, &last), 0);
        if (i % 50 != 49)
            continue;
        fixture_turn(f);
        reclaim(f, &now_ms);
        blocks = blocks ? blocks : arena_blocks(f);
    }
    assert_int_equal(f->counters.events_accepted, 2 * PASSING_USERS);
    assert_stream(f, "user-0", "agent_started agent_completed");
    assert_stream(f, "user-9999", "agent_started agent_completed");
    assert_true(arena_blocks(f) <= blocks);
    ring_writer_deinit(&writer);
}

/* ---- a worker that stops in the middle of an emit */

static void test_worker_stopped_in_an_emit_holds_up_its_own_user_only(void **state)
{
    struct fixture *f = *state;
    struct child stopped;
    struct child other;
    child_start(&stopped, f);
    child_start(&other, f);
    child_emit(&stopped, "ann", started("r-1"));
    fixture_turn(f);
    child_claim(&stopped, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    assert_return_code(kill(stopped.pid, SIGSTOP), errno);
    child_emit(&other, "ann", started("r-2"));
    child_emit(&other, "bob", started("r-3"));
    child_emit(&other, "bob", event_of(EVENT_AGENT_COMPLETED, "r-3"));
    fixture_turn(f);
    assert_stream(f, "bob", "agent_started agent_completed");
    assert_stream(f, "ann", "agent_started");
    assert_return_code(kill(stopped.pid, SIGCONT), errno);
    child_commit(&stopped);
    fixture_turn(f);
    assert_stream(f, "ann", "agent_started agent_completed agent_started");
    child_stop(&stopped);
    child_stop(&other);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_flood_of_one_user_costs_another_no_turn, fixture_up_large, fixture_down),
        CASE(test_ten_thousand_users_that_come_once_leave_no_memory_behind),
        CASE(test_worker_stopped_in_an_emit_holds_up_its_own_user_only),
    };
    return cmocka_run_group_tests_name("broker-harmless", tests, NULL, NULL);
}
