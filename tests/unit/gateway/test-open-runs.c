/* SPDX-License-Identifier: Apache-2.0 */
#include "open_runs.h"

#include "unit.h"

#include <stdio.h>

#define RUNS                                                                                       \
    "[{\"run_id\":\"r-1\",\"thread_id\":\"t\",\"agent\":\"a\",\"state\":\"running\"},"             \
    "{\"run_id\":\"r-2\",\"thread_id\":\"t\",\"agent\":\"a\",\"state\":\"queued\"}]"

static struct event event_of(enum event_type type, uint64_t seq, const char *run_id)
{
    return (struct event){.type = type, .seq = seq, .run_id = span_of_string(run_id)};
}

static void live(struct open_runs *runs, enum event_type type, uint64_t seq, const char *run_id)
{
    const struct event event = event_of(type, seq, run_id);
    open_runs_note_live(runs, &event);
}

static void page(struct open_runs *runs, enum event_type type, uint64_t seq, const char *run_id)
{
    const struct event event = event_of(type, seq, run_id);
    open_runs_note_page(runs, &event);
}

static void test_what_the_broker_tells_is_open(void **state)
{
    (void)state;
    struct open_runs runs = {0};
    open_runs_learn(&runs, SPAN_LITERAL(RUNS), 10);
    assert_int_equal(runs.count, 2);
    open_runs_learn(&runs, SPAN_LITERAL("[]"), 11);
    assert_int_equal(runs.count, 0);
    open_runs_learn(&runs, SPAN_LITERAL("[{\"run_id\":\"cut"), 12);
    assert_int_equal(runs.count, 0);
    open_runs_learn(&runs, SPAN_EMPTY, 12);
    assert_int_equal(runs.count, 0);
    assert_null(runs.ids);
}

static void test_live_events_open_and_end_runs(void **state)
{
    (void)state;
    struct open_runs runs = {0};
    open_runs_learn(&runs, SPAN_LITERAL("[]"), 0);
    live(&runs, EVENT_RUN_QUEUED, 1, "r-1");
    live(&runs, EVENT_AGENT_STARTED, 2, "r-1");
    assert_int_equal(runs.count, 1);
    live(&runs, EVENT_AGENT_STARTED, 3, "r-2");
    assert_int_equal(runs.count, 2);
    live(&runs, EVENT_PARTIAL_RESULT, 4, "r-1");
    live(&runs, EVENT_AGENT_COMPLETED, 5, "r-1");
    assert_int_equal(runs.count, 1);
    live(&runs, EVENT_ERROR_EVENT, 6, "r-2");
    assert_int_equal(runs.count, 1);
    struct event fatal = event_of(EVENT_ERROR_EVENT, 7, "r-2");
    fatal.flags = EVENT_FLAG_FATAL;
    open_runs_note_live(&runs, &fatal);
    assert_int_equal(runs.count, 0);
    assert_null(runs.ids);
}

static void test_an_event_is_counted_once_wherever_it_comes_from(void **state)
{
    (void)state;
    struct open_runs runs = {0};
    open_runs_learn(&runs, SPAN_LITERAL(RUNS), 10);
    live(&runs, EVENT_AGENT_COMPLETED, 11, "r-1");
    page(&runs, EVENT_RUN_QUEUED, 5, "r-1");
    live(&runs, EVENT_RUN_QUEUED, 5, "r-1");
    assert_int_equal(runs.count, 1);
    open_runs_deinit(&runs);
}

static void test_behind_a_hole_live_events_wait_for_history(void **state)
{
    (void)state;
    struct open_runs runs = {0};
    open_runs_learn(&runs, SPAN_LITERAL(RUNS), 10);
    live(&runs, EVENT_AGENT_STARTED, 14, "r-3");
    assert_int_equal(runs.count, 2);
    page(&runs, EVENT_AGENT_COMPLETED, 11, "r-1");
    page(&runs, EVENT_AGENT_COMPLETED, 12, "r-2");
    page(&runs, EVENT_AGENT_STARTED, 14, "r-3");
    assert_int_equal(runs.count, 1);
    live(&runs, EVENT_AGENT_COMPLETED, 15, "r-3");
    assert_int_equal(runs.count, 0);
}

static void test_many_runs_are_open_at_once(void **state)
{
    (void)state;
    struct open_runs runs = {0};
    char id[100][8];
    open_runs_learn(&runs, SPAN_EMPTY, 0);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(id[i], sizeof(id[i]), "r-%u", i);
        live(&runs, EVENT_AGENT_STARTED, i + 1, id[i]);
    }
    assert_int_equal(runs.count, 100);
    for (unsigned i = 0; i < 100; i++)
        live(&runs, EVENT_AGENT_COMPLETED, 101 + i, id[i]);
    assert_int_equal(runs.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_broker_tells_is_open),
        cmocka_unit_test(test_live_events_open_and_end_runs),
        cmocka_unit_test(test_an_event_is_counted_once_wherever_it_comes_from),
        cmocka_unit_test(test_behind_a_hole_live_events_wait_for_history),
        cmocka_unit_test(test_many_runs_are_open_at_once),
    };
    return cmocka_run_group_tests_name("open-runs", tests, NULL, NULL);
}
