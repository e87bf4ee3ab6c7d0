/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for the commit, and what a failed one answers. */
#include "peer-test.h"

static struct wire_reply reply_to(uint64_t request)
{
    return (struct wire_reply){.request = request, .result = SPAN_LITERAL("{\"a\":1}")};
}

static struct wire_message assign_of(const char *run_id)
{
    return (struct wire_message){.kind = WIRE_ASSIGN, .assign = {.run_id = span_of_string(run_id)}};
}

static void test_messages_leave_in_order_and_only_when_released(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    struct link *link = peer_link(&peer);
    const struct wire_reply first = reply_to(1);
    const struct wire_message second = assign_of("r-1");
    const struct wire_reply third = reply_to(3);
    effects_add_reply(&f->effects, link, &first);
    effects_add(&f->effects, link, &second);
    effects_add_reply(&f->effects, link, &third);
    peer_expect_nothing(&peer);
    effects_release(&f->effects);
    struct wire_reply reply = peer_expect(&peer, WIRE_REPLY).reply;
    assert_int_equal(reply.request, 1);
    assert_true(span_is(reply.result, "{\"a\":1}"));
    assert_true(span_is(peer_expect(&peer, WIRE_ASSIGN).assign.run_id, "r-1"));
    assert_int_equal(peer_expect(&peer, WIRE_REPLY).reply.request, 3);
    effects_release(&f->effects);
    peer_expect_nothing(&peer);
    peer_leave(&peer);
}

static void test_failed_commit_answers_requests_and_keeps_the_rest(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    struct link *link = peer_link(&peer);
    const struct wire_message one = assign_of("r-1");
    const struct wire_reply asked = reply_to(7);
    const struct wire_message two = assign_of("r-2");
    effects_add(&f->effects, link, &one);
    effects_add_reply(&f->effects, link, &asked);
    effects_add(&f->effects, link, &two);
    effects_refuse(&f->effects, "the disk is full");
    struct wire_reply reply = peer_expect(&peer, WIRE_REPLY).reply;
    assert_int_equal(reply.request, 7);
    assert_true(span_is(reply.code, "unavailable"));
    assert_true(span_is(reply.message, "the disk is full"));
    assert_int_equal(reply.retryable, 1);
    effects_refuse(&f->effects, "the disk is full"); /* tried again: nobody is answered twice */
    peer_expect_nothing(&peer);
    effects_release(&f->effects);
    assert_true(span_is(peer_expect(&peer, WIRE_ASSIGN).assign.run_id, "r-1"));
    assert_true(span_is(peer_expect(&peer, WIRE_ASSIGN).assign.run_id, "r-2"));
    peer_expect_nothing(&peer);
    peer_leave(&peer);
}

static void test_message_for_a_peer_that_left_reaches_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    struct peer next;
    peer_connect_gateway(&peer, f);
    struct link *link = peer_link(&peer);
    const struct wire_reply reply = reply_to(1);
    const struct wire_message message = assign_of("r-1");
    effects_add_reply(&f->effects, link, &reply);
    effects_add(&f->effects, link, &message);
    peer_leave(&peer);
    peer_connect_gateway(&next, f);
    assert_ptr_equal(peer_link(&next), link); /* the same slot */
    effects_refuse(&f->effects, "no");
    effects_release(&f->effects);
    peer_expect_nothing(&next);
    peer_leave(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_leave_in_order_and_only_when_released),
        cmocka_unit_test(test_failed_commit_answers_requests_and_keeps_the_rest),
        cmocka_unit_test(test_message_for_a_peer_that_left_reaches_nobody_else),
    };
    return cmocka_run_group_tests_name(
        "broker-effects", tests, linked_fixture_up, linked_fixture_down);
}
