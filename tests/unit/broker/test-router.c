/* SPDX-License-Identifier: Apache-2.0 */
/* Who is sent what and when, over real links. Each test has users of its own. */
#include "peer-test.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>

#define PLENTY (64u << 20)

static void emit(struct fixture *f, const char *user, const char *run_id, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(push(f, user, text_event(run_id, "m-1", 0)), VERDICT_LEGAL);
}

/* Texts of `size` bytes each. */
static void emit_large(struct fixture *f, const char *user, const char *run_id, int count, int size)
{
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    buffer_append_string(&data, "{\"delta\":\"");
    for (int i = 0; i < size; i++)
        buffer_append_char(&data, 'x');
    buffer_append_string(&data, "\"}");
    struct event event = text_event(run_id, "m-1", 0);
    event.data = buffer_span(&data);
    for (int i = 0; i < count; i++)
        assert_int_equal(push(f, user, event), VERDICT_LEGAL);
}

static void test_subscriber_in_step_gets_each_turns_events_at_once(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    struct wire_opened opened = peer_open(&gateway, "ann");
    assert_int_equal(opened.head, 0);
    peer_credit(&gateway, PLENTY);
    uint64_t replayed = f->counters.bytes_replayed;
    push(f, "ann", started("r-ann"));
    emit(f, "ann", "r-ann", 2);
    peer_expect_nothing(&gateway); /* not before the commit */
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "ann", 0), 3);
    emit(f, "ann", "r-ann", 1);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "ann", 3), 4);
    assert_int_equal(f->counters.bytes_replayed, replayed); /* all from memory */
    peer_leave(&gateway);
}

static void test_events_go_to_those_who_opened_their_user_and_no_other(void **state)
{
    struct fixture *f = *state;
    struct peer one;
    struct peer two;
    peer_connect_gateway(&one, f);
    peer_connect_gateway(&two, f);
    peer_open(&one, "iso-a");
    peer_open(&two, "iso-a");
    peer_open(&two, "iso-b");
    peer_credit(&one, PLENTY);
    peer_credit(&two, PLENTY);
    push(f, "iso-b", started("r-iso-b"));
    fixture_turn(f);
    peer_expect_nothing(&one);
    assert_int_equal(peer_expect_events(&two, "iso-b", 0), 1);
    push(f, "iso-a", started("r-iso-a"));
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&one, "iso-a", 0), 1);
    assert_int_equal(peer_expect_events(&two, "iso-a", 0), 1);
    peer_leave(&one);
    peer_leave(&two);
}

static void test_nothing_is_sent_without_credit_and_all_of_it_with(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_open(&gateway, "cred");
    push(f, "cred", started("r-cred"));
    for (int i = 0; i < 5; i++) {
        emit(f, "cred", "r-cred", 3);
        fixture_turn(f);
    }
    peer_expect_nothing(&gateway);
    assert_int_equal(fixture_user(f, "cred")->fresh.len, 0); /* a number is all it costs */
    peer_credit(&gateway, PLENTY);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "cred", 0), 16);
    emit(f, "cred", "r-cred", 1);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "cred", 16), 17);
    peer_leave(&gateway);
}

static void test_credit_is_used_up_and_may_be_overdrawn_by_one_message(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_open(&gateway, "used");
    peer_credit(&gateway, 1);
    push(f, "used", started("r-used"));
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "used", 0), 1);
    uint64_t behind = f->counters.subscriptions_behind;
    emit(f, "used", "r-used", 2);
    fixture_turn(f);
    assert_counted(f->counters.subscriptions_behind - behind, 1);
    emit(f, "used", "r-used", 2);
    fixture_turn(f);
    assert_counted(f->counters.subscriptions_behind - behind, 1); /* it is behind already */
    peer_expect_nothing(&gateway);
    struct listener *listener = peer_link(&gateway)->peer;
    assert_true(listener->credit < 0);
    peer_credit(&gateway, (uint64_t)-listener->credit); /* paid back, nothing more */
    fixture_turn(f);
    peer_expect_nothing(&gateway);
    peer_credit(&gateway, PLENTY);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "used", 1), 5);
    peer_leave(&gateway);
}

/* Whatever it has granted: what its socket does not take is bounded, and the rest stays in history.
 */
static void test_listener_that_reads_nothing_costs_a_bounded_queue(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_open(&gateway, "deaf");
    peer_credit(&gateway, 1u << 30);
    push(f, "deaf", started("r-deaf"));
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "deaf", 0), 1);
    const struct link *link = peer_link(&gateway);
    uint64_t head = 1;
    for (int turn = 0; turn < 350; turn++) {
        emit_large(f, "deaf", "r-deaf", 1, 60000); /* and the loop, with the peer in it, rests */
        head++;
        fixture_turn(f);
        assert_in_range(channel_queued(link->channel), 0, ROUTER_QUEUE_MAX + WIRE_PAGE_MAX);
    }
    assert_true(channel_queued(link->channel) >= ROUTER_QUEUE_MAX);
    peer_expect_events_to(&gateway, "deaf", 1, head);
    peer_leave(&gateway);
}

static void test_credit_cannot_be_run_up_without_bound(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    for (int i = 0; i < 3; i++)
        peer_credit(&gateway, UINT64_MAX);
    struct listener *listener = peer_link(&gateway)->peer;
    assert_int_equal(listener->credit, 1 << 30);
    peer_leave(&gateway);
}

