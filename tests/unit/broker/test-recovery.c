/* SPDX-License-Identifier: Apache-2.0 */
/* A broker is killed and another one takes up what it left: history, rings, processes. */
#include "broker-test.h"

#include "base/clock.h"
#include "process-test.h"

#include <stdio.h>

static struct worker *seat_worker(struct fixture *f, const struct child *child)
{
    struct worker *worker = fixture_worker(f, child->index, 4, "librarian");
    worker->incarnation = child->incarnation;
    return worker;
}

/* ---- queued runs */

static void test_queued_runs_are_queued_again_in_the_order_of_their_acceptance(void **state)
{
    struct fixture *f = *state;
    char ids[8][IDENTIFIER_SIZE];
    fixture_worker(f, 3, 0, "librarian");
    for (int i = 0; i < 8; i++) {
        char message[16];
        snprintf(message, sizeof(message), "m-%d", i);
        struct answer answer = chat(f, "ann", "t-1", message);
        assert_null(answer.code);
        memcpy(ids[i], answer.run_id, sizeof(ids[i]));
    }
    fixture_turn(f);
    fixture_restart(f);
    fixture_recover(f);
    assert_int_equal(f->pipeline.queue.count, 8);
    int at = 0;
    LIST_FOR_EACH(struct run, run, &fixture_find(f, ids[0])->thread->waiting, thread_link)
    assert_string_equal(run->id, ids[at++]);
    assert_int_equal(at, 8);
}

static void test_queued_run_keeps_all_it_was_asked_with(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 0, "writer");
    struct answer answer = chat_as(f, &(struct wire_chat_send){.user = SPAN_LITERAL("ann"),
                                          .thread_id = SPAN_LITERAL("t-9"),
                                          .message_id = SPAN_LITERAL("m-9"),
                                          .agent = SPAN_LITERAL("writer"),
                                          .on_disconnect = SPAN_LITERAL("cancel"),
                                          .content = SPAN_LITERAL("[\"why\"]")});
    fixture_turn(f);
    char request_id[IDENTIFIER_SIZE];
    memcpy(request_id, fixture_find(f, answer.run_id)->request_id, sizeof(request_id));
    fixture_restart(f);
    fixture_recover(f);
    const struct run *run = fixture_find(f, answer.run_id);
    assert_non_null(run);
    assert_string_equal(run->thread_id, "t-9");
    assert_string_equal(run->message_id, "m-9");
    assert_string_equal(run->request_id, request_id);
    assert_string_equal(run->agent, "writer");
    assert_true(span_is(buffer_span(&run->content), "[\"why\"]"));
    assert_true(run->cancel_on_disconnect && run->dispatched && !run->placed);
}

static void test_message_sent_again_after_a_restart_finds_its_run(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 0, "librarian");
    struct answer first = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    fixture_restart(f);
    fixture_recover(f);
    struct answer again = chat(f, "ann", "t-1", "m-1");
    assert_null(again.code);
    assert_string_equal(again.run_id, first.run_id);
    assert_string_equal(again.status, "queued");
    assert_stream(f, "ann", "chat_message run_queued");
}

static void test_what_was_not_committed_is_not_there_and_can_be_asked_again(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 0, "librarian");
    assert_null(chat(f, "ann", "t-1", "m-1").code);
    fixture_restart(f);
    fixture_recover(f);
    assert_int_equal(f->pipeline.runs.count, 0);
    fixture_worker(f, 3, 0, "librarian");
    assert_null(chat(f, "ann", "t-1", "m-1").code);
    fixture_commit(f);
    assert_stream(f, "ann", "chat_message run_queued");
}

/* ---- runs of processes */

