/* SPDX-License-Identifier: Apache-2.0 */
/* From real rings, written by real processes, some of which die. */
#include "process-test.h"

#include "base/cleanup.h"
#include "event/record.h"
#include "ring/directory.h"
#include "ring/doorbell.h"
#include "ring/writer.h"

#include <errno.h>
#include <stdio.h>

static void turns_until_ended(struct fixture *f, const char *run_id)
{
    for (int i = 0; i < 10 && fixture_find(f, run_id); i++)
        fixture_turn(f);
    assert_null(fixture_find(f, run_id));
}

static void test_events_of_several_processes_come_in_the_order_of_the_ring(void **state)
{
    struct fixture *f = *state;
    struct child one;
    struct child two;
    child_start(&one, f);
    child_start(&two, f);
    child_emit(&one, "ann", started("r-1"));
    child_emit(&two, "ann", started("r-2"));
    child_emit(&one, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    child_emit(&two, "ann", event_of(EVENT_AGENT_COMPLETED, "r-2"));
    child_emit(&two, "bob", started("r-3"));
    fixture_turn(f);
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_int_equal(kept.count, 4);
    const char *const ids[] = {"r-1", "r-2", "r-1", "r-2"};
    for (int i = 0; i < 4; i++)
        assert_true(span_is(kept.events[i].run_id, ids[i]));
    kept_free(&kept);
    assert_stream(f, "bob", "agent_started");
    child_stop(&one);
    child_stop(&two);
}

static void test_run_belongs_to_the_process_that_began_it(void **state)
{
    struct fixture *f = *state;
    struct child own;
    struct child foreign;
    child_start(&own, f);
    child_start(&foreign, f);
    child_emit(&own, "ann", started("r-1"));
    child_emit(&foreign, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    fixture_turn(f);
    assert_state(f, "r-1", "running");
    assert_counted(f->counters.refused[VERDICT_FOREIGN_RUN], 1);
    child_stop(&own);
    child_stop(&foreign);
}

/* ---- records that are none of ours */

/* From this process. */
static void emit_parts(
    struct ring_writer *writer, const char *user, const struct iovec *parts, int count)
{
    struct ring_lease lease;
    int rc;
    do {
        assert_int_equal(ring_lease_for_user(&lease, writer, user, strlen(user)), 0);
        rc = ring_emit(NULL, writer, &lease, parts, count);
    } while (rc == -ESTALE); /* a larger ring goes on */
    assert_int_equal(rc, 0);
}

static void emit_bytes(struct fixture *f, const char *user, const void *bytes, size_t len)
{
    struct ring_writer writer = {0};
    const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    assert_int_equal(ring_writer_init(&writer, f->arena), 0);
    emit_parts(&writer, user, &part, 1);
    ring_writer_deinit(&writer);
}

static void emit_event(struct ring_writer *writer, const char *user, struct event event)
{
    struct event_record record;
    assert_int_equal(event_record_encode(&record, &event), 0);
    emit_parts(writer, user, record.parts, EVENT_RECORD_PARTS);
}

static void test_record_that_is_no_event_is_counted_and_passed_over(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    emit_bytes(f, "ann", "rubbish", 7);
    emit_bytes(f, "ann", "", 0);
    child_emit(&child, "ann", started("r-1"));
    fixture_turn(f);
    assert_counted(f->counters.refused[VERDICT_MALFORMED], 2);
    assert_stream(f, "ann", "agent_started");
    child_stop(&child);
}

static void test_ring_of_somebody_who_can_be_no_user_is_drained_for_nothing(void **state)
{
    struct fixture *f = *state;
    emit_bytes(f, "a user", "rubbish", 7);
    fixture_turn(f);
    assert_counted(f->counters.refused[VERDICT_FOREIGN_USER], 1);
    assert_int_equal(f->users.map.count, 0);
}

/* ---- fairness and batches */

static void test_busy_ring_takes_no_more_than_its_share_of_a_turn(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "busy", started("r-1"));
    for (int i = 0; i < 40; i++)
        child_emit(&child, "busy", text_event("r-1", "m-1", 0));
    char user[16];
    char run_id[16];
    for (int i = 0; i < 9; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        snprintf(run_id, sizeof(run_id), "r-of-%d", i);
        child_emit(&child, user, started(run_id));
    }
    assert_int_equal(drain_turn(f->drain, 50), 5 + 9);
    fixture_commit(f);
    drain_release(f->drain);
    for (int i = 0; i < 9; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        assert_stream(f, user, "agent_started");
    }
    assert_int_equal(drain_turn(f->drain, 5), 5); /* the rest is not forgotten */
    assert_int_equal(drain_turn(f->drain, 100), 31);
    assert_int_equal(drain_turn(f->drain, 100), 0);
    child_stop(&child);
}

static void take_no_notice(void *userdata, uint32_t ring)
{
    (void)userdata;
    (void)ring;
}

static void test_ring_whose_share_was_all_it_had_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    child_emit(&child, "ann", text_event("r-1", "m-1", 0));
    child_emit(&child, "ann", text_event("r-1", "m-1", 0));
    assert_int_equal(drain_turn(f->drain, 2), 2);
    assert_int_equal(drain_turn(f->drain, 1), 1);
    assert_int_equal(doorbell_take(f->arena, take_no_notice, NULL), 0);
    child_emit(&child, "ann", text_event("r-1", "m-1", 0));
    assert_int_equal(drain_turn(f->drain, 2), 1);
    child_stop(&child);
}

