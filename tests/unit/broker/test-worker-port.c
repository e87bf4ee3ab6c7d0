/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's side of its life with the broker. Each test has users of its own. */
#include "peer-test.h"
#include "process-test.h"

#include "base/clock.h"
#include "event/codec.h"

/* A worker is two ends here: a process that emits, and the link it speaks over. */
struct test_worker {
    struct child child;
    struct peer peer;
};

static void link_up(struct test_worker *worker, struct fixture *f)
{
    peer_connect(&worker->peer, f,
        &(struct peer_options){.role = "worker",
            .pid = worker->child.pid,
            .process = worker->child.index,
            .agents = "librarian"});
}

static struct worker *worker_of(struct test_worker *worker)
{
    struct link *link = peer_link(&worker->peer);
    assert_non_null(link);
    return link->peer;
}

struct expected_room {
    const struct worker *worker;
    uint64_t slots;
};

static bool has_room(const void *context)
{
    const struct expected_room *expected = context;
    return expected->worker->slots == expected->slots;
}

/* Messages of a worker have no answers: waited for until the broker shows what they did. */
static void say(struct test_worker *worker, const struct wire_message *message, uint64_t more)
{
    const struct worker *known = worker_of(worker);
    const struct expected_room expected = {known, known->slots + more};
    peer_send(&worker->peer, message);
    peer_wait(&worker->peer, has_room, &expected, wire_kind_name(message->kind));
}

static void say_available(struct test_worker *worker, uint64_t slots)
{
    say(worker, &(struct wire_message){.kind = WIRE_AVAILABLE, .available = {.slots = slots}},
        slots);
}

static void say_released(
    struct test_worker *worker, const char *run_id, const char *code, const char *message)
{
    const struct wire_message released = {.kind = WIRE_RELEASED,
        .released = {.run_id = span_of_string(run_id),
            .code = span_of_string(code),
            .message = span_of_string(message)}};
    say(worker, &released, 1);
}

static void worker_up(struct test_worker *ret_worker, struct fixture *f, uint64_t slots)
{
    *ret_worker = (struct test_worker){0};
    child_start(&ret_worker->child, f);
    link_up(ret_worker, f);
    say_available(ret_worker, slots);
    fixture_turn(f);
}

/* No run of a test may be left for the worker of the next one. */
static void worker_down(struct test_worker *worker)
{
    struct fixture *f = worker->peer.f;
    peer_leave(&worker->peer);
    child_stop(&worker->child);
    fixture_turn(f);
    fixture_turn(f);
    size_t cursor = 0;
    for (struct run *run; (run = map_next(&f->pipeline.runs, &cursor)); cursor--) {
        assert_int_equal(run->state, RUN_QUEUED);
        dispatch_stop(&f->dispatch, run, SPAN_LITERAL("the test is over"));
    }
    fixture_turn(f);
    assert_int_equal(f->pipeline.runs.count, 0);
}

static void given(struct test_worker *worker, const char *user, char ret_run_id[IDENTIFIER_SIZE])
{
    struct answer answer = chat(worker->peer.f, user, "t-1", "m-1");
    assert_null(answer.code);
    fixture_turn(worker->peer.f);
    struct wire_assign assign = peer_expect(&worker->peer, WIRE_ASSIGN).assign;
    assert_true(span_is(assign.run_id, answer.run_id));
    memcpy(ret_run_id, answer.run_id, IDENTIFIER_SIZE);
}

/* ---- runs */

static void test_worker_is_given_a_run_with_all_it_needs(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    worker_up(&worker, f, 1);
    struct answer answer = chat(f, "given", "t-1", "m-1");
    fixture_turn(f);
    struct wire_assign assign = peer_expect(&worker.peer, WIRE_ASSIGN).assign;
    const struct run *run = fixture_find(f, answer.run_id);
    assert_true(span_is(assign.run_id, run->id));
    assert_true(span_is(assign.user, "given"));
    assert_true(span_is(assign.thread_id, "t-1"));
    assert_true(span_is(assign.request_id, run->request_id));
    assert_true(span_is(assign.message_id, "m-1"));
    assert_true(span_is(assign.agent, "librarian"));
    assert_true(span_is(assign.content, "\"what is a ring?\""));
    assert_int_equal(assign.deadline, run->deadline_ms);
    child_emit(&worker.child, "given", started(answer.run_id));
    child_emit(&worker.child, "given", event_of(EVENT_AGENT_COMPLETED, answer.run_id));
    say_released(&worker, answer.run_id, "", "");
    fixture_turn(f);
    assert_string_equal(ended_state(f, answer.run_id), "completed");
    worker_down(&worker);
}

