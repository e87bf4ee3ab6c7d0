/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "ws_writer.h"

#include "frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket that takes little, and what its reader got of it. */
struct wire {
    struct ws_writer writer;
    int fds[2];
    struct buffer got;
};

static void wire_up(struct wire *wire)
{
    const int small = 4096;
    *wire = (struct wire){.got = BUFFER_INIT};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, wire->fds), 0);
    assert_int_equal(setsockopt(wire->fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
}

static void wire_down(struct wire *wire)
{
    ws_writer_deinit(&wire->writer);
    buffer_deinit(&wire->got);
    close(wire->fds[0]);
    if (wire->fds[1] >= 0)
        close(wire->fds[1]);
}

static void read_all(struct wire *wire)
{
    char bytes[4096];
    ssize_t len;
    while ((len = recv(wire->fds[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        buffer_append(&wire->got, bytes, (size_t)len);
}

static int put(struct wire *wire, const struct buffer *frames, size_t *ret_gone)
{
    struct iovec part = {.iov_base = frames->data, .iov_len = frames->len};
    return ws_writer_put(&wire->writer, wire->fds[0], &part, 1, ret_gone);
}

static int put_own(struct wire *wire)
{
    return ws_writer_put_own(&wire->writer, wire->fds[0]);
}

static void append_texts(struct buffer *out, size_t count)
{
    char text[200];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < count; i++)
        frame_append_control(out, FRAME_JSON, span_of(text, sizeof(text)));
}

/* Puts frames of which the socket takes a part, which ends within one of them. */
static void fill(struct wire *wire, struct buffer *ret_frames)
{
    size_t gone;
    append_texts(ret_frames, 1000);
    assert_int_equal(put(wire, ret_frames, &gone), 0);
    assert_in_range(gone, 1, ret_frames->len - 1);
    assert_int_equal(gone % 204, 0);
    assert_int_not_equal(wire->writer.cut, 0);
    ret_frames->len = gone;
}

static void pong(struct wire *wire, const char *payload, bool full, bool supersedes)
{
    assert_int_equal(ws_writer_pong(&wire->writer, span_of_string(payload), full), supersedes);
}

static void put_the_rest(struct wire *wire)
{
    read_all(wire);
    while (put_own(wire) == 0)
        read_all(wire);
    read_all(wire);
}

static void test_frame_taken_in_part_is_ended_before_a_pong(void **state)
{
    (void)state;
    struct wire wire;
    struct buffer expected = BUFFER_INIT;
    wire_up(&wire);
    fill(&wire, &expected);
    pong(&wire, "a", true, false);
    put_the_rest(&wire);
    frame_append_pong(&expected, span_of_string("a"));
    assert_int_equal(wire.got.len, expected.len);
    assert_memory_equal(wire.got.data, expected.data, expected.len);
    assert_int_equal(wire.writer.own.len, 0);
    buffer_deinit(&expected);
    wire_down(&wire);
}

static void test_of_pings_to_a_full_socket_the_last_is_answered(void **state)
{
    (void)state;
    struct wire wire;
    struct buffer expected = BUFFER_INIT;
    wire_up(&wire);
    fill(&wire, &expected);
    pong(&wire, "first", true, false);
    pong(&wire, "second", true, true);
    pong(&wire, "third", true, true);
    put_the_rest(&wire);
    frame_append_pong(&expected, span_of_string("third"));
    assert_int_equal(wire.got.len, expected.len);
    assert_memory_equal(wire.got.data, expected.data, expected.len);
    buffer_deinit(&expected);
    wire_down(&wire);
}

static void test_every_ping_is_answered_while_there_is_room(void **state)
{
    (void)state;
    struct wire wire;
    wire_up(&wire);
    ws_writer_begin(&wire.writer, span_of_string("HTTP "));
    pong(&wire, "a", false, false);
    pong(&wire, "b", false, false);
    ws_writer_close(&wire.writer, 1001);
    assert_int_equal(put_own(&wire), 1);
    read_all(&wire);
    assert_true(span_is(buffer_span(&wire.got), "HTTP \x8a\x01"
                                                "a\x8a\x01"
                                                "b\x88\x02\x03\xe9"));
    wire_down(&wire);
}

static void test_answer_taken_in_part_is_not_given_up_for_another(void **state)
{
    (void)state;
    struct wire wire;
    struct buffer expected = BUFFER_INIT;
    char payload[126] = "";
    wire_up(&wire);
    memset(payload, 'p', 125);
    while (put_own(&wire) == 1) {
        pong(&wire, payload, false, false);
        frame_append_pong(&expected, span_of_string(payload));
        pong(&wire, payload, false, false);
        frame_append_pong(&expected, span_of_string(payload));
    }
    /* Nothing more is taken; of what was begun the rest stays, and of the others none. */
    size_t cut = wire.writer.cut;
    bool others = wire.writer.own.len > cut;
    size_t kept = expected.len - (wire.writer.own.len - cut);
    pong(&wire, "last", true, others);
    expected.len = kept;
    frame_append_pong(&expected, span_of_string("last"));
    put_the_rest(&wire);
    assert_int_equal(wire.got.len, expected.len);
    assert_memory_equal(wire.got.data, expected.data, expected.len);
    buffer_deinit(&expected);
    wire_down(&wire);
}

static void test_broken_socket_is_said(void **state)
{
    (void)state;
    struct wire wire;
    size_t gone;
    struct buffer frames = BUFFER_INIT;
    wire_up(&wire);
    close(wire.fds[1]);
    wire.fds[1] = -1;
    append_texts(&frames, 1);
    assert_int_equal(put(&wire, &frames, &gone), -EPIPE);
    pong(&wire, "a", false, false);
    assert_int_equal(put_own(&wire), -EPIPE);
    buffer_deinit(&frames);
    wire_down(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_taken_in_part_is_ended_before_a_pong),
        cmocka_unit_test(test_of_pings_to_a_full_socket_the_last_is_answered),
        cmocka_unit_test(test_every_ping_is_answered_while_there_is_room),
        cmocka_unit_test(test_answer_taken_in_part_is_not_given_up_for_another),
        cmocka_unit_test(test_broken_socket_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
