/* SPDX-License-Identifier: Apache-2.0 */
#include "links/control_port.h"

#include "links/reply_port.h"

#include "base/log.h"
#include "wire/attachment.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/transport/ipc/ipc.h>

#define WATCH_SECONDS 1.0
#define EXCHANGE_MS 400  /* for each way */
#define WATCH_PATIENCE 2 /* attempts in vain, before the listener is made anew */

struct control_port {
    struct control_port_options options;
    char url[PATHS_MAX];
    nng_socket socket;
    nng_listener listener;
    ev_io readable;

    nng_socket watch; /* reaches for ourselves */
    nng_dialer dialer;
    bool dialing;
    ev_timer watch_timer;
    nng_aio *exchange;
    bool sending; /* whoever holds `exchange`: it is the request, not its answer */
    atomic_bool exchanging;
    atomic_bool answered;
    int unanswered; /* in a row */
    struct buffer reply;
    struct buffer body;
};

/* ---- answering */

static struct wire_message refuse_version(
    struct control_port *port, const struct wire_attach *request)
{
    buffer_clear(&port->body);
    buffer_printf(&port->body,
        "this broker speaks version %u of the messages between processes, the %.*s speaks %llu: "
        "install the same release",
        WIRE_VERSION, SPAN_ARG(request->role), (unsigned long long)request->version);
    struct wire_message message = reply_refusal("version_mismatch", "");
    message.refused.message = buffer_span(&port->body);
    return message;
}

static struct wire_message answer_attach(
    struct control_port *port, const struct wire_attach *request, char url[PATHS_MAX])
{
    if (request->version != WIRE_VERSION)
        return refuse_version(port, request);
    int rc = links_offer(port->options.links, request->role, request->name, url);
    return reply_offer(
        rc, "no such role, or the name is no identifier", url, port->options.broker_id);
}

static struct wire_message answer_query(struct control_port *port, const struct wire_query *request)
{
    struct control_refusal why = {"internal", "no reason was given"};
    buffer_clear(&port->body);
    if (!port->options.answer(
            port->options.context, request->what, request->argument, &port->body, &why))
        return reply_refusal(why.code, why.message);
    return (struct wire_message){.kind = WIRE_ANSWER, .answer = {.body = buffer_span(&port->body)}};
}

static struct wire_message answer(void *context, struct span bytes, char *url)
{
    struct control_port *port = context;
    struct wire_message request;
    if (wire_decode(&request, bytes) < 0)
        return reply_refusal("malformed", "not a message of this protocol");
    switch (request.kind) {
    case WIRE_ATTACH: return answer_attach(port, &request.attach, url);
    case WIRE_QUERY: return answer_query(port, &request.query);
    default: return reply_refusal("malformed", "not a request");
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct control_port *port = watcher->data;
    reply_to_all(port->socket, &port->reply, answer, port);
}

/* ---- the listener and its watch */

static int listen_anew(struct control_port *port)
{
    int rc = nng_listener_create(&port->listener, port->socket, port->url);
    if (rc == 0)
        rc = nng_listener_set_int(port->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (rc == 0)
        rc = nng_listener_start(port->listener, 0);
    if (rc == NNG_EADDRINUSE)
        return -EADDRINUSE;
    return rc == 0 ? 0 : -EIO;
}

/*
 * The watch's exchange, on nng's threads: the request has gone out, or its answer has come. A
 * connection alone proves nothing, since the kernel makes it whether anybody listens or not.
 */
static void on_exchanged(void *argument)
{
    struct control_port *port = argument;
    bool sent = port->sending;
    port->sending = false;
    if (nng_aio_result(port->exchange) != 0) {
        if (sent)
            nng_msg_free(nng_aio_get_msg(port->exchange));
    } else if (sent) {
        nng_recv_aio(port->watch, port->exchange);
        return;
    } else {
        nng_msg_free(nng_aio_get_msg(port->exchange));
        /* Partner: the exchange in on_watch. Nothing else is handed over with it. */
        atomic_store_explicit(&port->answered, true, memory_order_relaxed);
    }
    /* Partner: the load in on_watch, behind which `sending` and the aio are the loop's again. */
    atomic_store_explicit(&port->exchanging, false, memory_order_release);
}

/* A connection made before proves nothing about the next one: connect anew each time. */
static void reach_listener(struct control_port *port)
{
    nng_msg *request;
    port->dialing = nng_dialer_create(&port->dialer, port->watch, port->url) == 0 &&
                    nng_dialer_start(port->dialer, NNG_FLAG_NONBLOCK) == 0;
    if (!port->dialing || nng_msg_alloc(&request, 0) != 0)
        return;
    atomic_store_explicit(&port->exchanging, true, memory_order_relaxed);
    port->sending = true;
    nng_aio_set_msg(port->exchange, request);
    nng_aio_set_timeout(port->exchange, EXCHANGE_MS);
    nng_send_aio(port->watch, port->exchange);
}

static void listen_again(struct control_port *port)
{
    log_warn("control_port", "the control socket is deaf: listening anew");
    nng_listener_close(port->listener);
    if (listen_anew(port) < 0)
        log_error("control_port", "cannot listen on %s; trying again", port->url);
    port->unanswered = 0;
}

static void on_watch(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct control_port *port = watcher->data;
    /* Partner: the stores in on_exchanged. */
    if (atomic_load_explicit(&port->exchanging, memory_order_acquire))
        return;
    bool answered = atomic_exchange_explicit(&port->answered, false, memory_order_relaxed);
    if (port->dialing)
        nng_dialer_close(port->dialer);
    port->unanswered = answered ? 0 : port->unanswered + 1;
    if (port->unanswered >= WATCH_PATIENCE)
        listen_again(port);
    reach_listener(port);
}

/* ---- life */

static int open_sockets(struct control_port *port)
{
    int fd;
    if (nng_rep0_open(&port->socket) != 0 || nng_req0_open(&port->watch) != 0 ||
        nng_socket_set_size(port->socket, NNG_OPT_RECVMAXSZ, WIRE_MESSAGE_MAX) != 0 ||
        nng_socket_get_int(port->socket, NNG_OPT_RECVFD, &fd) != 0 ||
        nng_socket_set_ms(port->watch, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE) != 0 ||
        nng_aio_alloc(&port->exchange, on_exchanged, port) != 0)
        return -ENOMEM;
    ev_io_init(&port->readable, on_readable, fd, EV_READ);
    port->readable.data = port;
    ev_timer_init(&port->watch_timer, on_watch, WATCH_SECONDS, WATCH_SECONDS);
    port->watch_timer.data = port;
    return listen_anew(port);
}

int control_port_new(struct control_port **ret_port, const struct control_port_options *options)
{
    struct control_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    port->options = *options;
    int len = snprintf(
        port->url, sizeof(port->url), "ipc://%s/%s", options->run_dir, WIRE_CONTROL_SOCKET);
    int rc = len < 0 || len >= (int)sizeof(port->url) ? -ENAMETOOLONG : open_sockets(port);
    if (rc) {
        free(port); /* the sockets go with the process, which does not start without this */
        return rc;
    }
    ev_io_start(options->loop, &port->readable);
    atomic_store(&port->answered, true); /* nothing was asked yet */
    ev_timer_start(options->loop, &port->watch_timer);
    *ret_port = port;
    return 0;
}
