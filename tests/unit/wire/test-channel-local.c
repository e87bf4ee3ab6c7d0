/* SPDX-License-Identifier: Apache-2.0 */
/* A link within the machine: its socket, and peers that die, stop or talk nonsense. */
#include "channel-test.h"
#include "wire/link_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a stranger at the listener, who says what it likes */

static int stranger_connects(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, link_path());
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static int stranger_greets(void)
{
    int fd = stranger_connects();
    say(fd, LINK_STREAM_GREETING, LINK_STREAM_GREETING_LEN);
    RUN_UNTIL(channel_connected(server.channel));
    return fd;
}

/* What a bundle has for message `number` without content. */
static size_t message_bytes(char out[64], uint64_t number)
{
    struct buffer bytes = BUFFER_INIT;
    struct wire_message message = {.kind = WIRE_PAGE, .page = {.request = number}};
    wire_encode(&bytes, &message);
    size_t len = bytes.len;
    assert_in_range(len, 1, 60);
    memcpy(out, (char[4]){(char)len}, 4);
    memcpy(out + 4, bytes.data, len);
    buffer_deinit(&bytes);
    return len + 4;
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t got;
    while ((got = recv(fd, &byte, 1, MSG_DONTWAIT)) > 0)
        continue;
    return got == 0 || (errno != EAGAIN && errno != EINTR);
}

static void assert_serves_the_next(void)
{
    assert_false(channel_connected(server.channel));
    connect_again();
    assert_works();
}

static void test_link_reads_what_comes_in_single_bytes(void **state)
{
    (void)state;
    char message[64];
    int fd = stranger_connects();
    for (int i = 0; i < LINK_STREAM_GREETING_LEN; i++) {
        assert_false(channel_connected(server.channel));
        say(fd, &LINK_STREAM_GREETING[i], 1);
        ev_run(loop, EVRUN_NOWAIT);
    }
    RUN_UNTIL(channel_connected(server.channel));
    for (uint64_t number = 1; number <= 3; number++) {
        size_t len = message_bytes(message, number);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(server.received, number - 1);
            say(fd, message + i, 1);
            ev_run(loop, EVRUN_NOWAIT);
        }
        RUN_UNTIL(server.received == number);
    }
    close(fd);
    RUN_UNTIL(server.departures == 1);
    assert_serves_the_next();
}

static void assert_dropped_for(const void *bytes, size_t len)
{
    int departures = server.departures;
    int fd = stranger_greets();
    say(fd, bytes, len);
    RUN_UNTIL(server.departures == departures + 1);
    assert_int_equal(server.received, 0);
    assert_true(is_closed(fd));
    close(fd);
}

static void test_link_drops_a_peer_with_an_over_long_or_a_senseless_message(void **state)
{
    (void)state;
    assert_dropped_for("\x01\x00\x80\x00", 4); /* one byte more than there may be */
    assert_dropped_for("\xff\xff\xff\xff", 4);
    assert_dropped_for("\0\0\0\0", 4); /* no message is empty */
    assert_dropped_for("\3\0\0\0abc", 7);
    assert_serves_the_next();
}

static void test_link_hears_what_stood_before_the_nonsense(void **state)
{
    (void)state;
    char bytes[128];
    size_t len = message_bytes(bytes, 1);
    memcpy(bytes + len, "\xff\xff\xff\xff", 4);
    int fd = stranger_greets();
    say(fd, bytes, len + 4);
    RUN_UNTIL(server.departures == 1);
    assert_int_equal(server.received, 1);
    close(fd);
}

static void test_link_turns_away_who_does_not_greet_as_it_should(void **state)
{
    (void)state;
    int fd = stranger_connects();
    say(fd, "\0SP\0\0\x10\0\0", 8);
    RUN_UNTIL(is_closed(fd));
    close(fd);
    assert_int_equal(server.arrivals + server.departures, 0);
    assert_serves_the_next();
}

static void test_link_is_not_kept_from_a_peer_by_who_says_nothing(void **state)
{
    (void)state;
    int silent = stranger_connects();
    RUN_UNTIL(recv(silent, (char[1]){0}, 1, MSG_DONTWAIT) == 1); /* it was greeted */
    connect_again();
    assert_works();
    RUN_UNTIL(is_closed(silent));
    assert_int_equal(server.arrivals, 1);
    close(silent);
}

static void test_link_turns_others_away_while_it_has_a_peer(void **state)
{
    (void)state;
    connect_again();
    int fd = stranger_connects();
    say(fd, LINK_STREAM_GREETING, LINK_STREAM_GREETING_LEN);
    RUN_UNTIL(is_closed(fd));
    close(fd);
    assert_works();
    assert_int_equal(server.arrivals, 1);
    assert_int_equal(server.departures, 0);
}

/* ---- ends */

static void test_link_forgets_the_message_of_a_peer_that_died_within_it(void **state)
{
    (void)state;
    char bytes[64];
    size_t len = message_bytes(bytes, 1);
    int fd = stranger_greets();
    say(fd, bytes, len);
    say(fd, bytes, len - 1);
    close(fd);
    RUN_UNTIL(server.departures == 1);
    assert_int_equal(server.received, 1);
    assert_serves_the_next();
}

static void test_link_hears_all_of_a_peer_that_ended_before_it_was_read(void **state)
{
    (void)state;
    connect_again();
    for (uint64_t number = 1; number <= 50; number++)
        assert_int_equal(send_number(&client, number, 1000), 0);
    assert_int_equal(send_number(&server, 1, 1000), 0); /* which the other never reads */
    channel_reset(client.channel);
    RUN_UNTIL(server.departures == 1);
    assert_int_equal(server.received, 50);
}

