/* SPDX-License-Identifier: Apache-2.0 */
/* What clients ask for, and what they are answered. */
#include "broker-test.h"

#include "base/clock.h"

#include <string.h>

static struct answer chat_with(
    struct fixture *f, const char *message, const char *on_busy, const char *agent)
{
    return chat_as(f, &(struct wire_chat_send){.user = SPAN_LITERAL("ann"),
                          .thread_id = SPAN_LITERAL("t-1"),
                          .message_id = span_of_string(message),
                          .content = SPAN_LITERAL("\"hello\""),
                          .agent = span_of_string(agent),
                          .on_busy = span_of_string(on_busy)});
}

static void assert_refused(const struct answer *answer, const char *code, bool retryable)
{
    assert_non_null(answer->code);
    assert_string_equal(answer->code, code);
    assert_int_equal(answer->retryable, retryable);
    assert_non_null(answer->message);
}

/* ---- chat.send */

static void test_request_is_shown_queued_and_answered(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 0, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    assert_null(answer.code);
    assert_string_equal(answer.status, "queued");
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_string_equal(kept_types(&kept, answer.run_id), "chat_message run_queued");
    assert_member(&kept.events[0], "role", "user");
    assert_member(&kept.events[0], "content", "what is a ring?");
    assert_true(span_is(kept.events[0].message_id, "m-1"));
    assert_true(span_is(kept.events[0].thread_id, "t-1"));
    assert_true(span_is(kept.events[0].agent, "librarian"));
    assert_int_equal(kept.events[0].request_id.data[0], 'q');
    assert_member(&kept.events[1], "position", "0");
    kept_free(&kept);
}

static void test_same_message_again_is_the_same_run_in_any_state(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer first = chat(f, "ann", "t-1", "m-1");
    struct answer again = chat(f, "ann", "t-1", "m-1");
    assert_string_equal(again.run_id, first.run_id);
    assert_string_equal(again.status, "queued");
    fixture_room(f, worker, 1);
    fixture_turn(f);
    assert_string_equal(chat(f, "ann", "t-1", "m-1").status, "starting");
    assert_int_equal(push(f, "ann", started(first.run_id)), VERDICT_LEGAL);
    assert_string_equal(chat(f, "ann", "t-1", "m-1").status, "running");
    assert_int_equal(push(f, "ann", event_of(EVENT_AGENT_COMPLETED, first.run_id)), VERDICT_LEGAL);
    fixture_turn(f);
    again = chat(f, "ann", "t-1", "m-1");
    assert_null(again.code);
    assert_string_equal(again.run_id, first.run_id);
    assert_string_equal(again.status, "completed");
    assert_counted(f->counters.requests_accepted, 1);
    assert_counted(f->counters.requests_repeated, 4);
    assert_stream(f, "ann", "chat_message run_queued agent_started agent_completed");
}

static void test_same_message_of_another_user_is_another_run(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 0, "librarian");
    struct answer anns = chat(f, "ann", "t-1", "m-1");
    struct answer bobs = chat(f, "bob", "t-1", "m-1");
    assert_null(bobs.code);
    assert_string_not_equal(anns.run_id, bobs.run_id);
}

static void test_malformed_requests_are_refused_and_leave_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 1, "librarian");
    static char large[WIRE_CONTENT_MAX + 1];
    memset(large, ' ', sizeof(large));
    const struct wire_chat_send good = {.user = SPAN_LITERAL("ann"),
        .thread_id = SPAN_LITERAL("t-1"),
        .message_id = SPAN_LITERAL("m-1"),
        .content = SPAN_LITERAL("\"hello\"")};
    struct wire_chat_send bad[10];
    for (size_t i = 0; i < 10; i++)
        bad[i] = good;
    bad[0].user = SPAN_EMPTY;
    bad[1].thread_id = SPAN_LITERAL("a b");
    bad[2].message_id = SPAN_EMPTY;
    bad[3].agent = SPAN_LITERAL("a\"b");
    bad[4].content = SPAN_EMPTY;
    bad[5].content = SPAN_LITERAL("hello");
    bad[6].content = span_of(large, sizeof(large));
    bad[7].retry_of = SPAN_LITERAL("a b");
    bad[8].on_busy = SPAN_LITERAL("panic");
    bad[9].on_disconnect = SPAN_LITERAL("explode");
    for (size_t i = 0; i < 10; i++) {
        struct answer answer = chat_as(f, &bad[i]);
        assert_refused(&answer, i == 6 ? "payload_too_large" : "invalid_argument", false);
    }
    assert_counted(f->counters.requests_refused, 10);
    assert_int_equal(f->pipeline.runs.count, 0);
    fixture_commit(f);
    assert_stream(f, "ann", "");
}

