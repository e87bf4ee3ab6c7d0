/* SPDX-License-Identifier: Apache-2.0 */
/* The way into a user's stream, and how the broker closes what an agent left open. */
#include "broker-test.h"

#include "stream/closing.h"

#include <stdio.h>

static struct event fatal(const char *run_id)
{
    struct event event = event_of(EVENT_ERROR_EVENT, run_id);
    event.flags = EVENT_FLAG_FATAL;
    return event;
}

/* ---- numbers and refusals */

static void test_events_of_all_runs_of_a_user_share_one_dense_numbering(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    push(f, "ann", started("r-2"));
    push(f, "bob", started("r-3"));
    for (int i = 0; i < 20; i++) {
        push(f, "ann", text_event(i % 2 ? "r-1" : "r-2", "m-1", 0));
        push(f, "bob", text_event("r-3", "m-1", 0));
        if (i % 5 == 0)
            fixture_commit(f);
    }
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann"); /* asserts 1, 2, 3, … */
    assert_int_equal(kept.count, 22);
    kept_free(&kept);
    keep_stream(&kept, f, "bob");
    assert_int_equal(kept.count, 21);
    kept_free(&kept);
    assert_counted(f->counters.events_accepted, 43);
}

static void test_every_event_carries_its_runs_context_whatever_its_record_said(void **state)
{
    struct fixture *f = *state;
    struct event begin = started("r-1");
    begin.request_id = SPAN_LITERAL("q-1");
    push(f, "ann", begin);
    struct event note = event_of(EVENT_AGENT_THINKING, "r-1");
    note.thread_id = SPAN_LITERAL("another");
    note.agent = SPAN_LITERAL("another");
    note.flags = EVENT_FLAG_SYNTHETIC;
    note.timestamp = 123;
    note.data = SPAN_LITERAL("{\"status\":\"reading\"}");
    push(f, "ann", note);
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    const struct event *event = &kept.events[1];
    assert_true(span_is(event->thread_id, "t-1"));
    assert_true(span_is(event->request_id, "q-1"));
    assert_true(span_is(event->agent, "librarian"));
    assert_int_equal(event->flags, 0);
    assert_int_equal(event->timestamp, 123);
    assert_true(span_is(event->data, "{\"status\":\"reading\"}"));
    kept_free(&kept);
}