static void test_every_ring_gets_a_turn_however_small_the_budget(void **state)
{
    struct fixture *f = *state;
    struct child child;
    char user[16];
    char run_id[16];
    child_start(&child, f);
    for (int i = 0; i < 9; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        snprintf(run_id, sizeof(run_id), "r-of-%d", i);
        child_emit(&child, user, started(run_id));
        child_emit(&child, user, event_of(EVENT_AGENT_COMPLETED, run_id));
    }
    assert_int_equal(drain_turn(f->drain, 2), 9);
    assert_int_equal(drain_turn(f->drain, 2), 9);
    child_stop(&child);
}

static void test_a_turn_has_an_end_and_the_next_goes_on_behind_it(void **state)
{
    struct fixture *f = *state;
    struct ring_writer writer = {0};
    char user[16];
    char run_id[16];
    assert_int_equal(ring_writer_init(&writer, f->arena), 0);
    for (int i = 0; i < 20; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        snprintf(run_id, sizeof(run_id), "r-of-%d", i);
        emit_event(&writer, user, started(run_id));
        for (int j = 1; j < 110; j++)
            emit_event(&writer, user, text_event(run_id, "m-1", 0));
    }
    assert_int_equal(drain_turn(f->drain, SIZE_MAX), 2048);
    assert_int_equal(drain_turn(f->drain, SIZE_MAX), 20 * 110 - 2048);
    fixture_commit(f);
    for (int i = 0; i < 20; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        assert_int_equal(history_committed_head(fixture_user(f, user)->stream), 110);
    }
    ring_writer_deinit(&writer);
}

/* 20 rings of 4 MiB, all but full: more than is taken in before a commit must come. */
static void test_backlog_larger_than_a_batch_is_committed_in_parts(void **state)
{
    struct fixture *f = *state;
    struct ring_writer writer = {0};
    assert_int_equal(ring_writer_init(&writer, f->arena), 0);
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    buffer_append_string(&data, "{\"delta\":\"");
    for (int i = 0; i < 60000; i++)
        buffer_append_char(&data, 'x');
    buffer_append_string(&data, "\"}");
    char user[16];
    char run_id[16];
    for (int i = 0; i < 20; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        snprintf(run_id, sizeof(run_id), "r-of-%d", i);
        emit_event(&writer, user, started(run_id));
        struct event text = text_event(run_id, "m-1", 0);
        text.data = buffer_span(&data);
        for (int j = 0; j < 65; j++)
            emit_event(&writer, user, text);
    }
    drain_turn(f->drain, SIZE_MAX);
    assert_true(f->counters.events_accepted < 1320); /* no turn takes it all */
    assert_int_equal(drain_everything(f->drain), 0);
    assert_true(history_commit_count(f->history) > 0);
    fixture_commit(f);
    drain_release(f->drain);
    assert_counted(f->counters.events_accepted, 1320);
    for (int i = 0; i < 20; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        assert_int_equal(history_committed_head(fixture_user(f, user)->stream), 66);
    }
    ring_writer_deinit(&writer);
}

