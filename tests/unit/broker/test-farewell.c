/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that many things were left open in, and how their ends are spread over the commits. */
#include "broker-test.h"

#include <stdio.h>

#define RUNS 80
#define TOOLS 1000
/* Of the broker's own between two commits (drain.c), and what one more run may add. */
#define WRITTEN_MOST (65536 + TOOLS + 1)

static void commit_all(struct fixture *f)
{
    fixture_commit(f);
    drain_release(f->drain);
}

static void open_run(struct fixture *f, int number)
{
    char run[16];
    char tool[16];
    snprintf(run, sizeof(run), "r-%d", number);
    assert_int_equal(push(f, "ann", started(run)), VERDICT_LEGAL);
    for (int i = 0; i < TOOLS; i++) {
        snprintf(tool, sizeof(tool), "c-%d", i);
        assert_int_equal(
            push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, run, tool)), VERDICT_LEGAL);
    }
    commit_all(f);
}

static void test_ends_of_runs_with_much_left_open_take_more_than_one_commit(void **state)
{
    struct fixture *f = *state;
    const struct process_death death = {
        .index = AGENT_PROCESS, .incarnation = AGENT_INCARNATION, .exit_code = -1};
    for (int i = 0; i < RUNS; i++)
        open_run(f, i);
    uint64_t before = f->counters.events_written;
    farewell_process_died(&f->farewell, &death);
    assert_true(farewell_turn(&f->farewell));
    assert_in_range(f->counters.events_written - before, 65536, WRITTEN_MOST);
    assert_true(f->pipeline.runs.count > 0);
    assert_true(farewell_turn(&f->farewell)); /* nothing more before the commit */
    assert_in_range(f->counters.events_written - before, 65536, WRITTEN_MOST);
    commit_all(f);
    assert_false(farewell_turn(&f->farewell));
    assert_int_equal(f->pipeline.runs.count, 0);
    assert_int_equal(f->counters.events_written - before, RUNS * (TOOLS + 1));
    commit_all(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_ends_of_runs_with_much_left_open_take_more_than_one_commit, fixture_up,
            fixture_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
