/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that no other test looks at: each rises by exactly one for one occurrence. That every
 * counter and verdict is in some test is checked by tests/lint/counters.py.
 */
#include "peer-test.h"
#include "process-test.h"

#include "upkeep/trimming.h"

#include "base/clock.h"
#include "ring/mapping.h"

#include <stdio.h>

#define PLENTY (1u << 20)
#define RETAINED 8 /* events a user */

/* As the links of the restarted fixture, kept until the process ends. */
static struct links *volatile first_links; /* volatile: nobody reads it but the leak checker */

static int counters_up(void **state)
{
    int rc = linked_fixture_up(state);
    struct fixture *f = *state;
    first_links = f->links;
    f->config.history_max_events_per_user = RETAINED;
    fixture_restart(f);
    return rc;
}

/* ---- links, and what goes over them */

static void test_a_link_is_counted_when_it_opens_and_when_it_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    uint64_t opened = f->counters.links_opened, dropped = f->counters.links_dropped;
    peer_connect_gateway(&peer, f);
    assert_counted(f->counters.links_opened - opened, 1);
    assert_int_equal(f->counters.links_dropped, dropped);
    link_drop(peer_link(&peer), "of a test");
    assert_counted(f->counters.links_dropped - dropped, 1);
    peer_expect_dropped(&peer);
}

static void test_an_event_is_counted_for_the_gateway_it_is_sent_to(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    peer_open(&peer, "routed");
    peer_credit(&peer, PLENTY);
    uint64_t before = f->counters.events_routed;
    push(f, "routed", started("r-routed"));
    fixture_turn(f);
    peer_expect_events(&peer, "routed", 0);
    assert_counted(f->counters.events_routed - before, 1);
    peer_leave(&peer);
}

static struct wire_opened open_at(
    struct peer *peer, const char *user, const char *epoch, uint64_t after)
{
    const struct wire_message open = {.kind = WIRE_OPEN,
        .open = {.request = ++peer->requests,
            .user = span_of_string(user),
            .mode = WIRE_OPEN_CURSOR,
            .epoch = span_of_string(epoch),
            .after = after}};
    peer_send(peer, &open);
    return peer_expect(peer, WIRE_OPENED).opened;
}

static void test_a_cursor_of_another_numbering_is_counted(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    push(f, "reset", started("r-reset"));
    fixture_turn(f);
    uint64_t before = f->counters.cursors_reset;
    open_at(&peer, "reset", "nosuchepoch", 1);
    assert_counted(f->counters.cursors_reset - before, 1);
    peer_leave(&peer);
}

static void test_a_cursor_behind_what_is_retained_is_counted(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    struct trimming trimming = {.history = f->history, .counters = &f->counters};
    peer_connect_gateway(&peer, f);
    push(f, "gap", started("r-gap"));
    for (int i = 0; i < 2 * RETAINED; i++)
        push(f, "gap", text_event("r-gap", "m-1", 0));
    push(f, "gap", event_of(EVENT_AGENT_COMPLETED, "r-gap"));
    fixture_turn(f);
    do
        trimming_turn(&trimming, clock_wall_ms(), false);
    while (trimming.more);
    uint64_t before = f->counters.cursors_gap;
    const char *epoch = history_epoch(fixture_user(f, "gap")->stream);
    assert_int_equal(open_at(&peer, "gap", epoch, 1).resume, WIRE_RESUME_GAP);
    assert_counted(f->counters.cursors_gap - before, 1);
    peer_leave(&peer);
}

static void test_bytes_read_for_a_page_are_counted(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    push(f, "page", started("r-page"));
    fixture_turn(f);
    peer_open(&peer, "page");
    uint64_t before = f->counters.bytes_replayed;
    const struct wire_message read = {.kind = WIRE_READ,
        .read = {.request = ++peer.requests,
            .user = SPAN_LITERAL("page"),
            .epoch = span_of_string(history_epoch(fixture_user(f, "page")->stream)),
            .max_bytes = WIRE_PAGE_MAX}};
    peer_send(&peer, &read);
    struct wire_page page = peer_expect(&peer, WIRE_PAGE).page;
    assert_true(page.events.len > 0);
    assert_counted(f->counters.bytes_replayed - before, page.events.len);
    peer_leave(&peer);
}

/* ---- events that the grammar refuses */

static void assert_verdict(struct fixture *f, struct event event, enum verdict verdict)
{
    uint64_t before = f->counters.refused[verdict];
    assert_int_equal(push(f, "grammar", event), verdict);
    assert_counted(f->counters.refused[verdict] - before, 1);
}

static struct event interrupt(enum event_type type, const char *run_id)
{
    struct event event = event_of(type, run_id);
    event.data = SPAN_LITERAL("{\"interrupt_id\":\"i-1\",\"reason\":\"r\"}");
    return event;
}

#define assert_refused(f, event, verdict) assert_verdict(f, event, VERDICT_##verdict)

