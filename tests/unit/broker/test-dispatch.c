/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets which run, and what becomes of runs when time passes or processes die. */
#include "broker-test.h"

#include "base/clock.h"

#include <stdio.h>

/* Any time that a test starts from: what passes is handed in. */
#define START_MS 1000000

static struct answer running(struct fixture *f, const char *user, const char *message)
{
    struct answer answer = chat(f, user, "t-1", message);
    assert_null(answer.code);
    fixture_turn(f);
    assert_int_equal(push(f, user, started(answer.run_id)), VERDICT_LEGAL);
    return answer;
}

static void end(struct fixture *f, const char *user, const char *run_id)
{
    assert_int_equal(push(f, user, event_of(EVENT_AGENT_COMPLETED, run_id)), VERDICT_LEGAL);
    assert_null(fixture_find(f, run_id));
}

static void die(struct fixture *f, uint32_t process, int signal)
{
    const struct process_death death = {
        .index = process, .incarnation = AGENT_INCARNATION, .signal = signal, .exit_code = -1};
    farewell_process_died(&f->farewell, &death);
    farewell_turn(&f->farewell);
}

/* ---- placing */

static void test_run_goes_to_the_worker_with_most_room(void **state)
{
    struct fixture *f = *state;
    struct worker *small = fixture_worker(f, 3, 1, "librarian");
    struct worker *large = fixture_worker(f, 4, 5, "librarian");
    struct worker *other = fixture_worker(f, 5, 9, "writer");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    assert_state(f, answer.run_id, "starting");
    assert_int_equal(small->slots, 1);
    assert_int_equal(large->slots, 4);
    assert_int_equal(other->slots, 9);
    assert_int_equal(fixture_find(f, answer.run_id)->process, 4);
    assert_counted(f->counters.runs_assigned, 1);
}

static void test_run_goes_where_its_threads_last_one_was(void **state)
{
    struct fixture *f = *state;
    struct worker *other = fixture_worker(f, 3, 0, "librarian");
    struct worker *home = fixture_worker(f, AGENT_PROCESS, 3, "librarian");
    end(f, "ann", running(f, "ann", "m-1").run_id);
    fixture_room(f, other, 9);
    fixture_room(f, home, 1);
    struct answer elsewhere = chat(f, "ann", "t-2", "m-2"); /* another thread of this user */
    struct answer again = chat(f, "ann", "t-1", "m-3");
    fixture_turn(f);
    assert_int_equal(fixture_find(f, elsewhere.run_id)->process, 3);
    assert_int_equal(fixture_find(f, again.run_id)->process, AGENT_PROCESS);
}

static void test_run_does_not_wait_for_its_threads_last_worker(void **state)
{
    struct fixture *f = *state;
    struct worker *home = fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    end(f, "ann", running(f, "ann", "m-1").run_id);
    fixture_room(f, home, 0);
    fixture_worker(f, 3, 1, "librarian");
    struct answer again = chat(f, "ann", "t-1", "m-2");
    fixture_turn(f);
    assert_int_equal(fixture_find(f, again.run_id)->process, 3);
}

/* The process has the other one's place in the table, and nothing else of it. */
static void test_successor_of_a_dead_worker_is_not_taken_for_it(void **state)
{
    struct fixture *f = *state;
    struct worker *home = fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    end(f, "ann", running(f, "ann", "m-1").run_id);
    home->incarnation++;
    fixture_room(f, home, 1);
    fixture_worker(f, 3, 2, "librarian");
    struct answer again = chat(f, "ann", "t-1", "m-2");
    fixture_turn(f);
    assert_int_equal(fixture_find(f, again.run_id)->process, 3);
}

static void test_thread_unused_for_longest_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct worker *home = fixture_worker(f, AGENT_PROCESS, 2, "librarian");
    f->pipeline.queue.threads.remembered = 1;
    end(f, "ann", running(f, "ann", "m-1").run_id);
    assert_int_equal(f->counters.threads_forgotten, 0);
    end(f, "bob", running(f, "bob", "m-1").run_id);
    assert_counted(f->counters.threads_forgotten, 1);
    fixture_room(f, home, 2);
    fixture_worker(f, 3, 9, "librarian");
    struct answer forgotten = chat(f, "ann", "t-1", "m-2");
    struct answer remembered = chat(f, "bob", "t-1", "m-2");
    fixture_turn(f);
    assert_int_equal(fixture_find(f, forgotten.run_id)->process, 3);
    assert_int_equal(fixture_find(f, remembered.run_id)->process, AGENT_PROCESS);
}

