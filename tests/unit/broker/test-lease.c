/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that live and do not answer. Time is what leases_turn is told; the worker is a process of
 * its own, whose link is gone, so that nothing renews its lease unless the test does.
 */
#include "process-test.h"

#include "event/record.h"
#include "ring/word.h"
#include "ring/writer.h"

#include <errno.h>

#define LEASE_MS 10000

/* The broker looks every half second. */
static void pass_ms(struct fixture *f, uint64_t ms)
{
    static uint64_t now = 1;
    for (uint64_t passed = 0; passed <= ms; passed += 500)
        leases_turn(&f->leases, passed ? now += 500 : now);
}

static struct child worker_with_run(struct fixture *f, char ret_run_id[IDENTIFIER_SIZE])
{
    struct child child;
    child_start(&child, f);
    processes_turn(f->processes, true);
    struct worker *worker = fixture_worker(f, child.index, 4, "librarian");
    worker->incarnation = child.incarnation;
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    assert_state(f, answer.run_id, "starting");
    memcpy(ret_run_id, answer.run_id, IDENTIFIER_SIZE);
    workers_remove(worker);
    return child;
}

static void test_worker_that_says_nothing_is_given_up_and_its_runs_end_as_stalled(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct kept kept;
    struct child child = worker_with_run(f, run_id);
    child_emit(&child, "ann", started(run_id));
    child_emit(&child, "ann", tool_event(EVENT_TOOL_EXECUTING, run_id, "c-1"));
    fixture_turn(f);
    pass_ms(f, LEASE_MS - 500);
    assert_int_equal(f->counters.workers_fenced, 0);
    child_emit(&child, "ann", text_event(run_id, "m-2", 0)); /* its last words */
    pass_ms(f, 500);
    assert_counted(f->counters.workers_fenced, 1);
    assert_int_equal(child_try(&child, "ann", text_event(run_id, "m-2", 0)), -EOWNERDEAD);
    fixture_turn(f);
    assert_stream(f, "ann",
        "chat_message run_queued agent_started tool_executing partial_result tool_completed* "
        "partial_result* error_event*");
    assert_string_equal(ended_state(f, run_id), "failed");
    keep_stream(&kept, f, "ann");
    assert_member(&kept.events[5], "status", "lost");
    assert_member(&kept.events[7], "code", "worker_stalled");
    assert_member(&kept.events[7], "fatal", "true");
    assert_member(&kept.events[7], "retryable", "true");
    kept_free(&kept);
    pass_ms(f, 3 * LEASE_MS);
    assert_counted(f->counters.workers_fenced, 1);
    child_stop(&child);
}

static void test_run_that_was_not_begun_goes_to_another_worker(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct child child = worker_with_run(f, run_id);
    pass_ms(f, LEASE_MS);
    fixture_turn(f);
    assert_state(f, run_id, "queued");
    assert_counted(f->counters.runs_requeued, 1);
    assert_int_equal(child_try(&child, "ann", started(run_id)), -EOWNERDEAD);
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    fixture_turn(f);
    assert_int_equal(push(f, "ann", started(run_id)), VERDICT_LEGAL);
    assert_int_equal(push(f, "ann", event_of(EVENT_AGENT_COMPLETED, run_id)), VERDICT_LEGAL);
    fixture_commit(f);
    assert_stream(f, "ann", "chat_message run_queued agent_started agent_completed");
    child_stop(&child);
}

static void test_every_sign_of_life_renews_the_lease(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct child child = worker_with_run(f, run_id);
    for (int i = 0; i < 4; i++) {
        pass_ms(f, LEASE_MS - 500);
        leases_heard(&f->leases, child.index, child.incarnation);
    }
    assert_int_equal(f->counters.workers_fenced, 0);
    leases_heard(&f->leases, child.index, child.incarnation - 1); /* somebody else's */
    child_stop(&child);
}

static void test_time_in_which_the_broker_stood_still_does_not_count(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct child child = worker_with_run(f, run_id);
    leases_turn(&f->leases, 1000);
    leases_turn(&f->leases, 3600000);
    leases_turn(&f->leases, 7200000);
    assert_int_equal(f->counters.workers_fenced, 0);
    child_stop(&child);
}

