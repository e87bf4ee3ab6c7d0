/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "wire/attachment.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_SECONDS 8.0 /* the library itself gives up after 10 */
#define LOOK_SECONDS 0.01

static struct ev_loop *loop;
static char folder[64];
static char url[96];
static int refusals;
static nng_socket server;

static void on_ready(void *context, struct span broker_id)
{
    (void)context;
    (void)broker_id;
}

static void on_message(void *context, const struct wire_message *message)
{
    (void)context;
    (void)message;
}

static void on_lost(void *context)
{
    (void)context;
}

static void on_refused(void *context, struct span code, struct span message)
{
    (void)context;
    (void)code;
    (void)message;
    refusals++;
}

static const struct attachment_events events = {
    .on_ready = on_ready, .on_message = on_message, .on_lost = on_lost, .on_refused = on_refused};

/* Refuses whoever asks. */
static void answer(struct ev_loop *answering, ev_timer *watcher, int event)
{
    (void)answering;
    (void)watcher;
    (void)event;
    const struct wire_message refused = {
        .kind = WIRE_REFUSED, .refused = {.code = SPAN_LITERAL("x"), .message = SPAN_LITERAL("y")}};
    nng_msg *raw;
    if (nng_recvmsg(server, &raw, NNG_FLAG_NONBLOCK) != 0)
        return;
    struct buffer bytes = BUFFER_INIT;
    wire_encode(&bytes, &refused);
    nng_msg_clear(raw);
    assert_int_equal(nng_msg_append(raw, bytes.data, bytes.len), 0);
    assert_int_equal(nng_sendmsg(server, raw, 0), 0);
    buffer_deinit(&bytes);
}

static void on_overdue(struct ev_loop *overdue, ev_timer *watcher, int event)
{
    (void)overdue;
    (void)event;
    *(bool *)watcher->data = true;
}

static int listen_deaf(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* As a broker that was killed while it was being greeted, to the library. */
static void test_an_attachment_whose_greeting_is_never_answered_reaches_the_next_broker(
    void **state)
{
    (void)state;
    struct attachment *attachment;
    bool overdue = false;
    ev_timer look, patience;
    const char *path = url + strlen("ipc://");
    const struct attachment_options options = {
        .control_url = url, .role = "gateway", .name = "g", .agents = ""};
    int deaf = listen_deaf(path);
    assert_int_equal(attachment_new(&attachment, loop, &options, &events, NULL), 0);
    struct pollfd pending = {.fd = deaf, .events = POLLIN};
    assert_int_equal(poll(&pending, 1, (int)(PATIENCE_SECONDS * 1000)), 1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(nng_rep0_open(&server), 0);
    assert_int_equal(nng_listen(server, url, NULL, 0), 0);
    ev_timer_init(&look, answer, LOOK_SECONDS, LOOK_SECONDS);
    ev_timer_init(&patience, on_overdue, PATIENCE_SECONDS, 0.);
    patience.data = &overdue;
    ev_timer_start(loop, &look);
    ev_timer_start(loop, &patience);
    while (refusals == 0 && !overdue)
        ev_run(loop, EVRUN_ONCE);
    assert_false(overdue);
    ev_timer_stop(loop, &look);
    ev_timer_stop(loop, &patience);
    attachment_free(attachment);
    close(deaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_an_attachment_whose_greeting_is_never_answered_reaches_the_next_broker),
    };
    strcpy(folder, "/tmp/ringside-attach-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    snprintf(url, sizeof(url), "ipc://%s/broker.ipc", folder);
    loop = ev_loop_new(0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(url + strlen("ipc://"));
    rmdir(folder);
    /* The library's sockets go with the process: closing several in a row can hang. */
    fflush(NULL);
    _exit(failed ? 1 : 0);
}