static void test_agent_that_nobody_has_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 1, "librarian\nwriter");
    struct answer answer = chat_with(f, "m-1", "", "painter");
    assert_refused(&answer, "agent_not_found", false);
    assert_null(chat_with(f, "m-2", "", "writer").code);
}

static void test_agent_that_is_configured_is_waited_for(void **state)
{
    struct fixture *f = *state;
    char name[] = "painter";
    struct config_agent agent = {.name = name};
    f->config.agents = &agent;
    f->config.agent_count = 1;
    assert_null(chat_with(f, "m-1", "", "painter").code);
}

static void test_full_queue_refuses_one_user_and_then_all(void **state)
{
    struct fixture *f = *state;
    f->config.broker_max_queued = 3;
    f->config.broker_max_queued_per_user = 2;
    fixture_worker(f, 3, 0, "librarian");
    assert_null(chat(f, "ann", "t-1", "m-1").code);
    assert_null(chat(f, "ann", "t-2", "m-2").code);
    struct answer answer = chat(f, "ann", "t-3", "m-3");
    assert_refused(&answer, "queue_full", true);
    assert_counted(f->counters.queue_full_user, 1);
    assert_null(chat(f, "bob", "t-1", "m-1").code);
    answer = chat(f, "cid", "t-1", "m-1");
    assert_refused(&answer, "queue_full", true);
    assert_counted(f->counters.queue_full, 1);
    assert_counted(f->counters.queue_full_user, 1);
    assert_null(chat(f, "ann", "t-1", "m-1").code); /* again: it has its place */
}

/* ---- the same message again, whatever happened meanwhile */

static void test_same_message_again_after_a_restart_is_the_same_run(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer queued = chat(f, "ann", "t-1", "m-1");
    struct answer cancelled = chat(f, "ann", "t-2", "m-2");
    cancel_run(f, "ann", cancelled.run_id);
    fixture_turn(f);
    fixture_restart(f);
    fixture_recover(f);
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer again = chat(f, "ann", "t-1", "m-1");
    assert_string_equal(again.run_id, queued.run_id);
    assert_string_equal(again.status, "queued");
    again = chat(f, "ann", "t-2", "m-2");
    assert_string_equal(again.run_id, cancelled.run_id);
    assert_string_equal(again.status, "cancelled");
    assert_int_equal(f->counters.requests_accepted, 0);
}

/* What was never committed was never promised: the client repeats it and it is new. */
static void test_same_message_after_a_restart_that_lost_it_is_a_new_run(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 0, "librarian");
    struct answer lost = chat(f, "ann", "t-1", "m-1");
    fixture_restart(f);
    fixture_recover(f);
    fixture_worker(f, 3, 0, "librarian");
    struct answer again = chat(f, "ann", "t-1", "m-1");
    assert_null(again.code);
    assert_string_not_equal(again.run_id, lost.run_id);
}

#define WEEKS_MS (60ull * 24 * 3600 * 1000)

static void trim_all(struct fixture *f)
{
    int rc;
    do {
        rc = history_trim(f->history, clock_wall_ms() + WEEKS_MS);
    } while (rc > 0);
    assert_int_equal(rc, 0);
}

static void test_same_message_is_known_as_long_as_its_run_is_open_and_a_while_after(void **state)
{
    struct fixture *f = *state;
    f->config.history_max_age = 1000;
    fixture_restart(f);
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer first = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    assert_int_equal(push(f, "ann", started(first.run_id)), VERDICT_LEGAL);
    fixture_commit(f);
    trim_all(f);
    assert_string_equal(chat(f, "ann", "t-1", "m-1").run_id, first.run_id);
    assert_int_equal(push(f, "ann", event_of(EVENT_AGENT_COMPLETED, first.run_id)), VERDICT_LEGAL);
    fixture_commit(f);
    assert_string_equal(chat(f, "ann", "t-1", "m-1").status, "completed");
    trim_all(f); /* all that was known of it is too old now */
    assert_string_not_equal(chat(f, "ann", "t-1", "m-1").run_id, first.run_id);
}

/* ---- a retry */