static void test_link_takes_a_newcomer_whose_predecessor_has_just_ended(void **state)
{
    (void)state;
    char bytes[64];
    size_t len = message_bytes(bytes, 1);
    for (int round = 1; round <= 20; round++) {
        int fd = stranger_greets();
        say(fd, bytes, len);
        close(fd);
        connect_again();
        RUN_UNTIL(server.arrivals == 2 * round);
        assert_int_equal(server.received, round);
        channel_reset(client.channel);
        RUN_UNTIL(server.departures == 2 * round);
    }
}

/* Greets, leaves its connection to a child, says something, and ends. */
static _Noreturn void die_with_an_open_connection(int keep_fd)
{
    char bytes[64];
    size_t len = message_bytes(bytes, 1);
    int fd = stranger_connects();
    if (fork() == 0) {
        (void)!read(keep_fd, bytes, 1); /* until the test is over */
        _exit(0);
    }
    say(fd, LINK_STREAM_GREETING, LINK_STREAM_GREETING_LEN);
    say(fd, bytes, len);
    _exit(0);
}

static void test_link_sees_that_its_peer_is_dead_though_its_connection_is_not(void **state)
{
    (void)state;
    int keep[2];
    int status;
    assert_int_equal(pipe(keep), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(keep[1]);
        die_with_an_open_connection(keep[0]);
    }
    RUN_UNTIL(server.departures == 1);
    assert_int_equal(server.arrivals, 1);
    assert_int_equal(server.received, 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_serves_the_next();
    close(keep[1]);
    close(keep[0]);
}

static void test_link_knows_its_peers_process(void **state)
{
    (void)state;
    connect_again();
    assert_int_equal(channel_peer_pid(server.channel), getpid());
    assert_int_equal(channel_peer_pid(client.channel), getpid());
}

static void test_link_to_a_stuck_peer_is_bounded_and_the_next_one_starts_afresh(void **state)
{
    (void)state;
    const size_t size = 1 << 20;
    uint64_t sent = 0;
    int rc;
    int fd = stranger_greets();
    while ((rc = send_number(&server, sent + 1, size)) == 0)
        sent++;
    assert_int_equal(rc, -ENOBUFS);
    assert_true(sent >= CHANNEL_QUEUE_MAX / size - 1);
    close(fd);
    RUN_UNTIL(server.departures == 1);
    assert_int_equal(channel_queued(server.channel), 0);
    assert_serves_the_next();
}

/* ---- the socket's file */

static void leave_a_socket_behind(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, link_path());
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

static void test_link_takes_the_place_of_a_socket_that_nobody_listens_at(void **state)
{
    (void)state;
    channel_reset(server.channel);
    assert_int_equal(access(link_path(), F_OK), -1);
    leave_a_socket_behind();
    assert_int_equal(channel_listen(server.channel, url), 0);
    assert_serves_the_next();
}

static void test_link_leaves_a_file_alone_that_is_no_socket(void **state)
{
    (void)state;
    channel_reset(server.channel);
    close(open(link_path(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(channel_listen(server.channel, url), -EADDRINUSE);
    assert_int_equal(unlink(link_path()), 0);
    assert_int_equal(channel_listen(server.channel, url), 0);
    assert_serves_the_next();
}

static void test_link_is_for_this_user_alone(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(stat(link_path(), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_link_refuses_a_path_that_no_socket_can_have(void **state)
{
    (void)state;
    char long_url[200] = "ipc:///";
    memset(long_url + strlen(long_url), 'x', 120);
    assert_int_equal(channel_listen(client.channel, long_url), -ENAMETOOLONG);
    assert_int_equal(channel_dial(client.channel, long_url), -ENAMETOOLONG);
    assert_int_equal(channel_listen(client.channel, "ipc:///nowhere/at/all"), -ENOENT);
}

static void test_link_accepts_later_when_there_are_too_many_files(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(channel_dial(client.channel, url), 0);
    int next = dup(0);
    close(next);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    unsigned turns = ev_iteration(loop);
    while (ev_iteration(loop) < turns + 3)
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(server.arrivals, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    RUN_UNTIL(channel_connected(server.channel) && channel_connected(client.channel));
    assert_works();
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, open_listener, close_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_link_reads_what_comes_in_single_bytes),
        LINK_TEST(test_link_drops_a_peer_with_an_over_long_or_a_senseless_message),
        LINK_TEST(test_link_hears_what_stood_before_the_nonsense),
        LINK_TEST(test_link_turns_away_who_does_not_greet_as_it_should),
        LINK_TEST(test_link_is_not_kept_from_a_peer_by_who_says_nothing),
        LINK_TEST(test_link_turns_others_away_while_it_has_a_peer),
        LINK_TEST(test_link_forgets_the_message_of_a_peer_that_died_within_it),
        LINK_TEST(test_link_hears_all_of_a_peer_that_ended_before_it_was_read),
        LINK_TEST(test_link_takes_a_newcomer_whose_predecessor_has_just_ended),
        LINK_TEST(test_link_sees_that_its_peer_is_dead_though_its_connection_is_not),
        LINK_TEST(test_link_knows_its_peers_process),
        LINK_TEST(test_link_to_a_stuck_peer_is_bounded_and_the_next_one_starts_afresh),
        LINK_TEST(test_link_takes_the_place_of_a_socket_that_nobody_listens_at),
        LINK_TEST(test_link_leaves_a_file_alone_that_is_no_socket),
        LINK_TEST(test_link_is_for_this_user_alone),
        LINK_TEST(test_link_refuses_a_path_that_no_socket_can_have),
        LINK_TEST(test_link_accepts_later_when_there_are_too_many_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