static void test_thread_that_ran_nowhere_is_not_remembered(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 0, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    assert_int_equal(f->pipeline.queue.threads.map.count, 1);
    cancel_run(f, "ann", answer.run_id);
    assert_int_equal(f->pipeline.queue.threads.map.count, 0);
}

static void test_worker_whose_runs_are_not_known_yet_gets_none(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = fixture_worker(f, 3, 2, "librarian");
    worker->announced = false;
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    assert_state(f, answer.run_id, "queued");
    worker->announced = true;
    fixture_room(f, worker, 2);
    fixture_turn(f);
    assert_state(f, answer.run_id, "starting");
}

static void test_queue_is_first_come_first_served(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = fixture_worker(f, 3, 0, "librarian");
    struct answer answers[4];
    const char *const users[] = {"ann", "bob", "cid", "dot"};
    for (int i = 0; i < 4; i++)
        answers[i] = chat(f, users[i], "t-1", "m-1");
    for (int i = 0; i < 4; i++) {
        fixture_room(f, worker, 1);
        fixture_turn(f);
        for (int j = 0; j < 4; j++)
            assert_state(f, answers[j].run_id, j <= i ? "starting" : "queued");
    }
    assert_int_equal(f->pipeline.queue.count, 0);
}

static void test_run_that_cannot_be_placed_holds_nobody_else_up(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 0, "writer");
    fixture_worker(f, 4, 2, "librarian");
    struct answer stuck = chat_as(f, &(struct wire_chat_send){.user = SPAN_LITERAL("ann"),
                                         .thread_id = SPAN_LITERAL("t-1"),
                                         .message_id = SPAN_LITERAL("m-1"),
                                         .agent = SPAN_LITERAL("writer"),
                                         .content = SPAN_LITERAL("1")});
    struct answer other = chat(f, "bob", "t-1", "m-1");
    fixture_turn(f);
    assert_state(f, stuck.run_id, "queued");
    assert_state(f, other.run_id, "starting");
}

static void test_run_is_in_history_as_given_before_its_worker_hears_of_it(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 1, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    dispatch_place(&f->dispatch);
    assert_true(f->effects.entries.len > 0); /* the message waits */
    fixture_commit(f);
    struct buffer record = BUFFER_INIT;
    struct run *run;
    assert_int_equal(history_find_run(f->history, span_of_string(answer.run_id), &record), 0);
    assert_int_equal(run_decode(&run, fixture_user(f, "ann"), span_of_string(answer.run_id),
                         buffer_span(&record)),
        0);
    assert_int_equal(run->state, RUN_STARTING);
    assert_true(run->placed);
    assert_int_equal(run->process, 3);
    assert_int_equal(run->incarnation, AGENT_INCARNATION);
    run_free(run);
    buffer_deinit(&record);
}

static void test_paused_dispatch_accepts_and_places_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 2, "librarian");
    dispatch_pause(&f->dispatch, true);
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    assert_null(answer.code);
    fixture_turn(f);
    assert_state(f, answer.run_id, "queued");
    dispatch_pause(&f->dispatch, false);
    fixture_turn(f);
    assert_state(f, answer.run_id, "starting");
}

/* ---- deaths */

static void test_run_that_was_not_begun_is_given_to_another_worker(void **state)
{
    struct fixture *f = *state;
    struct worker *first = fixture_worker(f, 3, 1, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    workers_remove(first);
    die(f, 3, 9);
    assert_state(f, answer.run_id, "queued");
    assert_counted(f->counters.runs_requeued, 1);
    fixture_worker(f, 4, 1, "librarian");
    fixture_turn(f);
    assert_state(f, answer.run_id, "starting");
    assert_int_equal(fixture_find(f, answer.run_id)->process, 4);
    assert_stream(f, "ann", "chat_message run_queued");
}

static void test_request_that_takes_each_worker_with_it_is_given_up(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 9, 0, "librarian"); /* without room */
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    for (uint32_t process = 3; process < 6; process++) {
        struct worker *worker = fixture_worker(f, process, 1, "librarian");
        fixture_turn(f);
        assert_state(f, answer.run_id, "starting");
        workers_remove(worker);
        die(f, process, 9);
    }
    fixture_commit(f);
    assert_counted(f->counters.runs_requeued, 2);
    assert_stream(f, "ann", "chat_message run_queued error_event*");
    assert_string_equal(ended_state(f, answer.run_id), "failed");
}