static void test_each_refusal_of_the_grammar_is_counted_by_its_reason(void **state)
{
    struct fixture *f = *state;
    char id[32];
    assert_int_equal(push(f, "grammar", started("r-1")), VERDICT_LEGAL);
    assert_refused(f, tool_event(EVENT_TOOL_COMPLETED, "r-1", "c-1"), TOOL_NOT_OPEN);
    assert_int_equal(push(f, "grammar", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1")), 0);
    assert_refused(f, tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"), TOOL_ALREADY_OPEN);
    assert_int_equal(push(f, "grammar", tool_event(EVENT_TOOL_COMPLETED, "r-1", "c-1")), 0);
    assert_refused(f, tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"), IDENTITY_USED);
    assert_refused(f, interrupt(EVENT_INTERRUPT_RESOLVED, "r-1"), NOT_WAITING);
    assert_int_equal(push(f, "grammar", interrupt(EVENT_INTERRUPT_REQUESTED, "r-1")), 0);
    assert_refused(f, interrupt(EVENT_INTERRUPT_REQUESTED, "r-1"), ALREADY_WAITING);
    for (unsigned i = 0; i < GRAMMAR_OPEN_MAX; i++) {
        snprintf(id, sizeof(id), "c-many-%u", i);
        assert_int_equal(push(f, "grammar", tool_event(EVENT_TOOL_EXECUTING, "r-1", id)), 0);
    }
    assert_refused(f, tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-one-more"), TOO_MANY_OPEN);
    fixture_commit(f);
}

static void test_an_event_before_its_runs_start_is_counted(void **state)
{
    struct fixture *f = *state;
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    struct answer answer = chat(f, "grammar", "t-early", "m-early");
    assert_null(answer.code);
    fixture_turn(f);
    struct run *run = fixture_find(f, answer.run_id);
    const struct origin origin = {.process = run->process, .incarnation = run->incarnation};
    uint64_t before = f->counters.refused[VERDICT_NOT_STARTED];
    assert_int_equal(
        push_from(f, "grammar", text_event(answer.run_id, "m-1", 0), &origin), VERDICT_NOT_STARTED);
    assert_counted(f->counters.refused[VERDICT_NOT_STARTED] - before, 1);
}

/* ---- the door */

static void test_a_request_that_finds_the_queue_full_is_counted_by_whose_it_was(void **state)
{
    struct fixture *f = *state;
    uint64_t all = f->counters.queue_full, own = f->counters.queue_full_user;
    uint64_t room = f->config.broker_max_queued, room_user = f->config.broker_max_queued_per_user;
    f->config.broker_max_queued_per_user = 0;
    assert_string_equal(chat(f, "greedy", "t-1", "m-1").code, "queue_full");
    assert_counted(f->counters.queue_full_user - own, 1);
    assert_int_equal(f->counters.queue_full, all);
    f->config.broker_max_queued_per_user = room_user;
    f->config.broker_max_queued = 0;
    assert_string_equal(chat(f, "late", "t-1", "m-2").code, "queue_full");
    assert_counted(f->counters.queue_full - all, 1);
    assert_int_equal(f->counters.queue_full_user, own + 1);
    f->config.broker_max_queued = room;
}

/* ---- rings */

/* A header that nobody writes, where the ring's second record begins. */
static void spoil_ring(struct fixture *f, const char *user)
{
    for (uint32_t ring = 0; ring < arena_user_count(f->arena); ring++) {
        struct record_header *first = arena_record(f->arena, ring, 0);
        if (atomic_load(&first->control) != control_free(0) && atomic_load(&first->control)) {
            atomic_store(&first->control, UINT64_MAX);
            return;
        }
    }
    fail_msg("%s has no ring", user);
}

static void test_a_damaged_ring_is_counted_once_however_often_it_is_looked_at(void **state)
{
    struct fixture *f = *state;
    struct child child;
    uint64_t before = f->counters.rings_damaged;
    child_start(&child, f);
    child_emit(&child, "spoilt", started("r-spoilt"));
    spoil_ring(f, "spoilt");
    for (int i = 0; i < 5; i++)
        fixture_turn(f);
    assert_counted(f->counters.rings_damaged - before, 1);
    child_stop(&child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_is_counted_when_it_opens_and_when_it_is_dropped),
        cmocka_unit_test(test_an_event_is_counted_for_the_gateway_it_is_sent_to),
        cmocka_unit_test(test_a_cursor_of_another_numbering_is_counted),
        cmocka_unit_test(test_a_cursor_behind_what_is_retained_is_counted),
        cmocka_unit_test(test_bytes_read_for_a_page_are_counted),
        cmocka_unit_test(test_each_refusal_of_the_grammar_is_counted_by_its_reason),
        cmocka_unit_test(test_an_event_before_its_runs_start_is_counted),
        cmocka_unit_test(test_a_request_that_finds_the_queue_full_is_counted_by_whose_it_was),
        cmocka_unit_test(test_a_damaged_ring_is_counted_once_however_often_it_is_looked_at),
    };
    return cmocka_run_group_tests_name("broker-counters", tests, counters_up, linked_fixture_down);
}