static void test_end_that_was_emitted_before_the_release_counts(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 1);
    given(&worker, "order", run_id);
    for (int i = 0; i < 3; i++) {
        if (i == 0)
            child_emit(&worker.child, "order", started(run_id));
        child_emit(&worker.child, "order", text_event(run_id, "m-2", 0));
    }
    child_emit(&worker.child, "order", event_of(EVENT_AGENT_COMPLETED, run_id));
    say_released(&worker, run_id, "", "");
    for (int i = 0; i < 10 && fixture_find(f, run_id); i++) {
        drain_turn(f->drain, 1); /* the end is several turns away */
        farewell_turn(&f->farewell);
        fixture_commit(f);
        drain_release(f->drain);
    }
    assert_string_equal(ended_state(f, run_id), "completed");
    worker_down(&worker);
}

static void test_release_without_an_end_closes_the_run(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 1);
    given(&worker, "noend", run_id);
    child_emit(&worker.child, "noend", started(run_id));
    say_released(&worker, run_id, "", "");
    fixture_turn(f);
    assert_stream(f, "noend", "chat_message run_queued agent_started error_event*");
    worker_down(&worker);
}

static void test_release_with_a_reason_ends_the_run_with_it(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 1);
    given(&worker, "fails", run_id);
    say_released(&worker, run_id, "agent_start_failed", "no such file");
    fixture_turn(f);
    struct kept kept;
    keep_stream(&kept, f, "fails");
    assert_string_equal(kept_types(&kept, NULL), "chat_message run_queued error_event*");
    assert_member(&kept.events[2], "code", "agent_start_failed");
    assert_member(&kept.events[2], "message", "no such file");
    kept_free(&kept);
    worker_down(&worker);
}

static void test_release_of_anothers_run_does_nothing_to_it(void **state)
{
    struct fixture *f = *state;
    struct test_worker one;
    struct test_worker two;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&one, f, 1);
    worker_up(&two, f, 0);
    given(&one, "mine", run_id);
    say_released(&two, run_id, "broken", "on purpose");
    fixture_turn(f);
    assert_state(f, run_id, "starting");
    peer_leave(&two.peer);
    child_stop(&two.child);
    worker_down(&one);
}

/* ---- leaving */

struct expected_leaving {
    const struct worker *worker;
    bool leaving;
};

static bool has_said(const void *context)
{
    const struct expected_leaving *expected = context;
    return expected->worker->leaving == expected->leaving;
}

static void say_leaving(struct test_worker *worker, bool leaving)
{
    const struct expected_leaving expected = {worker_of(worker), leaving};
    peer_send(&worker->peer,
        &(struct wire_message){.kind = WIRE_LEAVING, .leaving = {.leaving = leaving}});
    peer_wait(&worker->peer, has_said, &expected, "leaving");
}

static void test_run_handed_back_by_a_leaving_worker_goes_to_another_at_once(void **state)
{
    struct fixture *f = *state;
    struct test_worker one;
    struct test_worker two;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&one, f, 1);
    given(&one, "polite", run_id);
    worker_up(&two, f, 1);
    say_leaving(&one, true);
    uint64_t before = f->counters.runs_handed_back;
    say_released(&one, run_id, WIRE_HANDED_BACK, "the worker is leaving");
    fixture_turn(f);
    assert_true(span_is(peer_expect(&two.peer, WIRE_ASSIGN).assign.run_id, run_id));
    assert_counted(f->counters.runs_handed_back - before, 1);
    assert_int_equal(fixture_find(f, run_id)->attempts, 1); /* handing back costs none */
    assert_stream(f, "polite", "chat_message run_queued");
    peer_leave(&one.peer);
    child_stop(&one.child);
    worker_down(&two);
}