static void test_space_is_given_back_only_after_the_commit(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    drain_turn(f->drain, 100);
    uint32_t ring;
    assert_int_equal(directory_find(&ring, f->arena, "ann", 3), 0);
    struct ring_reader_stats before;
    drain_stats(f->drain, &before);
    assert_int_equal(before.records, 1);
    assert_int_equal(ring_wait_position(f->arena, ring, 1, RING_SEQUENCED, 0), -ETIMEDOUT);
    fixture_commit(f);
    drain_release(f->drain);
    assert_int_equal(ring_wait_position(f->arena, ring, 1, RING_SEQUENCED, 0), 0);
    assert_int_equal(ring_wait_position(f->arena, ring, 1, RING_DURABLE, 0), -ETIMEDOUT);
    drain_sync_begins(f->drain);
    drain_durable(f->drain);
    assert_int_equal(ring_wait_position(f->arena, ring, 1, RING_DURABLE, 0), 0);
    child_stop(&child);
}

/* Emits, keeps and releases one event of "ann"; where her ring ends then. */
static struct ring_mark release_one(struct fixture *f, struct child *child, struct event event)
{
    child_emit(child, "ann", event);
    drain_turn(f->drain, 100);
    fixture_commit(f);
    drain_release(f->drain);
    return drain_mark(f->drain, fixture_user(f, "ann"));
}

static int wait_durable(struct fixture *f, const struct ring_mark *mark)
{
    return ring_wait_position(f->arena, mark->ring, mark->position, RING_DURABLE, 0);
}

static void test_a_sync_makes_durable_what_was_released_before_it_began(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    struct ring_mark before = release_one(f, &child, started("r-1"));
    drain_sync_begins(f->drain);
    struct ring_mark after = release_one(f, &child, text_event("r-1", "m-1", 0));
    assert_int_equal(wait_durable(f, &before), -ETIMEDOUT);
    drain_durable(f->drain);
    assert_int_equal(wait_durable(f, &before), 0);
    assert_int_equal(wait_durable(f, &after), -ETIMEDOUT);
    drain_sync_begins(f->drain);
    drain_durable(f->drain);
    assert_int_equal(wait_durable(f, &after), 0);
    child_stop(&child);
}

static void test_a_commit_that_is_synced_makes_durable_what_it_brought(void **state)
{
    struct fixture *f = *state;
    struct child child;
    f->syncs_commits = true;
    fixture_restart(f);
    child_start(&child, f);
    struct ring_mark mark = release_one(f, &child, started("r-1"));
    assert_int_equal(wait_durable(f, &mark), 0);
    child_stop(&child);
}

static void test_what_a_failed_sync_left_is_the_next_ones(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    release_one(f, &child, started("r-1"));
    drain_sync_begins(f->drain); /* and nothing is durable */
    struct ring_mark second = release_one(f, &child, text_event("r-1", "m-1", 0));
    drain_sync_begins(f->drain);
    struct ring_mark third = release_one(f, &child, text_event("r-1", "m-1", 0));
    drain_durable(f->drain);
    assert_int_equal(wait_durable(f, &second), 0);
    assert_int_equal(wait_durable(f, &third), -ETIMEDOUT);
    child_stop(&child);
}

/* ---- deaths */