static struct answer retry(
    struct fixture *f, const char *user, const char *thread, const char *message, const char *of)
{
    return chat_as(f, &(struct wire_chat_send){.user = span_of_string(user),
                          .thread_id = span_of_string(thread),
                          .message_id = span_of_string(message),
                          .content = SPAN_LITERAL("\"hello\""),
                          .retry_of = span_of_string(of)});
}

static void test_retry_is_a_new_run_that_says_what_it_tries_again(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer first = chat(f, "ann", "t-1", "m-1");
    cancel_run(f, "ann", first.run_id);
    fixture_commit(f);
    struct answer second = retry(f, "ann", "t-1", "m-2", first.run_id);
    assert_null(second.code);
    assert_string_not_equal(second.run_id, first.run_id);
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_member(&kept.events[1], "retry_of", NULL);
    assert_member(&kept.events[kept.count - 1], "retry_of", first.run_id);
    kept_free(&kept);
    fixture_restart(f);
    fixture_recover(f);
    assert_string_equal(fixture_find(f, second.run_id)->retry_of, first.run_id);
}

static void test_retry_of_what_has_not_ended_or_is_not_ones_own_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer open = chat(f, "ann", "t-1", "m-1");
    struct answer bobs = chat(f, "bob", "t-1", "m-1");
    cancel_run(f, "bob", bobs.run_id);
    struct answer answer = retry(f, "ann", "t-1", "m-2", open.run_id);
    assert_refused(&answer, "run_active", true);
    answer = retry(f, "ann", "t-1", "m-2", bobs.run_id);
    assert_refused(&answer, "run_not_found", false);
    answer = retry(f, "ann", "t-1", "m-2", "r-never");
    assert_refused(&answer, "run_not_found", false);
    cancel_run(f, "ann", open.run_id);
    answer = retry(f, "ann", "t-2", "m-2", open.run_id);
    assert_refused(&answer, "invalid_argument", false);
    assert_int_equal(f->pipeline.runs.count, 0);
}

/* ---- a busy thread */

static void test_busy_thread_queues_by_default(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 4, "librarian");
    struct answer first = chat_with(f, "m-1", "", "");
    struct answer second = chat_with(f, "m-2", "enqueue", "");
    fixture_turn(f);
    assert_state(f, first.run_id, "starting");
    assert_state(f, second.run_id, "queued");
    push(f, "ann", started(first.run_id));
    fixture_turn(f);
    assert_state(f, second.run_id, "queued");
    push(f, "ann", event_of(EVENT_AGENT_COMPLETED, first.run_id));
    fixture_turn(f);
    assert_state(f, second.run_id, "starting");
}

static void test_busy_thread_can_refuse(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 4, "librarian");
    assert_null(chat_with(f, "m-1", "reject", "").code);
    struct answer answer = chat_with(f, "m-2", "reject", "");
    assert_refused(&answer, "run_active", true);
    fixture_turn(f);
    answer = chat_with(f, "m-3", "reject", "");
    assert_refused(&answer, "run_active", true);
    assert_null(chat(f, "ann", "t-2", "m-4").code);
}

static void test_busy_thread_can_be_interrupted(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 4, "librarian");
    struct answer first = chat_with(f, "m-1", "", "");
    fixture_turn(f);
    push(f, "ann", started(first.run_id));
    struct answer second = chat_with(f, "m-2", "interrupt", "");
    assert_null(second.code);
    fixture_turn(f);
    assert_state(f, first.run_id, "cancelling");
    assert_state(f, second.run_id, "queued");
    struct event end = event_of(EVENT_AGENT_COMPLETED, first.run_id);
    end.flags = EVENT_FLAG_OUTCOME_CANCELLED;
    push(f, "ann", end);
    fixture_turn(f);
    assert_string_equal(ended_state(f, first.run_id), "cancelled");
    assert_state(f, second.run_id, "starting");
}

static void test_interrupt_of_a_thread_that_only_waits_takes_its_place(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer first = chat_with(f, "m-1", "", "");
    struct answer second = chat_with(f, "m-2", "interrupt", "");
    assert_null(second.code);
    fixture_commit(f);
    assert_string_equal(ended_state(f, first.run_id), "cancelled");
    assert_state(f, second.run_id, "queued");
    assert_int_equal(f->pipeline.queue.count, 1);
}