static void test_run_of_a_living_process_goes_on_with_what_it_has_open(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    child_emit(&child, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"));
    child_emit(&child, "ann", text_event("r-1", "m-1", 0));
    child_emit(&child, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-2"));
    child_emit(&child, "ann", tool_event(EVENT_TOOL_COMPLETED, "r-1", "c-1"));
    child_emit(&child, "ann", event_of(EVENT_INTERRUPT_REQUESTED, "r-1"));
    fixture_turn(f);
    fixture_restart(f);
    fixture_recover(f);
    assert_state(f, "r-1", "waiting");
    const struct run *run = fixture_find(f, "r-1");
    assert_true(run_started(run));
    assert_non_null(run_find_open(run, GRAMMAR_INTERRUPT, SPAN_LITERAL("i-1")));
    assert_null(run_find_open(run, GRAMMAR_TOOL, SPAN_LITERAL("c-1")));
    const struct open_item *tool = run_find_open(run, GRAMMAR_TOOL, SPAN_LITERAL("c-2"));
    assert_non_null(tool);
    assert_string_equal(tool->label, "search");
    assert_non_null(run_find_open(run, GRAMMAR_TEXT, SPAN_LITERAL("m-1")));
    child_emit(&child, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    fixture_turn(f);
    assert_string_equal(ended_state(f, "r-1"), "completed");
    child_stop(&child);
}

static void test_run_of_a_process_that_died_meanwhile_is_closed(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    child_emit(&child, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"));
    fixture_turn(f);
    child_emit(&child, "ann", text_event("r-1", "m-1", 0)); /* in the ring when both die */
    child_kill(&child);
    fixture_restart(f);
    fixture_recover(f);
    assert_stream(f, "ann",
        "agent_started tool_executing partial_result tool_completed* partial_result* error_event*");
    assert_string_equal(ended_state(f, "r-1"), "failed");
    child_reap(&child);
}

static void test_run_given_to_a_process_that_never_began_it_is_queued_once(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    seat_worker(f, &child);
    struct answer given = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    assert_state(f, given.run_id, "starting");
    struct answer waiting = chat(f, "ann", "t-1", "m-2");
    fixture_turn(f);
    child_kill(&child);
    fixture_restart(f);
    fixture_recover(f);
    assert_state(f, given.run_id, "queued");
    assert_int_equal(f->pipeline.queue.count, 2);
    const struct run *first =
        LIST_FIRST(struct run, &fixture_find(f, given.run_id)->thread->waiting, thread_link);
    assert_string_equal(first->id, given.run_id);
    fixture_worker(f, 5, 1, "librarian");
    fixture_turn(f);
    assert_state(f, given.run_id, "starting");
    assert_state(f, waiting.run_id, "queued");
    assert_int_equal(f->pipeline.queue.count, 1);
    child_reap(&child);
}

static void test_run_of_another_arena_is_closed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(push(f, "ann", started("r-1")), VERDICT_LEGAL);
    fixture_find(f, "r-1")->arena_id++;
    pipeline_stage(&f->pipeline, fixture_find(f, "r-1"));
    fixture_commit(f);
    fixture_restart(f);
    fixture_recover(f);
    assert_stream(f, "ann", "agent_started error_event*");
}

static void test_cancelled_run_of_a_process_that_never_began_it_ends_as_cancelled(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    seat_worker(f, &child);
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    assert_null(cancel_run(f, "ann", answer.run_id).code);
    fixture_turn(f);
    child_kill(&child);
    fixture_restart(f);
    fixture_recover(f);
    assert_stream(f, "ann", "chat_message run_queued agent_completed*");
    assert_string_equal(ended_state(f, answer.run_id), "cancelled");
    child_reap(&child);
}

static void test_cancel_that_was_asked_before_a_restart_is_not_forgotten(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    seat_worker(f, &child);
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    child_emit(&child, "ann", started(answer.run_id));
    fixture_turn(f);
    assert_null(cancel_run(f, "ann", answer.run_id).code);
    fixture_turn(f);
    fixture_restart(f);
    fixture_recover(f);
    assert_state(f, answer.run_id, "cancelling");
    dispatch_overdue(&f->dispatch, clock_monotonic_ms(), clock_wall_ms());
    assert_string_equal(ended_state(f, answer.run_id), "cancelled");
    child_stop(&child);
}

/* ---- rings */

static void test_records_that_were_committed_are_known_again(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    child_emit(&child, "ann", text_event("r-1", "m-1", 0));
    drain_turn(f->drain, 100);
    fixture_commit(f); /* and dies before the space is given back */
    fixture_restart(f);
    fixture_recover(f);
    assert_counted(f->counters.events_repeated, 2);
    child_emit(&child, "ann", text_event("r-1", "m-1", EVENT_FLAG_FINAL));
    fixture_turn(f);
    assert_stream(f, "ann", "agent_started partial_result partial_result");
    child_stop(&child);
}

static void test_records_that_were_not_committed_are_taken_again(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    fixture_turn(f);
    child_emit(&child, "ann", text_event("r-1", "m-1", 0));
    drain_turn(f->drain, 100); /* and dies before the commit */
    fixture_restart(f);
    fixture_recover(f);
    assert_int_equal(f->counters.events_repeated, 0);
    assert_stream(f, "ann", "agent_started partial_result");
    child_stop(&child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_queued_runs_are_queued_again_in_the_order_of_their_acceptance, fixture_up,
            fixture_down),
        cmocka_unit_test_setup_teardown(
            test_queued_run_keeps_all_it_was_asked_with, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_message_sent_again_after_a_restart_finds_its_run, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_what_was_not_committed_is_not_there_and_can_be_asked_again, fixture_up,
            fixture_down),
        cmocka_unit_test_setup_teardown(
            test_run_of_a_living_process_goes_on_with_what_it_has_open, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_run_of_a_process_that_died_meanwhile_is_closed, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_run_given_to_a_process_that_never_began_it_is_queued_once, fixture_up,
            fixture_down),
        cmocka_unit_test_setup_teardown(
            test_run_of_another_arena_is_closed, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_cancelled_run_of_a_process_that_never_began_it_ends_as_cancelled, fixture_up,
            fixture_down),
        cmocka_unit_test_setup_teardown(
            test_cancel_that_was_asked_before_a_restart_is_not_forgotten, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_records_that_were_committed_are_known_again, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(
            test_records_that_were_not_committed_are_taken_again, fixture_up, fixture_down),
    };
    return cmocka_run_group_tests_name("broker-recovery", tests, NULL, NULL);
}