static void test_killed_process_has_its_last_words_and_then_its_runs_closed(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    fixture_turn(f); /* it is watched from here on */
    child_emit(&child, "ann", started("r-1"));
    child_emit(&child, "ann", started("r-2"));
    child_emit(&child, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-2", "c-1"));
    fixture_turn(f);
    child_emit(&child, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    child_emit(&child, "ann", text_event("r-2", "m-1", 0));
    child_kill(&child);
    turns_until_ended(f, "r-2");
    assert_run_events(f, "ann", "r-1", "agent_started agent_completed");
    assert_run_events(f, "ann", "r-2",
        "agent_started tool_executing partial_result tool_completed* partial_result* "
        "error_event*");
    struct kept kept;
    keep_stream(&kept, f, "ann");
    const struct event *last = &kept.events[kept.count - 1];
    assert_member(last, "code", "worker_lost");
    assert_member(last, "signal", "9");
    kept_free(&kept);
    child_reap(&child);
}

static void test_process_that_exits_says_with_what(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    fixture_turn(f);
    child_leave(&child, 7);
    turns_until_ended(f, "r-1");
    struct kept kept;
    keep_stream(&kept, f, "ann");
    assert_member(&kept.events[1], "exit_code", "7");
    assert_member(&kept.events[1], "signal", NULL);
    kept_free(&kept);
    child_reap(&child);
}

static void test_run_begun_and_left_between_two_turns_is_closed_too(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    child_kill(&child);
    fixture_turn(f);
    farewell_sweep(&f->farewell); /* what the broker does once a second */
    turns_until_ended(f, "r-1");
    assert_stream(f, "ann", "agent_started error_event*");
    child_reap(&child);
}

static void test_last_words_behind_a_living_writers_claim_are_waited_for(void **state)
{
    struct fixture *f = *state;
    struct child dying;
    struct child slow;
    child_start(&dying, f);
    child_start(&slow, f);
    child_emit(&dying, "ann", started("r-1"));
    child_emit(&slow, "ann", started("r-2"));
    fixture_turn(f);
    child_claim(&slow, "ann", event_of(EVENT_AGENT_COMPLETED, "r-2"));
    child_emit(&dying, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    child_kill(&dying);
    for (int i = 0; i < 3; i++)
        fixture_turn(f);
    assert_state(f, "r-1", "running"); /* its end is written: it must not get another */
    child_commit(&slow);
    turns_until_ended(f, "r-1");
    assert_stream(f, "ann", "agent_started agent_started agent_completed agent_completed");
    assert_string_equal(ended_state(f, "r-1"), "completed");
    assert_int_equal(f->counters.runs_orphaned, 0);
    child_reap(&dying);
    child_stop(&slow);
}

static void test_claim_of_a_dead_writer_holds_nobody_up(void **state)
{
    struct fixture *f = *state;
    struct child dying;
    struct child living;
    child_start(&dying, f);
    child_start(&living, f);
    child_emit(&dying, "ann", started("r-1"));
    child_emit(&living, "ann", started("r-2"));
    fixture_turn(f);
    child_claim(&dying, "ann", event_of(EVENT_AGENT_COMPLETED, "r-1"));
    child_emit(&living, "ann", event_of(EVENT_AGENT_COMPLETED, "r-2"));
    child_kill(&dying);
    turns_until_ended(f, "r-1");
    turns_until_ended(f, "r-2");
    assert_run_events(f, "ann", "r-1", "agent_started error_event*");
    assert_run_events(f, "ann", "r-2", "agent_started agent_completed");
    child_reap(&dying);
    child_stop(&living);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_events_of_several_processes_come_in_the_order_of_the_ring),
        CASE(test_run_belongs_to_the_process_that_began_it),
        CASE(test_record_that_is_no_event_is_counted_and_passed_over),
        CASE(test_ring_of_somebody_who_can_be_no_user_is_drained_for_nothing),
        CASE(test_busy_ring_takes_no_more_than_its_share_of_a_turn),
        CASE(test_ring_whose_share_was_all_it_had_is_left_alone),
        CASE(test_a_turn_has_an_end_and_the_next_goes_on_behind_it),
        CASE(test_every_ring_gets_a_turn_however_small_the_budget),
        cmocka_unit_test_setup_teardown(
            test_backlog_larger_than_a_batch_is_committed_in_parts, fixture_up_large, fixture_down),
        CASE(test_space_is_given_back_only_after_the_commit),
        CASE(test_a_sync_makes_durable_what_was_released_before_it_began),
        CASE(test_a_commit_that_is_synced_makes_durable_what_it_brought),
        CASE(test_what_a_failed_sync_left_is_the_next_ones),
        CASE(test_killed_process_has_its_last_words_and_then_its_runs_closed),
        CASE(test_process_that_exits_says_with_what),
        CASE(test_run_begun_and_left_between_two_turns_is_closed_too),
        CASE(test_last_words_behind_a_living_writers_claim_are_waited_for),
        CASE(test_claim_of_a_dead_writer_holds_nobody_up),
    };
    return cmocka_run_group_tests_name("broker-drain", tests, NULL, NULL);
}