static void test_younger_message_waits_for_the_older_of_its_thread(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 9, 0, "librarian"); /* without room */
    struct answer older = chat(f, "ann", "t-1", "m-1");
    const struct wire_chat_send other = {.user = SPAN_LITERAL("ann"),
        .thread_id = SPAN_LITERAL("t-1"),
        .message_id = SPAN_LITERAL("m-2"),
        .content = SPAN_LITERAL("\"next\""),
        .agent = SPAN_LITERAL("echo")};
    fixture_worker(f, 3, 4, "echo");
    struct answer younger = chat_as(f, &other);
    fixture_turn(f);
    assert_state(f, older.run_id, "queued");
    assert_state(f, younger.run_id, "queued");
    fixture_worker(f, 4, 4, "librarian");
    fixture_turn(f);
    assert_state(f, older.run_id, "starting");
    assert_state(f, younger.run_id, "queued");
}

#define TAKEN_BACK 8

static void test_runs_taken_back_keep_their_places_before_younger_ones(void **state)
{
    struct fixture *f = *state;
    char ids[TAKEN_BACK + 1][IDENTIFIER_SIZE];
    struct worker *worker = fixture_worker(f, 3, TAKEN_BACK, "librarian");
    for (int i = 0; i <= TAKEN_BACK; i++) {
        char name[8];
        snprintf(name, sizeof(name), "t-%d", i);
        memcpy(ids[i], chat(f, "ann", name, name).run_id, IDENTIFIER_SIZE);
        fixture_turn(f);
    }
    assert_int_equal(f->pipeline.queue.count, 1);
    workers_remove(worker);
    die(f, 3, 9);
    assert_int_equal(f->pipeline.queue.count, TAKEN_BACK + 1);
    worker = fixture_worker(f, 4, 0, "librarian");
    for (int i = 0; i <= TAKEN_BACK; i++) {
        fixture_room(f, worker, 1);
        fixture_turn(f);
        assert_state(f, ids[i], "starting");
    }
}

static void test_what_a_worker_said_of_a_run_before_it_died_is_what_counts(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 1, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    struct run *run = fixture_find(f, answer.run_id);
    run_set_text(run->release_code, SPAN_LITERAL("agent_start_failed"));
    farewell_say(&f->farewell, run, FAREWELL_RELEASED);
    die(f, 3, 9);
    fixture_commit(f);
    assert_int_equal(f->pipeline.queue.count, 0);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_string_equal(kept_types(&kept, NULL), "chat_message run_queued error_event*");
    assert_member(&kept.events[2], "code", "agent_start_failed");
    kept_free(&kept);
}

static void test_death_ends_every_run_of_that_process_and_no_other(void **state)
{
    struct fixture *f = *state;
    const struct origin other = {AGENT_PROCESS, AGENT_INCARNATION + 1};
    char id[16];
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "r-%d", i);
        assert_int_equal(push(f, "ann", started(id)), VERDICT_LEGAL);
    }
    assert_int_equal(push_from(f, "ann", started("r-other"), &other), VERDICT_LEGAL);
    die(f, AGENT_PROCESS, 9);
    assert_int_equal(f->pipeline.runs.count, 1);
    assert_state(f, "r-other", "running");
    assert_counted(f->counters.runs_orphaned, 40);
    fixture_commit(f);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "r-%d", i);
        assert_run_events(f, "ann", id, "agent_started error_event*");
    }
}

static void test_cancelled_run_that_never_began_ends_as_cancelled_when_its_worker_dies(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, 3, 1, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    cancel_run(f, "ann", answer.run_id);
    die(f, 3, 9);
    fixture_commit(f);
    assert_string_equal(ended_state(f, answer.run_id), "cancelled");
}

/* ---- time */

static void test_cancel_that_is_not_honoured_is_enforced_after_its_grace(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer answer = running(f, "ann", "m-1");
    push(f, "ann", tool_event(EVENT_TOOL_EXECUTING, answer.run_id, "c-1"));
    cancel_run(f, "ann", answer.run_id);
    uint64_t due = fixture_find(f, answer.run_id)->end_by_ms;
    dispatch_overdue(&f->dispatch, due - 1, clock_wall_ms());
    assert_state(f, answer.run_id, "cancelling");
    dispatch_overdue(&f->dispatch, due, clock_wall_ms());
    fixture_commit(f);
    assert_string_equal(ended_state(f, answer.run_id), "cancelled");
    assert_stream(f, "ann",
        "chat_message run_queued agent_started tool_executing tool_completed* agent_completed*");
    assert_counted(f->counters.runs_overdue, 1);
    assert_int_equal(
        push(f, "ann", event_of(EVENT_AGENT_COMPLETED, answer.run_id)), VERDICT_SEALED);
}

