/* SPDX-License-Identifier: Apache-2.0 */
/* Event streams over real sockets, with a played owner. */
#include "http_stream.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What waits is one part, and part of it can be taken as a session's outbox gives it. */
struct owner {
    char *waiting;
    size_t len;
    size_t sent;
    bool cut;      /* on_sent was told of a place within a frame */
    bool was_full; /* the socket took not all of it, once */
    int closed;
};

struct scene {
    struct ev_loop *loop;
    struct http_streams *streams;
    struct carrier *carrier;
    struct owner owner;
    int peer;
    struct buffer seen;
};

static size_t on_gather(void *context, struct iovec *ret_parts, size_t max)
{
    struct owner *owner = context;
    assert_true(max > 0);
    if (owner->sent == owner->len)
        return 0;
    ret_parts[0] = (struct iovec){owner->waiting + owner->sent, owner->len - owner->sent};
    return 1;
}

static void on_sent(void *context, size_t bytes, bool full)
{
    struct owner *owner = context;
    owner->sent += bytes;
    owner->was_full |= full;
    owner->cut |= owner->sent >= 2 && memcmp(owner->waiting + owner->sent - 2, "\n\n", 2) != 0;
}

static void on_closed(void *context)
{
    struct owner *owner = context;
    owner->closed++;
}

static int scene_up(void **state)
{
    static const struct http_stream_events events = {on_gather, on_sent, on_closed};
    struct scene *scene = calloc(1, sizeof(*scene));
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
        return -1;
    scene->loop = ev_loop_new(EVFLAG_AUTO);
    scene->peer = ends[1];
    *state = scene;
    return http_streams_new(&scene->streams, scene->loop, &events) ||
           http_streams_adopt(&scene->carrier, scene->streams, ends[0], &scene->owner);
}

static int scene_down(void **state)
{
    struct scene *scene = *state;
    http_streams_free(scene->streams);
    assert_int_equal(scene->owner.closed, 1);
    ev_loop_destroy(scene->loop);
    close(scene->peer);
    buffer_deinit(&scene->seen);
    free(scene->owner.waiting);
    free(scene);
    return 0;
}

static void turn(struct scene *scene)
{
    ev_run(scene->loop, EVRUN_NOWAIT);
}

/* What the peer reads until nothing more comes; false when the answer has ended. */
static bool read_all(struct scene *scene)
{
    ssize_t got;
    do {
        turn(scene);
        char *room = buffer_reserve(&scene->seen, 4096);
        got = read(scene->peer, room, 4096);
        scene->seen.len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    return got < 0;
}

static bool saw(struct scene *scene, const char *text)
{
    return memmem(scene->seen.data, scene->seen.len, text, strlen(text)) != NULL;
}

static bool saw_last(struct scene *scene, const char *text)
{
    size_t len = strlen(text);
    return scene->seen.len >= len &&
           memcmp(scene->seen.data + scene->seen.len - len, text, len) == 0;
}

/* `count` frames that say which they are, of a size that no socket takes at once. */
static void offer(struct scene *scene, unsigned count)
{
    struct buffer text = BUFFER_INIT;
    for (unsigned i = 0; i < count; i++)
        buffer_printf(&text, "data: %u %0500u\n\n", i, i);
    scene->owner.waiting = text.data;
    scene->owner.len = text.len;
    carrier_wake(scene->carrier);
}

static void test_stream_answers_at_once_and_goes_on(void **state)
{
    struct scene *scene = *state;
    assert_true(read_all(scene));
    assert_true(saw(scene, "HTTP/1.1 200 OK\r\n"));
    assert_true(saw(scene, "Content-Type: text/event-stream\r\n"));
    assert_true(saw_last(scene, "\r\n\r\n"));
    offer(scene, 1);
    assert_true(read_all(scene));
    assert_true(saw(scene, "\r\n\r\ndata: 0 0"));
}

static void test_what_a_full_socket_cuts_is_taken_as_whole_frames(void **state)
{
    struct scene *scene = *state;
    char last[32];
    offer(scene, 4000);
    turn(scene);
    assert_true(scene->owner.was_full);
    assert_true(scene->owner.sent < scene->owner.len);
    assert_true(read_all(scene));
    assert_false(scene->owner.cut);
    assert_int_equal(scene->owner.sent, scene->owner.len);
    const char *body = memmem(scene->seen.data, scene->seen.len, "\r\n\r\n", 4);
    assert_non_null(body);
    size_t head = (size_t)(body + 4 - scene->seen.data);
    assert_int_equal(scene->seen.len - head, scene->owner.len);
    assert_memory_equal(scene->seen.data + head, scene->owner.waiting, scene->owner.len);
    snprintf(last, sizeof(last), "data: %u ", 3999u);
    assert_true(saw(scene, last));
}

static void test_flush_writes_at_once_until_the_socket_is_full(void **state)
{
    struct scene *scene = *state;
    offer(scene, 10);
    assert_true(carrier_flush(scene->carrier));
    assert_int_equal(scene->owner.sent, scene->owner.len);
    free(scene->owner.waiting);
    scene->owner = (struct owner){0};
    offer(scene, 4000);
    assert_false(carrier_flush(scene->carrier));
    assert_false(carrier_flush(scene->carrier));
    assert_int_equal(scene->owner.closed, 0);
}

static void test_close_sends_what_waits_then_why_and_ends(void **state)
{
    struct scene *scene = *state;
    offer(scene, 4000);
    carrier_close(scene->carrier, 4001, "draining");
    carrier_close(scene->carrier, 4401, "again");
    assert_false(read_all(scene));
    assert_int_equal(scene->owner.sent, scene->owner.len);
    assert_true(saw_last(scene, "event: close\ndata: {\"type\":\"close\",\"code\":4001,"
                                "\"reason\":\"draining\"}\n\n"));
    assert_int_equal(scene->owner.closed, 0); /* until the peer closes, too */
    shutdown(scene->peer, SHUT_WR);
    turn(scene);
    assert_int_equal(scene->owner.closed, 1);
}

static void test_peer_that_goes_takes_its_stream_with_it(void **state)
{
    struct scene *scene = *state;
    turn(scene);
    shutdown(scene->peer, SHUT_RDWR);
    turn(scene);
    turn(scene);
    assert_int_equal(scene->owner.closed, 1);
}

static void test_peer_that_goes_while_it_is_written_to_is_told_later(void **state)
{
    struct scene *scene = *state;
    turn(scene);
    shutdown(scene->peer, SHUT_RDWR);
    offer(scene, 10);
    assert_false(carrier_flush(scene->carrier));
    assert_int_equal(scene->owner.closed, 0); /* not under the one who writes */
    turn(scene);
    assert_int_equal(scene->owner.closed, 1);
}

static void test_peer_that_talks_and_talks_is_cut_off(void **state)
{
    struct scene *scene = *state;
    char noise[4096] = {0};
    for (int i = 0; i < 100 && !scene->owner.closed; i++) {
        assert_true(send(scene->peer, noise, sizeof(noise), MSG_NOSIGNAL) > 0);
        turn(scene);
    }
    assert_int_equal(scene->owner.closed, 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_stream_answers_at_once_and_goes_on),
        CASE(test_what_a_full_socket_cuts_is_taken_as_whole_frames),
        CASE(test_flush_writes_at_once_until_the_socket_is_full),
        CASE(test_close_sends_what_waits_then_why_and_ends),
        CASE(test_peer_that_goes_takes_its_stream_with_it),
        CASE(test_peer_that_goes_while_it_is_written_to_is_told_later),
        CASE(test_peer_that_talks_and_talks_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