static void test_leaving_worker_gets_no_run_until_it_takes_them_again(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    worker_up(&worker, f, 1);
    say_leaving(&worker, true);
    struct answer answer = chat(f, "waits", "t-1", "m-1");
    fixture_turn(f);
    assert_state(f, answer.run_id, "queued");
    say_leaving(&worker, false);
    fixture_turn(f);
    assert_true(span_is(peer_expect(&worker.peer, WIRE_ASSIGN).assign.run_id, answer.run_id));
    worker_down(&worker);
}

static void test_run_handed_back_after_it_began_is_closed_and_not_given_again(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 1);
    given(&worker, "lies", run_id);
    child_emit(&worker.child, "lies", started(run_id));
    say_released(&worker, run_id, WIRE_HANDED_BACK, "on purpose");
    fixture_turn(f);
    assert_stream(f, "lies", "chat_message run_queued agent_started error_event*");
    worker_down(&worker);
}

static void test_cancelled_run_that_is_handed_back_ends_as_cancelled(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 1);
    given(&worker, "unwanted", run_id);
    assert_null(cancel_run(f, "unwanted", run_id).code);
    fixture_turn(f);
    peer_expect(&worker.peer, WIRE_CANCEL);
    say_released(&worker, run_id, WIRE_HANDED_BACK, "the worker is leaving");
    fixture_turn(f);
    assert_string_equal(ended_state(f, run_id), "cancelled");
    worker_down(&worker);
}

/* ---- stops */

static void test_worker_is_told_of_a_cancel_and_then_to_kill(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 1);
    given(&worker, "told", run_id);
    child_emit(&worker.child, "told", started(run_id));
    fixture_turn(f);
    assert_null(cancel_run(f, "told", run_id).code);
    fixture_turn(f);
    struct wire_cancel cancel = peer_expect(&worker.peer, WIRE_CANCEL).cancel;
    assert_true(span_is(cancel.run_id, run_id));
    assert_true(span_is(cancel.reason, "enough"));
    dispatch_overdue(&f->dispatch, fixture_find(f, run_id)->end_by_ms, clock_wall_ms());
    fixture_turn(f);
    assert_true(span_is(peer_expect(&worker.peer, WIRE_KILL).kill.run_id, run_id));
    assert_string_equal(ended_state(f, run_id), "cancelled");
    worker_down(&worker);
}

static void test_long_reason_of_a_cancel_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    char reason[2048];
    reason[0] = 'e'; /* so that the limit is in the middle of a character */
    for (size_t i = 1; i + 1 < sizeof(reason); i += 2)
        memcpy(reason + i, "\xc3\xa9", 2);
    worker_up(&worker, f, 1);
    given(&worker, "wordy", run_id);
    struct answer answer;
    const struct wire_run_cancel request = {.user = SPAN_LITERAL("wordy"),
        .run_id = span_of_string(run_id),
        .reason = span_of(reason, sizeof(reason) - 1)};
    dispatch_cancel(&f->dispatch, &request, &answer);
    fixture_turn(f);
    struct wire_cancel cancel = peer_expect(&worker.peer, WIRE_CANCEL).cancel;
    assert_int_equal(cancel.reason.len, 1023);
    worker_down(&worker);
}

static void test_run_that_is_over_is_killed_when_a_worker_says_it_has_it(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    worker_up(&worker, f, 1);
    peer_send(&worker.peer, &(struct wire_message){.kind = WIRE_RUNNING,
                                .running = {.run_id = SPAN_LITERAL("r-long-ago")}});
    assert_true(span_is(peer_expect(&worker.peer, WIRE_KILL).kill.run_id, "r-long-ago"));
    worker_down(&worker);
}

/* ---- links */