static void test_subscriber_behind_catches_up_page_by_page_in_several_turns(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_open(&gateway, "far");
    push(f, "far", started("r-far"));
    fixture_turn(f);
    for (int i = 0; i < 15; i++) {
        emit_large(f, "far", "r-far", 10, 9000);
        fixture_turn(f);
    }
    peer_credit(&gateway, PLENTY);
    assert_true(router_flush(&f->router)); /* 1.3 MB do not go in one turn */
    emit(f, "far", "r-far", 1);            /* and new ones do not overtake */
    fixture_commit(f);
    peer_expect_events_to(&gateway, "far", 0, 152);
    assert_false(router_flush(&f->router));
    emit(f, "far", "r-far", 1);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "far", 152), 153);
    peer_leave(&gateway);
}

static void test_more_than_a_message_can_carry_comes_from_history(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_open(&gateway, "burst");
    peer_credit(&gateway, PLENTY);
    push(f, "burst", started("r-burst"));
    emit_large(f, "burst", "r-burst", 30, 60000);
    assert_true(fixture_user(f, "burst")->fresh.len <= WIRE_PAGE_MAX + 70000);
    fixture_turn(f);
    peer_expect_events_to(&gateway, "burst", 0, 31);
    peer_leave(&gateway);
}

static void test_slow_subscriber_holds_no_other_up(void **state)
{
    struct fixture *f = *state;
    struct peer slow;
    struct peer quick;
    peer_connect_gateway(&slow, f);
    peer_connect_gateway(&quick, f);
    peer_open(&slow, "both");
    peer_open(&quick, "both");
    peer_credit(&quick, PLENTY);
    push(f, "both", started("r-both"));
    fixture_turn(f);
    emit(f, "both", "r-both", 3);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&quick, "both", 0), 1);
    assert_int_equal(peer_expect_events(&quick, "both", 1), 4);
    peer_expect_nothing(&slow);
    peer_credit(&slow, PLENTY);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&slow, "both", 0), 4);
    peer_leave(&slow);
    peer_leave(&quick);
}

static void test_events_of_the_turn_in_which_one_opens_are_not_missed(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_credit(&gateway, PLENTY);
    push(f, "turn", started("r-turn")); /* staged, and nobody listens */
    struct wire_opened opened = peer_open(&gateway, "turn");
    assert_int_equal(opened.head, 0);
    emit(f, "turn", "r-turn", 2);
    fixture_turn(f);
    peer_expect_events_to(&gateway, "turn", 0, 3);
    emit(f, "turn", "r-turn", 1);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "turn", 3), 4);
    peer_leave(&gateway);
}

static void test_last_event_before_one_opens_is_sent_though_none_follows(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_credit(&gateway, PLENTY);
    push(f, "last", started("r-last"));
    assert_int_equal(peer_open(&gateway, "last").head, 0);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "last", 0), 1);
    peer_leave(&gateway);
}

static void test_closed_user_is_sent_no_more_and_can_be_opened_again(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_open(&gateway, "shut");
    peer_credit(&gateway, PLENTY);
    const struct wire_message close_it = {
        .kind = WIRE_CLOSE, .close = {.user = SPAN_LITERAL("shut")}};
    push(f, "shut", started("r-shut"));
    peer_send(&gateway, &close_it);
    peer_expect_nothing(&gateway);
    fixture_turn(f);
    peer_expect_nothing(&gateway);
    peer_send(&gateway, &close_it); /* again: nothing happens */
    assert_int_equal(peer_open(&gateway, "shut").head, 1);
    emit(f, "shut", "r-shut", 1);
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "shut", 1), 2);
    peer_leave(&gateway);
}

static void test_user_opened_twice_is_sent_once(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_open(&gateway, "twice");
    peer_open(&gateway, "twice");
    peer_credit(&gateway, PLENTY);
    push(f, "twice", started("r-twice"));
    fixture_turn(f);
    assert_int_equal(peer_expect_events(&gateway, "twice", 0), 1);
    peer_expect_nothing(&gateway);
    peer_leave(&gateway);
}

static void test_listener_that_goes_takes_its_subscriptions_along(void **state)
{
    struct fixture *f = *state;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    peer_open(&gateway, "gone");
    push(f, "gone", started("r-gone"));
    fixture_user(f, "gone")->lonely_since_ms = 0;
    peer_leave(&gateway);
    assert_true(list_empty(&fixture_user(f, "gone")->subscriptions));
    assert_int_not_equal(fixture_user(f, "gone")->lonely_since_ms, 0);
    fixture_turn(f);
    assert_true(list_empty(&f->router.listeners));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscriber_in_step_gets_each_turns_events_at_once),
        cmocka_unit_test(test_events_go_to_those_who_opened_their_user_and_no_other),
        cmocka_unit_test(test_nothing_is_sent_without_credit_and_all_of_it_with),
        cmocka_unit_test(test_credit_is_used_up_and_may_be_overdrawn_by_one_message),
        cmocka_unit_test(test_listener_that_reads_nothing_costs_a_bounded_queue),
        cmocka_unit_test(test_credit_cannot_be_run_up_without_bound),
        cmocka_unit_test(test_subscriber_behind_catches_up_page_by_page_in_several_turns),
        cmocka_unit_test(test_more_than_a_message_can_carry_comes_from_history),
        cmocka_unit_test(test_slow_subscriber_holds_no_other_up),
        cmocka_unit_test(test_events_of_the_turn_in_which_one_opens_are_not_missed),
        cmocka_unit_test(test_last_event_before_one_opens_is_sent_though_none_follows),
        cmocka_unit_test(test_closed_user_is_sent_no_more_and_can_be_opened_again),
        cmocka_unit_test(test_user_opened_twice_is_sent_once),
        cmocka_unit_test(test_listener_that_goes_takes_its_subscriptions_along),
    };
    return cmocka_run_group_tests_name(
        "broker-router", tests, linked_fixture_up, linked_fixture_down);
}
