/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every link, within the machine and beyond it. */
#include "channel-test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void test_channel_carries_messages_whole_and_in_order_both_ways(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 3000; number++) {
        assert_int_equal(send_number(&client, number, number % 977), 0);
        assert_int_equal(send_number(&server, number, number % 13), 0);
    }
    RUN_UNTIL(server.received == 3000 && client.received == 3000);
    assert_int_equal(channel_queued(client.channel), 0);
}

static void test_channel_hears_a_peers_last_words_before_it_is_gone(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 50; number++)
        assert_int_equal(send_number(&client, number, 10), 0);
    RUN_UNTIL(server.received == 50);
    channel_reset(client.channel);
    assert_int_equal(send_number(&client, 51, 10), -ENOTCONN);
    RUN_UNTIL(server.departures == 1);
    assert_int_equal(server.received, 50);
    assert_int_equal(send_number(&server, 1, 10), -ENOTCONN);
}

/* A dialer that was dropped may still connect once, so arrivals are not counted here. */
static void test_channel_serves_one_peer_after_the_other(void **state)
{
    (void)state;
    for (int round = 1; round <= 5; round++) {
        assert_works();
        channel_reset(client.channel);
        assert_false(channel_connected(client.channel));
        RUN_UNTIL(!channel_connected(server.channel));
        connect_again();
    }
}

static void test_channel_bounds_what_waits_for_a_slow_peer_and_loses_nothing(void **state)
{
    (void)state;
    const size_t size = 1 << 20;
    uint64_t sent = 0;
    int rc;
    while ((rc = send_number(&client, sent + 1, size)) == 0)
        sent++;
    assert_int_equal(rc, -ENOBUFS);
    assert_in_range(
        channel_queued(client.channel), CHANNEL_QUEUE_MAX - 2 * size, CHANNEL_QUEUE_MAX);
    assert_true(sent * size >= CHANNEL_QUEUE_MAX - size);
    RUN_UNTIL(server.received == sent);
    assert_int_equal(server.bytes, sent * size);
    assert_int_equal(channel_queued(client.channel), 0);
}

/* To be asked once a pass of the loop: whether all have been heard; notes the most of one pass. */
static bool heard(uint64_t all, uint64_t *most)
{
    static uint64_t before;
    uint64_t now = server.received;
    if (now > before && now - before > *most)
        *most = now - before;
    before = now;
    return now == all;
}

static void test_channel_lets_the_rest_of_the_loop_have_its_turn(void **state)
{
    (void)state;
    uint64_t most = 0;
    server.takes_ns = 2000000;
    assert_false(heard(20, &most));
    for (uint64_t number = 1; number <= 20; number++)
        assert_int_equal(send_number(&client, number, 40000), 0);
    RUN_UNTIL(heard(20, &most));
    assert_in_range(most, 1, 4); /* what one read brings */
}

static void test_channel_refuses_a_message_over_the_limit(void **state)
{
    (void)state;
    static char filler[WIRE_MESSAGE_MAX];
    struct wire_message message = {.kind = WIRE_PAGE,
        .page = {.request = 1, .head = sizeof(filler), .events = span_of(filler, sizeof(filler))}};
    assert_int_equal(channel_send(client.channel, &message), -EMSGSIZE);
    assert_works();
}

static void test_channel_carries_the_largest_message(void **state)
{
    (void)state;
    static char filler[WIRE_MESSAGE_MAX - 64];
    struct wire_message message = {.kind = WIRE_PAGE,
        .page = {.request = 1, .head = sizeof(filler), .events = span_of(filler, sizeof(filler))}};
    assert_int_equal(channel_send(client.channel, &message), 0);
    RUN_UNTIL(server.received == 1);
    assert_works();
}

