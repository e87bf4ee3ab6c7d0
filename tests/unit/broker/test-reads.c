/* SPDX-License-Identifier: Apache-2.0 */
/* Pages and snapshots: who is served when, and how much is under way. Users of their own. */
#include "peer-test.h"

#include "base/cleanup.h"
#include "event/codec.h"
#include "wire/snapshot.h"

#include <stdio.h>

#define EVENT_BYTES 9000

static void fill(struct fixture *f, const char *user, const char *run_id, int events)
{
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    struct event event = text_event(run_id, "m-1", 0);
    buffer_append_string(&data, "{\"delta\":\"");
    for (int i = 0; i < EVENT_BYTES; i++)
        buffer_append_char(&data, 'x');
    buffer_append_string(&data, "\"}");
    event.data = buffer_span(&data);
    assert_int_equal(push(f, user, started(run_id)), VERDICT_LEGAL);
    for (int i = 1; i < events; i++)
        assert_int_equal(push(f, user, event), VERDICT_LEGAL);
    fixture_turn(f);
}

static const char *epoch_of(struct fixture *f, const char *user)
{
    return history_epoch(fixture_user(f, user)->stream);
}

static void ask(struct peer *peer, const char *user, uint64_t after)
{
    peer_send(peer, &(struct wire_message){.kind = WIRE_READ,
                        .read = {.request = ++peer->requests,
                            .user = span_of_string(user),
                            .epoch = span_of_string(epoch_of(peer->f, user)),
                            .after = after,
                            .max_bytes = WIRE_PAGE_MAX}});
}

static void ask_snapshot(struct peer *peer, const char *user, uint64_t after)
{
    peer_send(peer, &(struct wire_message){.kind = WIRE_SNAPSHOT_READ,
                        .snapshot_read = {.request = ++peer->requests,
                            .user = span_of_string(user),
                            .epoch = span_of_string(epoch_of(peer->f, user)),
                            .after = after}});
}

static void taken(struct peer *peer, uint64_t bytes)
{
    peer_send(peer, &(struct wire_message){.kind = WIRE_TAKEN, .taken = {.bytes = bytes}});
}

/* ---- the window */

static void add_questions(struct fixture *f, struct peer *peer, const char *user)
{
    const struct wire_read question = {.user = span_of_string(user),
        .epoch = span_of_string(epoch_of(f, user)),
        .after = 1,
        .max_bytes = 1};
    for (int i = 0; i < 20; i++)
        assert_int_equal(reads_add(&f->reads, peer_link(peer)->peer, &question), 0);
}

static void test_a_turn_serves_a_share_and_the_next_one_begins_with_somebody_else(void **state)
{
    struct fixture *f = *state;
    static struct peer peers[2];
    const struct listener *listeners[2];
    fill(f, "share", "r-share", 2);
    for (int i = 0; i < 2; i++) {
        peer_connect_gateway(&peers[i], f);
        peer_settle(&peers[i]);
        listeners[i] = peer_link(&peers[i])->peer;
    }
    for (int i = 0; i < 2; i++)
        add_questions(f, &peers[i], "share");
    assert_true(reads_turn(&f->reads));
    const size_t left[2] = {listeners[0]->reads_waiting, listeners[1]->reads_waiting};
    assert_int_equal(left[0] < left[1] ? left[1] : left[0], 20);
    assert_in_range(left[0] < left[1] ? left[0] : left[1], 1, 19);
    assert_true(reads_turn(&f->reads));
    for (int i = 0; i < 2; i++)
        assert_in_range(listeners[i]->reads_waiting, 1, 19);
    while (reads_turn(&f->reads))
        continue;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(listeners[i]->reads_waiting, 0);
        for (int page = 0; page < 20; page++)
            peer_expect(&peers[i], WIRE_PAGE);
        peer_leave(&peers[i]);
    }
}