static void test_run_past_its_deadline_and_grace_is_ended_as_timed_out(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer answer = running(f, "ann", "m-1");
    uint64_t due = fixture_find(f, answer.run_id)->deadline_ms + f->config.broker_cancel_grace;
    dispatch_overdue(&f->dispatch, START_MS, due);
    assert_state(f, answer.run_id, "running");
    dispatch_overdue(&f->dispatch, START_MS, due + 1);
    fixture_commit(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    const struct event *last = &kept.events[kept.count - 1];
    assert_int_equal(last->type, EVENT_ERROR_EVENT);
    assert_int_equal(last->flags, EVENT_FLAG_FATAL | EVENT_FLAG_SYNTHETIC);
    assert_member(last, "code", "run_timeout");
    kept_free(&kept);
    assert_string_equal(ended_state(f, answer.run_id), "failed");
}

static void test_run_without_a_limit_goes_on(void **state)
{
    struct fixture *f = *state;
    f->config.broker_run_timeout = 0;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer answer = running(f, "ann", "m-1");
    dispatch_overdue(&f->dispatch, START_MS, UINT64_MAX / 2);
    assert_state(f, answer.run_id, "running");
}

static void test_run_whose_agent_stays_away_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = fixture_worker(f, 3, 0, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    uint64_t limit = f->config.broker_placement_timeout;
    workers_remove(worker);
    dispatch_overdue(&f->dispatch, START_MS, clock_wall_ms());
    dispatch_overdue(&f->dispatch, START_MS + limit, clock_wall_ms());
    assert_state(f, answer.run_id, "queued");
    dispatch_overdue(&f->dispatch, START_MS + limit + 1, clock_wall_ms());
    fixture_commit(f);
    assert_string_equal(ended_state(f, answer.run_id), "rejected");
    assert_int_equal(f->pipeline.queue.count, 0);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_member(&kept.events[kept.count - 1], "code", "agent_not_found");
    kept_free(&kept);
}

static void test_run_that_waited_long_is_not_rejected_the_moment_its_worker_is_away(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = fixture_worker(f, 3, 0, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    uint64_t limit = f->config.broker_placement_timeout;
    uint64_t later = START_MS + 10 * limit;
    fixture_find(f, answer.run_id)->accepted_ms -= 10 * limit;
    dispatch_overdue(&f->dispatch, later, clock_wall_ms());
    workers_remove(worker);
    dispatch_overdue(&f->dispatch, later + 100, clock_wall_ms());
    assert_state(f, answer.run_id, "queued");
    fixture_worker(f, 4, 0, "librarian");
    dispatch_overdue(&f->dispatch, later + 200, clock_wall_ms());
    dispatch_overdue(&f->dispatch, later + 2 * limit, clock_wall_ms());
    assert_state(f, answer.run_id, "queued");
}

static void test_run_that_ends_with_its_client_is_stopped_after_a_while_alone(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 2, "librarian");
    struct answer leaves = chat_as(f, &(struct wire_chat_send){.user = SPAN_LITERAL("ann"),
                                          .thread_id = SPAN_LITERAL("t-1"),
                                          .message_id = SPAN_LITERAL("m-1"),
                                          .on_disconnect = SPAN_LITERAL("cancel"),
                                          .content = SPAN_LITERAL("1")});
    struct answer stays = chat(f, "ann", "t-2", "m-2");
    fixture_turn(f);
    uint64_t alone = fixture_user(f, "ann")->lonely_since_ms;
    dispatch_overdue(&f->dispatch, alone + 4000, clock_wall_ms());
    assert_state(f, leaves.run_id, "starting");
    dispatch_overdue(&f->dispatch, alone + 6000, clock_wall_ms());
    assert_state(f, leaves.run_id, "cancelling");
    assert_state(f, stays.run_id, "starting");
}

static struct answer ask_with_the_client(struct fixture *f, const char *thread)
{
    return chat_as(f, &(struct wire_chat_send){.user = SPAN_LITERAL("ann"),
                          .thread_id = span_of_string(thread),
                          .message_id = span_of_string(thread),
                          .on_disconnect = SPAN_LITERAL("cancel"),
                          .content = SPAN_LITERAL("1")});
}

static void test_waiting_run_that_ends_with_its_client_ends_at_once(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer answer = ask_with_the_client(f, "t-1");
    uint64_t alone = fixture_user(f, "ann")->lonely_since_ms;
    dispatch_overdue(&f->dispatch, alone + 6000, clock_wall_ms());
    fixture_commit(f);
    assert_string_equal(ended_state(f, answer.run_id), "cancelled");
    assert_int_equal(f->pipeline.queue.count, 0);
}

static void test_client_that_comes_back_within_the_grace_keeps_its_runs(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer answer = ask_with_the_client(f, "t-1");
    fixture_turn(f);
    struct link link = {.links = f->links, .state = LINK_READY, .serial = 2000};
    struct user *user = fixture_user(f, "ann");
    struct listener *listener = router_add_listener(&f->router, &link);
    uint64_t alone = user->lonely_since_ms;
    assert_int_equal(router_subscribe(listener, user, history_committed_head(user->stream)), 0);
    dispatch_overdue(&f->dispatch, alone + 60000, clock_wall_ms());
    assert_state(f, answer.run_id, "starting");
    router_remove_listener(&f->router, listener); /* and leaves for good */
    uint64_t left = user->lonely_since_ms;
    dispatch_overdue(&f->dispatch, left + 4000, clock_wall_ms());
    assert_state(f, answer.run_id, "starting");
    dispatch_overdue(&f->dispatch, left + 6000, clock_wall_ms());
    assert_state(f, answer.run_id, "cancelling");
}

static void test_run_that_ends_with_its_client_does_so_after_a_restart_too(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    struct answer answer = ask_with_the_client(f, "t-1");
    fixture_commit(f);
    fixture_restart(f);
    fixture_recover(f);
    uint64_t alone = fixture_user(f, "ann")->lonely_since_ms;
    dispatch_overdue(&f->dispatch, alone + 4000, clock_wall_ms());
    assert_state(f, answer.run_id, "queued"); /* its client has the time to come back */
    dispatch_overdue(&f->dispatch, alone + 6000, clock_wall_ms());
    fixture_commit(f);
    assert_string_equal(ended_state(f, answer.run_id), "cancelled");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_run_goes_to_the_worker_with_most_room),
        CASE(test_run_goes_where_its_threads_last_one_was),
        CASE(test_run_does_not_wait_for_its_threads_last_worker),
        CASE(test_successor_of_a_dead_worker_is_not_taken_for_it),
        CASE(test_thread_unused_for_longest_is_forgotten),
        CASE(test_thread_that_ran_nowhere_is_not_remembered),
        CASE(test_worker_whose_runs_are_not_known_yet_gets_none),
        CASE(test_queue_is_first_come_first_served),
        CASE(test_run_that_cannot_be_placed_holds_nobody_else_up),
        CASE(test_run_is_in_history_as_given_before_its_worker_hears_of_it),
        CASE(test_paused_dispatch_accepts_and_places_nothing),
        CASE(test_run_that_was_not_begun_is_given_to_another_worker),
        CASE(test_request_that_takes_each_worker_with_it_is_given_up),
        CASE(test_younger_message_waits_for_the_older_of_its_thread),
        CASE(test_runs_taken_back_keep_their_places_before_younger_ones),
        CASE(test_what_a_worker_said_of_a_run_before_it_died_is_what_counts),
        CASE(test_death_ends_every_run_of_that_process_and_no_other),
        CASE(test_cancelled_run_that_never_began_ends_as_cancelled_when_its_worker_dies),
        CASE(test_cancel_that_is_not_honoured_is_enforced_after_its_grace),
        CASE(test_run_past_its_deadline_and_grace_is_ended_as_timed_out),
        CASE(test_run_without_a_limit_goes_on),
        CASE(test_run_whose_agent_stays_away_is_rejected),
        CASE(test_run_that_waited_long_is_not_rejected_the_moment_its_worker_is_away),
        CASE(test_run_that_ends_with_its_client_is_stopped_after_a_while_alone),
        CASE(test_waiting_run_that_ends_with_its_client_ends_at_once),
        CASE(test_client_that_comes_back_within_the_grace_keeps_its_runs),
        CASE(test_run_that_ends_with_its_client_does_so_after_a_restart_too),
    };
    return cmocka_run_group_tests_name("broker-dispatch", tests, NULL, NULL);
}