static void test_channel_sends_what_waits_for_the_end_of_the_turn_when_told_to(void **state)
{
    (void)state;
    assert_int_equal(send_number(&client, 1, 5), 0);
    assert_true(channel_queued(client.channel) > 0);
    channel_flush(client.channel);
    assert_int_equal(channel_queued(client.channel), 0);
    RUN_UNTIL(server.received == 1);
    channel_flush(client.channel); /* nothing */
    channel_reset(client.channel);
    channel_flush(client.channel); /* to nobody */
}

static void test_channel_address_in_use_is_said(void **state)
{
    (void)state;
    struct channel *second;
    assert_int_equal(channel_new(&second, loop, &events, &client), 0);
    assert_int_equal(channel_listen(second, url), -EADDRINUSE);
    channel_free(second);
    assert_works();
}

static void test_channel_dials_until_somebody_listens(void **state)
{
    (void)state;
    channel_reset(client.channel);
    channel_reset(server.channel);
    assert_int_equal(channel_dial(client.channel, url), 0);
    ev_run(loop, EVRUN_NOWAIT);
    assert_false(channel_connected(client.channel));
    assert_int_equal(channel_listen(server.channel, url), 0);
    RUN_UNTIL(channel_connected(server.channel) && channel_connected(client.channel));
    assert_works();
}

static void test_channel_dials_again_when_its_peer_was_lost(void **state)
{
    (void)state;
    channel_reset(server.channel);
    RUN_UNTIL(client.departures == 1);
    assert_int_equal(channel_listen(server.channel, url), 0);
    RUN_UNTIL(channel_connected(server.channel) && channel_connected(client.channel));
    assert_works();
}

static void test_channel_refuses_an_address_that_is_none(void **state)
{
    (void)state;
    assert_int_equal(channel_dial(client.channel, "http://127.0.0.1"), -EINVAL);
    assert_int_equal(channel_listen(client.channel, "link.ipc"), -EINVAL);
    RUN_UNTIL(!channel_connected(server.channel));
    connect_again();
    assert_works();
}

/* A slot of the broker's serves whoever comes next, from here or from elsewhere. */
static void test_channel_changes_between_the_machine_and_beyond(void **state)
{
    char elsewhere[sizeof(url)];
    channel_reset(client.channel);
    RUN_UNTIL(!channel_connected(server.channel));
    channel_reset(server.channel);
    strcpy(elsewhere, url);
    snprintf(url, sizeof(url), "ipc:///tmp/ringside-channel-%d.ipc", (int)getpid());
    for (int round = 0; round < 2; round++) {
        assert_int_equal(channel_listen(server.channel, url), 0);
        connect_again();
        assert_works();
        channel_reset(client.channel);
        RUN_UNTIL(!channel_connected(server.channel));
        strcpy(url, elsewhere);
    }
    (void)state;
}

#define BOTH(name)                                                                                 \
    {#name " within the machine", name, open_local, close_both, NULL},                             \
    {                                                                                              \
#name " beyond the machine", name, open_remote, close_both, NULL                           \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_channel_carries_messages_whole_and_in_order_both_ways),
        BOTH(test_channel_hears_a_peers_last_words_before_it_is_gone),
        BOTH(test_channel_serves_one_peer_after_the_other),
        BOTH(test_channel_bounds_what_waits_for_a_slow_peer_and_loses_nothing),
        BOTH(test_channel_lets_the_rest_of_the_loop_have_its_turn),
        BOTH(test_channel_refuses_a_message_over_the_limit),
        BOTH(test_channel_carries_the_largest_message),
        BOTH(test_channel_sends_what_waits_for_the_end_of_the_turn_when_told_to),
        BOTH(test_channel_address_in_use_is_said),
        BOTH(test_channel_dials_until_somebody_listens),
        BOTH(test_channel_dials_again_when_its_peer_was_lost),
        BOTH(test_channel_refuses_an_address_that_is_none),
        cmocka_unit_test_setup_teardown(
            test_channel_changes_between_the_machine_and_beyond, open_remote, close_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