static void test_second_interrupt_takes_the_place_of_the_first(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 4, "librarian");
    struct answer running = chat_with(f, "m-1", "", "");
    fixture_turn(f);
    push(f, "ann", started(running.run_id));
    struct answer first = chat_with(f, "m-2", "interrupt", "");
    struct answer second = chat_with(f, "m-3", "interrupt", "");
    fixture_turn(f);
    assert_state(f, running.run_id, "cancelling");
    assert_string_equal(ended_state(f, first.run_id), "cancelled");
    assert_state(f, second.run_id, "queued");
}

static void test_interrupt_before_the_agent_has_begun_stops_it_too(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 4, "librarian");
    struct answer first = chat_with(f, "m-1", "", "");
    fixture_turn(f);
    assert_state(f, first.run_id, "starting");
    struct answer second = chat_with(f, "m-2", "interrupt", "");
    fixture_turn(f);
    assert_state(f, first.run_id, "cancelling");
    assert_state(f, second.run_id, "queued");
    /* Its agent_started was under way: the run says that it began, and ends as cancelled. */
    assert_int_equal(push(f, "ann", started(first.run_id)), VERDICT_LEGAL);
    struct event end = event_of(EVENT_AGENT_COMPLETED, first.run_id);
    end.flags = EVENT_FLAG_OUTCOME_CANCELLED;
    assert_int_equal(push(f, "ann", end), VERDICT_LEGAL);
    fixture_turn(f);
    assert_state(f, second.run_id, "starting");
}

/* The run ended in the same turn, before the request was looked at. */
static void test_interrupt_of_a_run_that_has_just_ended_interrupts_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 4, "librarian");
    struct answer first = chat_with(f, "m-1", "", "");
    fixture_turn(f);
    push(f, "ann", started(first.run_id));
    push(f, "ann", event_of(EVENT_AGENT_COMPLETED, first.run_id));
    struct answer second = chat_with(f, "m-2", "interrupt", "");
    fixture_turn(f);
    assert_string_equal(ended_state(f, first.run_id), "completed");
    assert_state(f, second.run_id, "starting");
}

static void test_interrupt_that_is_refused_interrupts_nothing(void **state)
{
    struct fixture *f = *state;
    f->config.broker_max_queued_per_user = 1;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer first = chat_with(f, "m-1", "", "");
    fixture_turn(f);
    assert_null(chat(f, "ann", "t-2", "m-2").code);
    struct answer answer = chat_with(f, "m-3", "interrupt", "");
    assert_refused(&answer, "queue_full", true);
    assert_state(f, first.run_id, "starting");
}

static void test_reject_looks_at_its_own_thread_only_and_at_runs_that_wait(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer first = chat_with(f, "m-1", "", "");
    struct answer answer = chat_with(f, "m-2", "reject", "");
    assert_refused(&answer, "run_active", true);
    cancel_run(f, "ann", first.run_id);
    assert_null(chat_with(f, "m-2", "reject", "").code);
}

/* ---- run.cancel */

static void test_cancel_of_a_queued_run_ends_it_at_once(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    struct answer cancel = cancel_run(f, "ann", answer.run_id);
    assert_null(cancel.code);
    assert_string_equal(cancel.status, "cancelled");
    assert_int_equal(f->pipeline.queue.count, 0);
    fixture_room(f, worker, 1);
    fixture_turn(f);
    assert_int_equal(worker->slots, 1);
    assert_stream(f, "ann", "chat_message run_queued agent_completed*");
    assert_string_equal(ended_state(f, answer.run_id), "cancelled");
}

static void test_cancel_of_a_running_run_asks_its_agent(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    push(f, "ann", started(answer.run_id));
    struct answer cancel = cancel_run(f, "ann", answer.run_id);
    assert_string_equal(cancel.status, "cancelling");
    assert_string_equal(cancel.run_id, answer.run_id);
    assert_true(f->effects.entries.len > 0);
    size_t told = f->effects.entries.len;
    cancel = cancel_run(f, "ann", answer.run_id); /* again: nothing more happens */
    assert_string_equal(cancel.status, "cancelling");
    assert_int_equal(f->effects.entries.len, told);
    push(f, "ann", text_event(answer.run_id, "m-2", EVENT_FLAG_FINAL)); /* its last words */
    push(f, "ann", event_of(EVENT_AGENT_COMPLETED, answer.run_id));
    fixture_turn(f);
    assert_stream(f, "ann", "chat_message run_queued agent_started partial_result agent_completed");
}