static void test_worker_that_is_not_in_the_arena_is_turned_away(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_dial(
        &peer, f, &(struct peer_options){.role = "worker", .process = 15, .agents = "librarian"});
    peer_expect_dropped(&peer);
    assert_true(list_empty(&f->workers.list));
}

static void test_worker_that_is_not_the_process_it_says_is_turned_away(void **state)
{
    struct fixture *f = *state;
    struct child child;
    struct peer peer;
    child_start(&child, f);
    peer_dial(&peer, f,
        &(struct peer_options){.role = "worker", .process = child.index, .agents = "librarian"});
    peer_expect_dropped(&peer);
    child_stop(&child);
}

static void pass_half_seconds(struct fixture *f, int count)
{
    static uint64_t now = 1;
    for (int i = 0; i < count; i++)
        leases_turn(&f->leases, now += 500);
}

static void test_silent_worker_loses_its_link_and_gets_no_other(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    struct peer again;
    uint64_t fenced = f->counters.workers_fenced;
    worker_up(&worker, f, 1);
    pass_half_seconds(f, 15);
    say_available(&worker, 1); /* any message will do */
    pass_half_seconds(f, 15);
    assert_int_equal(f->counters.workers_fenced, fenced);
    pass_half_seconds(f, 10);
    assert_counted(f->counters.workers_fenced - fenced, 1);
    peer_expect_dropped(&worker.peer);
    assert_true(list_empty(&f->workers.list));
    peer_dial(&again, f,
        &(struct peer_options){.role = "worker",
            .pid = worker.child.pid,
            .process = worker.child.index,
            .agents = "librarian"});
    peer_expect_dropped(&again);
    child_stop(&worker.child);
}

static void test_run_goes_on_while_its_workers_link_is_made_anew(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 2);
    given(&worker, "again", run_id);
    child_emit(&worker.child, "again", started(run_id));
    fixture_turn(f);
    peer_leave(&worker.peer);
    fixture_turn(f);
    assert_state(f, run_id, "running");
    link_up(&worker, f);
    peer_send(&worker.peer, &(struct wire_message){.kind = WIRE_RUNNING,
                                .running = {.run_id = span_of_string(run_id)}});
    say_available(&worker, 1);
    fixture_turn(f);
    assert_state(f, run_id, "running");
    child_emit(&worker.child, "again", event_of(EVENT_AGENT_COMPLETED, run_id));
    fixture_turn(f);
    assert_string_equal(ended_state(f, run_id), "completed");
    worker_down(&worker);
}

static void test_run_whose_assignment_was_lost_with_a_link_is_given_again(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 1);
    given(&worker, "lost", run_id);
    peer_leave(&worker.peer);
    link_up(&worker, f);
    say_available(&worker, 1); /* and knows nothing of the run */
    fixture_turn(f);
    assert_true(span_is(peer_expect(&worker.peer, WIRE_ASSIGN).assign.run_id, run_id));
    assert_state(f, run_id, "starting");
    assert_stream(f, "lost", "chat_message run_queued");
    worker_down(&worker);
}

static void test_run_that_began_and_that_its_worker_does_not_know_any_more_is_closed(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    char run_id[IDENTIFIER_SIZE];
    worker_up(&worker, f, 1);
    given(&worker, "forgot", run_id);
    child_emit(&worker.child, "forgot", started(run_id));
    fixture_turn(f);
    peer_leave(&worker.peer);
    link_up(&worker, f);
    say_available(&worker, 1);
    fixture_turn(f);
    assert_stream(f, "forgot", "chat_message run_queued agent_started error_event*");
    worker_down(&worker);
}

static struct wire_history read_history(
    struct test_worker *worker, const char *run_id, bool ask, uint64_t after)
{
    peer_send(&worker->peer,
        &(struct wire_message){.kind = WIRE_HISTORY_READ,
            .history_read = {.run_id = span_of_string(run_id), .ask = ask, .after = after}});
    return peer_expect(&worker->peer, WIRE_HISTORY).history;
}