static void test_no_lease_runs_out_when_there_is_none(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct child child = worker_with_run(f, run_id);
    f->leases.lease_ms = 0;
    pass_ms(f, 100 * LEASE_MS);
    assert_int_equal(f->counters.workers_fenced, 0);
    child_stop(&child);
}

static void test_program_with_runs_of_its_own_owes_no_answer(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    fixture_turn(f);
    pass_ms(f, 100 * LEASE_MS);
    assert_int_equal(f->counters.workers_fenced, 0);
    child_emit(&child, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    fixture_turn(f);
    assert_stream(f, "ann", "agent_started agent_completed");
    child_stop(&child);
}

static void test_who_is_given_up_is_killed_when_so_configured(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct child child = worker_with_run(f, run_id);
    f->leases.kill = true;
    pass_ms(f, LEASE_MS);
    assert_counted(f->counters.writers_killed, 1);
    child_reap(&child); /* it is dead */
}

/* ---- what is written before, around and after */

static void test_last_words_behind_a_living_writers_claim_are_waited_for(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct child other;
    struct child child = worker_with_run(f, run_id);
    child_start(&other, f);
    child_emit(&child, "ann", started(run_id));
    child_emit(&other, "ann", started("r-other"));
    child_claim(&other, "ann", text_event("r-other", "m-1", 0));
    child_emit(&child, "ann", text_event(run_id, "m-2", EVENT_FLAG_FINAL));
    pass_ms(f, LEASE_MS);
    fixture_turn(f);
    assert_state(f, run_id, "running"); /* its last word is not known yet */
    child_commit(&other);
    fixture_turn(f);
    assert_run_events(
        f, "ann", run_id, "chat_message run_queued agent_started partial_result error_event*");
    assert_int_equal(f->counters.refused[VERDICT_FENCED], 0);
    child_stop(&child);
    child_stop(&other);
}

static void test_claim_of_its_own_holds_its_user_up_until_it_is_dead(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct kept kept;
    struct child child = worker_with_run(f, run_id);
    child_emit(&child, "ann", started(run_id));
    child_claim(&child, "ann", text_event(run_id, "m-2", 0));
    pass_ms(f, LEASE_MS);
    fixture_turn(f);
    assert_state(f, run_id, "running"); /* space is taken from the dead only */
    child_kill(&child);
    fixture_turn(f);
    assert_stream(f, "ann", "chat_message run_queued agent_started error_event*");
    keep_stream(&kept, f, "ann");
    assert_member(&kept.events[3], "code", "worker_stalled");
    kept_free(&kept);
    child_reap(&child);
}

/* A worker that does not look whether it was given up, as one that lies or was stopped in between.
 * Attached by this process, it is another one for all that counts here. */
struct liar {
    struct arena *arena;
    struct ring_writer writer;
    struct child as; /* index and incarnation */
};

static void liar_up(struct liar *liar, struct fixture *f)
{
    char path[PATHS_MAX];
    assert_return_code(paths_join(path, f->directory, "arena"), 0);
    assert_int_equal(arena_attach(&liar->arena, path), 0);
    assert_int_equal(ring_writer_init(&liar->writer, liar->arena), 0);
    liar->as.index = arena_process_index(liar->arena);
    uint64_t incarnation;
    processes_turn(f->processes, true);
    assert_true(processes_incarnation(f->processes, liar->as.index, &incarnation));
    liar->as.incarnation = (uint32_t)incarnation;
}

static void liar_emit(struct liar *liar, struct event event)
{
    struct event_record record;
    struct ring_lease lease;
    if (process_is_fenced(liar->arena))
        liar->writer.holder |= holder_fence(0);
    assert_int_equal(event_record_encode(&record, &event), 0);
    assert_int_equal(ring_lease_for_user(&lease, &liar->writer, "ann", 3), 0);
    assert_int_equal(ring_emit(NULL, &liar->writer, &lease, record.parts, EVENT_RECORD_PARTS), 0);
}

static void liar_down(struct liar *liar)
{
    ring_writer_deinit(&liar->writer);
    arena_detach(liar->arena);
}

/* A run of the liar's that is to end as stalled. */
static void liar_with_run(struct liar *liar, struct fixture *f, char ret_run_id[IDENTIFIER_SIZE])
{
    liar_up(liar, f);
    struct worker *worker = fixture_worker(f, liar->as.index, 4, "librarian");
    worker->incarnation = liar->as.incarnation;
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    fixture_turn(f);
    memcpy(ret_run_id, answer.run_id, IDENTIFIER_SIZE);
    workers_remove(worker);
    liar_emit(liar, started(ret_run_id));
    fixture_turn(f);
}

static void test_what_it_writes_all_the_same_reaches_nobody(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct liar liar;
    liar_with_run(&liar, f, run_id);
    pass_ms(f, LEASE_MS);
    liar_emit(&liar, text_event(run_id, "m-2", 0)); /* before its run is closed */
    fixture_turn(f);
    assert_counted(f->counters.refused[VERDICT_FENCED], 1);
    liar_emit(&liar, event_of(EVENT_AGENT_COMPLETED, run_id)); /* and after */
    fixture_turn(f);
    assert_counted(f->counters.refused[VERDICT_FENCED], 2);
    liar_emit(&liar, started("r-of-its-own"));
    fixture_turn(f);
    assert_counted(f->counters.refused[VERDICT_FENCED], 3);
    assert_stream(f, "ann", "chat_message run_queued agent_started error_event*");
    liar_down(&liar);
}

static void test_fence_holds_for_the_next_broker_too(void **state)
{
    struct fixture *f = *state;
    char run_id[IDENTIFIER_SIZE];
    struct kept kept;
    struct liar liar;
    liar_with_run(&liar, f, run_id);
    pass_ms(f, LEASE_MS);
    fixture_restart(f); /* before the run was closed */
    fixture_recover(f);
    assert_stream(f, "ann", "chat_message run_queued agent_started error_event*");
    keep_stream(&kept, f, "ann");
    assert_member(&kept.events[3], "code", "worker_stalled");
    kept_free(&kept);
    liar_emit(&liar, text_event(run_id, "m-2", 0));
    liar_emit(&liar, started("r-of-its-own"));
    fixture_turn(f);
    assert_counted(f->counters.refused[VERDICT_FENCED], 2);
    assert_stream(f, "ann", "chat_message run_queued agent_started error_event*");
    liar_down(&liar);
}

static void test_process_that_begins_run_upon_run_is_stopped_at_a_number(void **state)
{
    struct fixture *f = *state;
    char run_id[16];
    f->pipeline.max_own_runs = 3;
    for (int i = 0; i < 3; i++) {
        snprintf(run_id, sizeof(run_id), "r-%d", i);
        assert_int_equal(push(f, "ann", started(run_id)), VERDICT_LEGAL);
    }
    assert_int_equal(push(f, "ann", started("r-more")), VERDICT_TOO_MANY_RUNS);
    assert_counted(f->counters.refused[VERDICT_TOO_MANY_RUNS], 1);
    const struct origin other = {AGENT_PROCESS + 1, AGENT_INCARNATION};
    assert_int_equal(push_from(f, "ann", started("r-other"), &other), VERDICT_LEGAL);
    assert_int_equal(push(f, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1")), VERDICT_LEGAL);
    assert_int_equal(push(f, "ann", started("r-more")), VERDICT_LEGAL);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_worker_that_says_nothing_is_given_up_and_its_runs_end_as_stalled),
        WITH_FIXTURE(test_run_that_was_not_begun_goes_to_another_worker),
        WITH_FIXTURE(test_every_sign_of_life_renews_the_lease),
        WITH_FIXTURE(test_time_in_which_the_broker_stood_still_does_not_count),
        WITH_FIXTURE(test_no_lease_runs_out_when_there_is_none),
        WITH_FIXTURE(test_program_with_runs_of_its_own_owes_no_answer),
        WITH_FIXTURE(test_who_is_given_up_is_killed_when_so_configured),
        WITH_FIXTURE(test_last_words_behind_a_living_writers_claim_are_waited_for),
        WITH_FIXTURE(test_claim_of_its_own_holds_its_user_up_until_it_is_dead),
        WITH_FIXTURE(test_what_it_writes_all_the_same_reaches_nobody),
        WITH_FIXTURE(test_fence_holds_for_the_next_broker_too),
        WITH_FIXTURE(test_process_that_begins_run_upon_run_is_stopped_at_a_number),
    };
    return cmocka_run_group_tests_name("broker-lease", tests, NULL, NULL);
}