static void test_cancel_of_an_ended_run_says_how_it_ended(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    struct event end = event_of(EVENT_ERROR_EVENT, "r-1");
    end.flags = EVENT_FLAG_FATAL;
    push(f, "ann", end);
    struct answer cancel = cancel_run(f, "ann", "r-1"); /* staged, not yet committed */
    assert_null(cancel.code);
    assert_string_equal(cancel.status, "failed");
    fixture_commit(f);
    cancel = cancel_run(f, "ann", "r-1");
    assert_string_equal(cancel.run_id, "r-1");
    assert_string_equal(cancel.status, "failed");
}

static void test_cancel_of_what_is_not_there_or_not_ones_own_finds_nothing(void **state)
{
    struct fixture *f = *state;
    push(f, "ann", started("r-1"));
    push(f, "ann", started("r-2"));
    push(f, "ann", event_of(EVENT_AGENT_COMPLETED, "r-2"));
    fixture_commit(f);
    const char *const ids[] = {"r-1", "r-2", "r-3"};
    for (size_t i = 0; i < 3; i++) {
        struct answer cancel = cancel_run(f, "bob", ids[i]);
        assert_refused(&cancel, "run_not_found", false);
    }
    assert_state(f, "r-1", "running");
    struct answer cancel = cancel_thread(f, "bob", "t-1");
    assert_refused(&cancel, "thread_not_found", false);
    cancel = cancel_run(f, "", "r-1");
    assert_refused(&cancel, "run_not_found", false);
}

static void test_second_cancel_of_a_thread_leaves_those_that_wait_alone(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer first = chat(f, "ann", "t-1", "m-1");
    struct answer second = chat(f, "ann", "t-1", "m-2");
    fixture_turn(f);
    cancel_thread(f, "ann", "t-1");
    struct answer cancel = cancel_thread(f, "ann", "t-1");
    assert_string_equal(cancel.run_id, first.run_id);
    assert_string_equal(cancel.status, "cancelling");
    assert_state(f, second.run_id, "queued");
}

static void test_cancel_of_a_thread_stops_its_active_run_before_those_that_wait(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer first = chat(f, "ann", "t-1", "m-1");
    struct answer second = chat(f, "ann", "t-1", "m-2");
    fixture_turn(f);
    struct answer cancel = cancel_thread(f, "ann", "t-1");
    assert_null(cancel.code);
    assert_string_equal(cancel.run_id, first.run_id);
    assert_state(f, first.run_id, "cancelling");
    assert_state(f, second.run_id, "queued");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_request_is_shown_queued_and_answered),
        CASE(test_same_message_again_is_the_same_run_in_any_state),
        CASE(test_same_message_of_another_user_is_another_run),
        CASE(test_malformed_requests_are_refused_and_leave_nothing),
        CASE(test_agent_that_nobody_has_is_refused),
        CASE(test_agent_that_is_configured_is_waited_for),
        CASE(test_full_queue_refuses_one_user_and_then_all),
        CASE(test_same_message_again_after_a_restart_is_the_same_run),
        CASE(test_same_message_after_a_restart_that_lost_it_is_a_new_run),
        CASE(test_same_message_is_known_as_long_as_its_run_is_open_and_a_while_after),
        CASE(test_retry_is_a_new_run_that_says_what_it_tries_again),
        CASE(test_retry_of_what_has_not_ended_or_is_not_ones_own_is_refused),
        CASE(test_busy_thread_queues_by_default),
        CASE(test_busy_thread_can_refuse),
        CASE(test_busy_thread_can_be_interrupted),
        CASE(test_interrupt_of_a_thread_that_only_waits_takes_its_place),
        CASE(test_second_interrupt_takes_the_place_of_the_first),
        CASE(test_interrupt_before_the_agent_has_begun_stops_it_too),
        CASE(test_interrupt_of_a_run_that_has_just_ended_interrupts_nothing),
        CASE(test_interrupt_that_is_refused_interrupts_nothing),
        CASE(test_reject_looks_at_its_own_thread_only_and_at_runs_that_wait),
        CASE(test_cancel_of_a_queued_run_ends_it_at_once),
        CASE(test_cancel_of_a_running_run_asks_its_agent),
        CASE(test_cancel_of_an_ended_run_says_how_it_ended),
        CASE(test_cancel_of_what_is_not_there_or_not_ones_own_finds_nothing),
        CASE(test_cancel_of_a_thread_stops_its_active_run_before_those_that_wait),
        CASE(test_second_cancel_of_a_thread_leaves_those_that_wait_alone),
    };
    return cmocka_run_group_tests_name("broker-requests", tests, NULL, NULL);
}
