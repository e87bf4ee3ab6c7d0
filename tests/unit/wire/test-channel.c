/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "wire/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_SECONDS 20.0

struct end {
    struct channel *channel;
    uint64_t received; /* messages */
    uint64_t last;     /* the number in the last one */
    size_t bytes;
    int arrivals;
    int departures;
};

static struct ev_loop *loop;
static char folder[64];
static char url[96];
static struct end server;
static struct end client;

static void on_message(void *context, const struct wire_message *message)
{
    struct end *end = context;
    assert_int_equal(message->kind, WIRE_PAGE);
    assert_int_equal(message->page.request, end->last + 1);
    assert_int_equal(message->page.events.len, message->page.head);
    end->last = message->page.request;
    end->bytes += message->page.events.len;
    end->received++;
}

static void on_peer(void *context, bool connected)
{
    struct end *end = context;
    if (connected) {
        end->arrivals++;
        end->last = 0;
    } else {
        end->departures++;
    }
}

static const struct channel_events events = {.on_message = on_message, .on_peer = on_peer};

static void on_overdue(struct ev_loop *overdue_loop, ev_timer *watcher, int event)
{
    (void)event;
    *(bool *)watcher->data = true;
    ev_break(overdue_loop, EVBREAK_ONE);
}

/* Runs the loop until the condition holds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        bool overdue = false;                                                                      \
        ev_timer timer;                                                                            \
        ev_timer_init(&timer, on_overdue, PATIENCE_SECONDS, 0.);                                   \
        timer.data = &overdue;                                                                     \
        ev_timer_start(loop, &timer);                                                              \
        while (!(condition) && !overdue)                                                           \
            ev_run(loop, EVRUN_ONCE);                                                              \
        ev_timer_stop(loop, &timer);                                                               \
        if (overdue)                                                                               \
            fail_msg("not in time: %s", #condition);                                               \
    } while (0)

static int send_number(struct end *from, uint64_t number, size_t size)
{
    static char filler[2 << 20];
    struct wire_message message = {.kind = WIRE_PAGE,
        .page = {.request = number, .head = size, .events = span_of(filler, size)}};
    return channel_send(from->channel, &message);
}

static int open_both(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ringside-channel-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(url, sizeof(url), "ipc://%s/link.ipc", folder);
    loop = ev_loop_new(0);
    server = (struct end){0};
    client = (struct end){0};
    if (channel_new(&server.channel, loop, &events, &server) ||
        channel_new(&client.channel, loop, &events, &client) ||
        channel_listen(server.channel, url) || channel_dial(client.channel, url))
        return -1;
    RUN_UNTIL(server.arrivals == 1 && client.arrivals == 1);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    channel_free(client.channel);
    channel_free(server.channel);
    ev_loop_destroy(loop);
    unlink(url + strlen("ipc://"));
    return rmdir(folder);
}

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

static void test_channel_knows_its_peers_process(void **state)
{
    (void)state;
    assert_int_equal(channel_peer_pid(server.channel), getpid());
    assert_true(channel_connected(server.channel));
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
        assert_int_equal(send_number(&client, 1, 100), 0);
        RUN_UNTIL(server.received == (uint64_t)round);
        channel_reset(client.channel);
        RUN_UNTIL(!channel_connected(server.channel));
        assert_int_equal(channel_dial(client.channel, url), 0);
        RUN_UNTIL(channel_connected(server.channel) && channel_connected(client.channel));
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
    assert_true(channel_queued(client.channel) <= CHANNEL_QUEUE_MAX);
    assert_true(sent * size >= CHANNEL_QUEUE_MAX - size);
    RUN_UNTIL(server.received == sent);
    assert_int_equal(server.bytes, sent * size);
    assert_int_equal(channel_queued(client.channel), 0);
}

static void test_channel_refuses_a_message_over_the_limit(void **state)
{
    (void)state;
    static char filler[WIRE_MESSAGE_MAX];
    struct wire_message message = {.kind = WIRE_PAGE,
        .page = {.request = 1, .head = sizeof(filler), .events = span_of(filler, sizeof(filler))}};
    assert_int_equal(channel_send(client.channel, &message), -EMSGSIZE);
    assert_int_equal(send_number(&client, 1, 5), 0);
    RUN_UNTIL(server.received == 1);
}

static void test_channel_address_in_use_is_said(void **state)
{
    (void)state;
    struct channel *second;
    assert_int_equal(channel_new(&second, loop, &events, &client), 0);
    assert_int_equal(channel_listen(second, url), -EADDRINUSE);
    channel_free(second);
    assert_int_equal(send_number(&client, 1, 5), 0);
    RUN_UNTIL(server.received == 1);
}

/* Greets as the library's pair does, leaves its connection to a child, and ends. */
static _Noreturn void die_with_an_open_connection(int keep_fd)
{
    static const char greeting[8] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};
    char answer[sizeof(greeting)];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path, url + strlen("ipc://"));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        write(fd, greeting, sizeof(greeting)) < 0 ||
        recv(fd, answer, sizeof(answer), MSG_WAITALL) < 0)
        _exit(1);
    if (fork() == 0)
        (void)!read(keep_fd, answer, 1); /* until the test is over */
    _exit(0);
}

static void test_channel_sees_that_its_peer_is_dead_though_its_connection_is_not(void **state)
{
    (void)state;
    int keep[2];
    int status;
    assert_int_equal(pipe(keep), 0);
    channel_reset(client.channel);
    RUN_UNTIL(!channel_connected(server.channel));
    pid_t pid = fork();
    if (pid == 0) {
        close(keep[1]);
        die_with_an_open_connection(keep[0]);
    }
    RUN_UNTIL(channel_peer_pid(server.channel) == (uint64_t)pid);
    RUN_UNTIL(!channel_connected(server.channel));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(keep[1]);
    close(keep[0]);
    assert_int_equal(channel_dial(client.channel, url), 0);
    RUN_UNTIL(channel_connected(server.channel) && channel_connected(client.channel));
    assert_int_equal(send_number(&client, 1, 5), 0);
    RUN_UNTIL(server.received == 1);
}

#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANNEL_TEST(test_channel_carries_messages_whole_and_in_order_both_ways),
        CHANNEL_TEST(test_channel_knows_its_peers_process),
        CHANNEL_TEST(test_channel_hears_a_peers_last_words_before_it_is_gone),
        CHANNEL_TEST(test_channel_serves_one_peer_after_the_other),
        CHANNEL_TEST(test_channel_bounds_what_waits_for_a_slow_peer_and_loses_nothing),
        CHANNEL_TEST(test_channel_refuses_a_message_over_the_limit),
        CHANNEL_TEST(test_channel_address_in_use_is_said),
        CHANNEL_TEST(test_channel_sees_that_its_peer_is_dead_though_its_connection_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