static void test_no_more_than_a_window_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    fill(f, "window", "r-window", 40);
    for (int i = 0; i < 20; i++)
        ask(&gateway, "window", 0);
    peer_settle(&gateway);
    struct listener *listener = peer_link(&gateway)->peer;
    assert_in_range(
        listener->reads_under_way, READS_WINDOW, READS_WINDOW + READS_PAGE_MAX + 2 * EVENT_BYTES);
    uint64_t got = 0;
    int pages = 0;
    while (pages < 20) {
        struct wire_page page = peer_expect(&gateway, WIRE_PAGE).page;
        assert_in_range(page.events.len, 1, READS_PAGE_MAX + EVENT_BYTES);
        got += page.events.len;
        pages++;
        taken(&gateway, wire_answer_cost(page.events));
    }
    assert_true(got > 20 * (READS_PAGE_MAX - EVENT_BYTES));
    peer_expect_nothing(&gateway);
    assert_int_equal(listener->reads_under_way, 0);
    taken(&gateway, UINT64_MAX); /* more than there was: nothing is gained by it */
    peer_expect_nothing(&gateway);
    assert_int_equal(listener->reads_under_way, 0);
    peer_leave(&gateway);
}

static void test_listener_that_takes_nothing_holds_up_no_other_and_no_live_event(void **state)
{
    struct fixture *f = *state;
    struct peer stuck;
    struct peer quick;
    peer_connect_gateway(&stuck, f);
    peer_connect_gateway(&quick, f);
    fill(f, "stuck", "r-stuck", 40);
    peer_open(&stuck, "live");
    peer_credit(&stuck, 1 << 20);
    for (int i = 0; i < 50; i++)
        ask(&stuck, "stuck", 0);
    peer_settle(&stuck);
    struct listener *listener = peer_link(&stuck)->peer;
    size_t waiting = listener->reads_waiting;
    assert_in_range(waiting, 40, 49);
    ask(&quick, "stuck", 0);
    assert_int_equal(peer_expect(&quick, WIRE_PAGE).page.status, WIRE_PAGE_OK);
    push(f, "live", started("r-live"));
    fixture_turn(f);
    while (stuck.inbox.len > 0 && peer_next_is(&stuck, WIRE_PAGE))
        peer_expect(&stuck, WIRE_PAGE);
    assert_int_equal(peer_expect_events(&stuck, "live", 0), 1); /* behind a window, no more */
    assert_int_equal(listener->reads_waiting, waiting);
    peer_leave(&stuck); /* with its line */
    peer_leave(&quick);
}

static void test_listener_with_too_many_questions_is_refused_further_ones(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    struct listener *listener = peer_link(&gateway)->peer;
    listener->reads_waiting = READS_WAITING_MAX;
    ask(&gateway, "many", 0);
    struct wire_reply reply = peer_expect(&gateway, WIRE_REPLY).reply;
    assert_int_equal(reply.request, gateway.requests);
    assert_true(span_is(reply.code, "internal"));
    assert_int_equal(reply.retryable, 1);
    listener->reads_waiting = 0;
    peer_leave(&gateway);
}

/* First come, first served: after each page one is at the end of the line. */
static void test_long_replay_does_not_keep_short_ones_waiting(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    fill(f, "long", "r-long", 100);
    fill(f, "short", "r-short", 1);
    ask(&gateway, "long", 0);
    for (int i = 0; i < 3; i++)
        ask(&gateway, "short", 0);
    struct wire_page page = peer_expect(&gateway, WIRE_PAGE).page;
    assert_int_equal(page.request, gateway.requests - 3);
    taken(&gateway, wire_answer_cost(page.events));
    ask(&gateway, "long", page.last);
    for (uint64_t i = 0; i < 4; i++) {
        page = peer_expect(&gateway, WIRE_PAGE).page;
        assert_int_equal(page.request, gateway.requests - 3 + i);
        taken(&gateway, wire_answer_cost(page.events));
    }
    peer_leave(&gateway);
}

/* ---- snapshots */