static void test_worker_reads_what_lies_before_a_run_of_its_own_and_no_other(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    struct event event;
    size_t at = 0;
    char first[IDENTIFIER_SIZE], second[IDENTIFIER_SIZE];
    worker_up(&worker, f, 2);
    given(&worker, "reader", first);
    struct answer answer = chat(f, "reader", "t-2", "m-2");
    fixture_turn(f);
    memcpy(second, answer.run_id, sizeof(second));
    assert_true(span_is(peer_expect(&worker.peer, WIRE_ASSIGN).assign.run_id, second));
    uint64_t end = fixture_find(f, second)->first_seq - 1;
    struct wire_history told = read_history(&worker, second, false, 0);
    assert_true(told.oldest == 1 && told.end == end && told.events.len == 0 && !told.ask);
    told = read_history(&worker, second, true, 0);
    assert_true(told.status == WIRE_PAGE_OK && told.ask && told.last >= end);
    assert_int_equal(event_decode_next(&event, told.events, &at), 1);
    assert_true(event.type == EVENT_CHAT_MESSAGE && span_is(event.run_id, first));
    told = read_history(&worker, second, true, end);
    assert_true(told.events.len == 0 && told.last == end);
    peer_send(&worker.peer, &(struct wire_message){.kind = WIRE_HISTORY_READ,
                                .history_read = {.run_id = SPAN_LITERAL("r-none"), .ask = 1}});
    told = read_history(&worker, first, false, 0);
    assert_true(span_is(told.run_id, first) && told.end == 0);
    worker_down(&worker);
}

static void test_new_link_of_a_process_takes_the_place_of_its_old_one(void **state)
{
    struct fixture *f = *state;
    struct test_worker worker;
    worker_up(&worker, f, 1);
    struct test_worker again = {.child = worker.child};
    link_up(&again, f);
    peer_expect_dropped(&worker.peer);
    assert_ptr_equal(
        workers_find(&f->workers, again.child.index, again.child.incarnation), worker_of(&again));
    say_available(&again, 1);
    fixture_turn(f);
    char run_id[IDENTIFIER_SIZE];
    given(&again, "takes", run_id);
    worker_down(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_is_given_a_run_with_all_it_needs),
        cmocka_unit_test(test_end_that_was_emitted_before_the_release_counts),
        cmocka_unit_test(test_release_without_an_end_closes_the_run),
        cmocka_unit_test(test_release_with_a_reason_ends_the_run_with_it),
        cmocka_unit_test(test_release_of_anothers_run_does_nothing_to_it),
        cmocka_unit_test(test_run_handed_back_by_a_leaving_worker_goes_to_another_at_once),
        cmocka_unit_test(test_leaving_worker_gets_no_run_until_it_takes_them_again),
        cmocka_unit_test(test_run_handed_back_after_it_began_is_closed_and_not_given_again),
        cmocka_unit_test(test_cancelled_run_that_is_handed_back_ends_as_cancelled),
        cmocka_unit_test(test_worker_is_told_of_a_cancel_and_then_to_kill),
        cmocka_unit_test(test_long_reason_of_a_cancel_is_cut_between_characters),
        cmocka_unit_test(test_run_that_is_over_is_killed_when_a_worker_says_it_has_it),
        cmocka_unit_test(test_worker_that_is_not_in_the_arena_is_turned_away),
        cmocka_unit_test(test_worker_that_is_not_the_process_it_says_is_turned_away),
        cmocka_unit_test(test_silent_worker_loses_its_link_and_gets_no_other),
        cmocka_unit_test(test_run_goes_on_while_its_workers_link_is_made_anew),
        cmocka_unit_test(test_run_whose_assignment_was_lost_with_a_link_is_given_again),
        cmocka_unit_test(test_run_that_began_and_that_its_worker_does_not_know_any_more_is_closed),
        cmocka_unit_test(test_worker_reads_what_lies_before_a_run_of_its_own_and_no_other),
        cmocka_unit_test(test_new_link_of_a_process_takes_the_place_of_its_old_one),
    };
    return cmocka_run_group_tests_name(
        "broker-worker-port", tests, linked_fixture_up, linked_fixture_down);
}