static void test_refused_events_leave_no_hole_and_are_counted_by_reason(void **state)
{
    struct fixture *f = *state;
    struct event bad = started("r-1");
    bad.data = SPAN_LITERAL("{\"a\":1}}");
    assert_int_equal(push(f, "ann", bad), VERDICT_BAD_DATA);
    bad.data = SPAN_LITERAL("[]");
    assert_int_equal(push(f, "ann", bad), VERDICT_BAD_DATA);
    bad = started("r-1");
    bad.thread_id = SPAN_EMPTY;
    assert_int_equal(push(f, "ann", bad), VERDICT_NO_IDENTITY);
    assert_int_equal(push(f, "ann", event_of(EVENT_AGENT_THINKING, "r-1")), VERDICT_UNKNOWN_RUN);
    assert_int_equal(f->pipeline.runs.count, 0);
    assert_int_equal(push(f, "ann", started("r-1")), VERDICT_LEGAL);
    assert_int_equal(push(f, "ann", started("r-1")), VERDICT_STARTED_TWICE);
    assert_int_equal(
        push(f, "ann", tool_event(EVENT_TOOL_COMPLETED, "r-1", "c-1")), VERDICT_TOOL_NOT_OPEN);
    assert_int_equal(push(f, "ann", event_of(EVENT_CHAT_MESSAGE, "r-1")), VERDICT_NOT_FOR_AGENTS);
    assert_int_equal(push(f, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1")), VERDICT_LEGAL);
    assert_int_equal(push(f, "ann", event_of(EVENT_AGENT_THINKING, "r-1")), VERDICT_SEALED);
    fixture_commit(f);
    assert_stream(f, "ann", "agent_started agent_completed");
    assert_counted(f->counters.refused[VERDICT_BAD_DATA], 2);
    assert_counted(f->counters.refused[VERDICT_NO_IDENTITY], 1);
    assert_counted(f->counters.refused[VERDICT_UNKNOWN_RUN], 1);
    assert_counted(f->counters.refused[VERDICT_STARTED_TWICE], 1);
    assert_counted(f->counters.refused[VERDICT_TOOL_NOT_OPEN], 1);
    assert_counted(f->counters.refused[VERDICT_NOT_FOR_AGENTS], 1);
    assert_counted(f->counters.refused[VERDICT_SEALED], 1);
    assert_counted(f->counters.events_accepted, 2);
}

static void test_run_is_only_its_own_users_and_its_own_processs(void **state)
{
    struct fixture *f = *state;
    const struct origin other_process = {AGENT_PROCESS + 1, AGENT_INCARNATION};
    const struct origin later_process = {AGENT_PROCESS, AGENT_INCARNATION + 1};
    assert_int_equal(push(f, "ann", started("r-1")), VERDICT_LEGAL);
    struct event text = text_event("r-1", "m-1", 0);
    assert_int_equal(push(f, "bob", text), VERDICT_FOREIGN_RUN);
    assert_int_equal(push(f, "bob", started("r-1")), VERDICT_FOREIGN_RUN);
    assert_int_equal(push_from(f, "ann", text, &other_process), VERDICT_FOREIGN_RUN);
    assert_int_equal(push_from(f, "ann", text, &later_process), VERDICT_FOREIGN_RUN);
    assert_counted(f->counters.refused[VERDICT_FOREIGN_RUN], 4);
    fixture_commit(f);
    assert_stream(f, "ann", "agent_started");
    assert_stream(f, "bob", "");
}

static void test_run_that_waits_for_a_worker_can_be_begun_by_nobody(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    assert_int_equal(push(f, "ann", started(answer.run_id)), VERDICT_FOREIGN_RUN);
    assert_state(f, answer.run_id, "queued");
}

static void test_identifier_of_an_ended_run_is_not_used_again(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    push(f, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    assert_int_equal(push(f, "ann", started("r-1")), VERDICT_SEALED); /* staged */
    fixture_commit(f);
    assert_int_equal(push(f, "ann", started("r-1")), VERDICT_SEALED); /* committed */
    assert_int_equal(push(f, "bob", started("r-1")), VERDICT_SEALED);
    fixture_restart(f);
    fixture_recover(f);
    assert_int_equal(push(f, "ann", started("r-1")), VERDICT_SEALED);
    assert_stream(f, "ann", "agent_started agent_completed");
}

static void test_states_are_counted(void **state)
{
    struct fixture *f = *state;
    const uint64_t *count = f->pipeline.runs_by_state;
    push(f, "ann", started("r-1"));
    push(f, "ann", started("r-2"));
    assert_int_equal(count[RUN_RUNNING], 2);
    push(f, "ann", event_of(EVENT_INTERRUPT_REQUESTED, "r-1"));
    assert_int_equal(count[RUN_RUNNING], 1);
    assert_int_equal(count[RUN_WAITING], 1);
    push(f, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    push(f, "ann", fatal("r-2"));
    assert_int_equal(count[RUN_RUNNING] + count[RUN_WAITING] + count[RUN_STARTING], 0);
    assert_int_equal(count[RUN_COMPLETED], 1);
    assert_int_equal(count[RUN_FAILED], 1);
}

/* ---- ends */

static void test_end_closes_open_tools_and_texts_before_itself(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"));
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-2"));
    push(f, "ann", text_event("r-1", "m-1", 0));
    push(f, "ann", text_event("r-1", "m-2", EVENT_FLAG_FINAL));
    push(f, "ann", tool_event(EVENT_TOOL_COMPLETED, "r-1", "c-1"));
    push(f, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_string_equal(kept_types(&kept, NULL),
        "agent_started tool_executing tool_executing partial_result partial_result "
        "tool_completed tool_completed* partial_result* agent_completed");
    assert_true(span_is(kept.events[6].tool_call_id, "c-2"));
    assert_member(&kept.events[6], "status", "cancelled");
    assert_member(&kept.events[6], "tool_name", "search");
    assert_true(span_is(kept.events[7].message_id, "m-1"));
    assert_member(&kept.events[7], "final", "true");
    assert_member(&kept.events[7], "truncated", "true");
    assert_member(&kept.events[7], "delta", "");
    assert_int_equal(kept.events[7].flags, EVENT_FLAG_SYNTHETIC | EVENT_FLAG_FINAL);
    kept_free(&kept);
}

static void test_everything_is_refused_behind_the_end(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    push(f, "ann", fatal("r-1"));
    uint64_t refused = 0;
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        assert_int_equal(push(f, "ann", event_of(type, "r-1")), VERDICT_SEALED);
        refused++;
    }
    assert_int_equal(f->counters.refused[VERDICT_SEALED], refused);
    fixture_commit(f);
    assert_stream(f, "ann", "agent_started error_event");
}

static void test_lost_run_is_closed_in_order_and_says_why(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"));
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-2"));
    push(f, "ann", text_event("r-1", "m-1", 0));
    struct closing closing = CLOSING_WORKER_LOST;
    closing.signal = 9;
    closing_end_run(&f->pipeline, fixture_find(f, "r-1"), &closing);
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_string_equal(kept_types(&kept, NULL),
        "agent_started tool_executing tool_executing partial_result "
        "tool_completed* tool_completed* partial_result* error_event*");
    assert_true(span_is(kept.events[4].tool_call_id, "c-1"));
    assert_true(span_is(kept.events[5].tool_call_id, "c-2"));
    assert_member(&kept.events[5], "status", "lost");
    const struct event *last = &kept.events[7];
    assert_int_equal(last->flags, EVENT_FLAG_SYNTHETIC | EVENT_FLAG_FATAL);
    assert_member(last, "code", "worker_lost");
    assert_member(last, "fatal", "true");
    assert_member(last, "retryable", "true");
    assert_member(last, "signal", "9");
    assert_member(last, "exit_code", NULL);
    kept_free(&kept);
    assert_string_equal(ended_state(f, "r-1"), "failed");
    assert_counted(f->counters.events_written, 4);
}

static void test_lost_run_says_its_exit_code_even_when_it_is_zero(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    struct closing closing = CLOSING_WORKER_LOST;
    closing.exit_code = 0;
    closing_end_run(&f->pipeline, fixture_find(f, "r-1"), &closing);
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_member(&kept.events[1], "exit_code", "0");
    assert_member(&kept.events[1], "signal", NULL);
    kept_free(&kept);
}

static void test_run_that_the_broker_cancels_ends_with_that_outcome(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"));
    closing_end_run(&f->pipeline, fixture_find(f, "r-1"), &CLOSING_CANCELLED);
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_string_equal(
        kept_types(&kept, NULL), "agent_started tool_executing tool_completed* agent_completed*");
    assert_member(&kept.events[2], "status", "cancelled");
    assert_member(&kept.events[3], "outcome", "cancelled");
    assert_int_equal(kept.events[3].flags, EVENT_FLAG_SYNTHETIC | EVENT_FLAG_OUTCOME_CANCELLED);
    kept_free(&kept);
    assert_string_equal(ended_state(f, "r-1"), "cancelled");
}

static void test_end_of_one_run_leaves_the_others_alone(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    push(f, "ann", started("r-2"));
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"));
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-2", "c-1"));
    push(f, "ann", fatal("r-1"));
    fixture_commit(f);
    assert_run_events(f, "ann", "r-1", "agent_started tool_executing tool_completed* error_event");
    assert_run_events(f, "ann", "r-2", "agent_started tool_executing");
    assert_state(f, "r-2", "running");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_events_of_all_runs_of_a_user_share_one_dense_numbering),
        CASE(test_every_event_carries_its_runs_context_whatever_its_record_said),
        CASE(test_refused_events_leave_no_hole_and_are_counted_by_reason),
        CASE(test_run_is_only_its_own_users_and_its_own_processs),
        CASE(test_run_that_waits_for_a_worker_can_be_begun_by_nobody),
        CASE(test_identifier_of_an_ended_run_is_not_used_again),
        CASE(test_states_are_counted),
        CASE(test_end_closes_open_tools_and_texts_before_itself),
        CASE(test_everything_is_refused_behind_the_end),
        CASE(test_lost_run_is_closed_in_order_and_says_why),
        CASE(test_lost_run_says_its_exit_code_even_when_it_is_zero),
        CASE(test_run_that_the_broker_cancels_ends_with_that_outcome),
        CASE(test_end_of_one_run_leaves_the_others_alone),
    };
    return cmocka_run_group_tests_name("broker-pipeline", tests, NULL, NULL);
}