static void test_snapshot_shows_each_open_run_and_the_number_it_stands_for(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    push(f, "snap", started("r-s1"));
    push(f, "snap", text_event("r-s1", "m-1", 0));
    push(f, "snap", started("r-s2"));
    push(f, "snap", event_of(EVENT_AGENT_COMPLETED, "r-s2"));
    fixture_turn(f);
    uint64_t sent = f->counters.snapshots_sent;
    ask_snapshot(&gateway, "snap", 0);
    struct wire_snapshot answer = peer_expect(&gateway, WIRE_SNAPSHOT).snapshot;
    assert_int_equal(answer.status, WIRE_PAGE_OK);
    assert_int_equal(answer.seq, 4);
    assert_int_equal(answer.more, 0);
    assert_true(span_is(answer.user, "snap"));
    struct wire_snapshot_run run;
    size_t at = 0;
    assert_int_equal(wire_snapshot_next(&run, answer.runs, &at), 1);
    assert_true(span_is(run.thread_id, "t-1"));
    assert_true(span_is(run.body,
        "{\"run_id\":\"r-s1\",\"thread_id\":\"t-1\",\"agent\":\"librarian\",\"state\":\"running\","
        "\"seq\":4,\"started_at\":1795000000000,\"tools\":[],"
        "\"texts\":[{\"message_id\":\"m-1\",\"text\":\"word \"}],\"interrupts\":[]}"));
    assert_int_equal(wire_snapshot_next(&run, answer.runs, &at), 0);
    assert_counted(f->counters.snapshots_sent - sent, 1);
    peer_leave(&gateway);
}

/* What is staged may be lost, and its number be given to another event. */
static void test_snapshot_waits_for_what_it_shows_to_be_kept(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    push(f, "staged", started("r-staged"));
    ask_snapshot(&gateway, "staged", 0);
    peer_expect_nothing(&gateway);
    fixture_turn(f);
    assert_int_equal(peer_expect(&gateway, WIRE_SNAPSHOT).snapshot.seq, 1);
    peer_leave(&gateway);
}

static void test_many_runs_come_in_parts(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    char id[32];
    int count = 0;
    int parts = 0;
    peer_connect_gateway(&gateway, f);
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof(id), "r-part-%d", i);
        fill(f, "parts", id, 2);
    }
    struct wire_snapshot answer = {.more = true};
    while (answer.more) {
        struct wire_snapshot_run run;
        ask_snapshot(&gateway, "parts", answer.last);
        answer = peer_expect(&gateway, WIRE_SNAPSHOT).snapshot;
        for (size_t at = 0; wire_snapshot_next(&run, answer.runs, &at) == 1; count++) {
            snprintf(id, sizeof(id), "{\"run_id\":\"r-part-%d\"", count);
            assert_memory_equal(run.body.data, id, strlen(id));
        }
        taken(&gateway, wire_answer_cost(answer.runs));
        parts++;
    }
    assert_int_equal(count, 30);
    assert_in_range(parts, 4, 6);
    peer_leave(&gateway);
}

static void test_snapshot_for_nobody_or_of_another_numbering_is_refused(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_send(&gateway, &(struct wire_message){.kind = WIRE_SNAPSHOT_READ,
                            .snapshot_read = {.request = 77, .user = SPAN_LITERAL("a b")}});
    struct wire_reply reply = peer_expect(&gateway, WIRE_REPLY).reply;
    assert_int_equal(reply.request, 77);
    assert_true(span_is(reply.code, "invalid_argument"));
    peer_send(&gateway, &(struct wire_message){.kind = WIRE_SNAPSHOT_READ,
                            .snapshot_read = {.request = 78,
                                .user = SPAN_LITERAL("snap"),
                                .epoch = SPAN_LITERAL("nosuchepoch")}});
    assert_int_equal(peer_expect(&gateway, WIRE_SNAPSHOT).snapshot.status, WIRE_PAGE_EPOCH_CHANGED);
    peer_leave(&gateway);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_turn_serves_a_share_and_the_next_one_begins_with_somebody_else),
        cmocka_unit_test(test_no_more_than_a_window_is_under_way),
        cmocka_unit_test(test_listener_that_takes_nothing_holds_up_no_other_and_no_live_event),
        cmocka_unit_test(test_listener_with_too_many_questions_is_refused_further_ones),
        cmocka_unit_test(test_long_replay_does_not_keep_short_ones_waiting),
        cmocka_unit_test(test_snapshot_shows_each_open_run_and_the_number_it_stands_for),
        cmocka_unit_test(test_snapshot_waits_for_what_it_shows_to_be_kept),
        cmocka_unit_test(test_many_runs_come_in_parts),
        cmocka_unit_test(test_snapshot_for_nobody_or_of_another_numbering_is_refused),
    };
    return cmocka_run_group_tests_name(
        "broker-reads", tests, linked_fixture_up, linked_fixture_down);
}
