/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link between machines: an nng pair0 socket. nng reports pipes coming and going on threads of
 * its own, and a message may be readable before the report of the pipe it came on. Both meet on
 * the loop's thread: reports wait in a list behind a mutex, every message names its pipe, and
 * `peer` changes in one place (peer_becomes), whichever of the two is seen first. Messages are
 * drained before reports are looked at, so that a peer's last words are heard before it is said to
 * be gone; `departed` keeps a straggler of a peer already reported gone from bringing it back.
 *
 * A message costs nng tens of microseconds and several threads' wake-ups, whatever its size, so a
 * bundle is one message. The socket is opened once and used for one peer after the other, since
 * closing nng sockets of this version in quick succession can deadlock.
 */
#include "wire/bundle.h"
#include "wire/carrier.h"
#include "wire/message.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

#define BUNDLE_MAX ((64u << 10) + BUNDLE_HEADER + WIRE_MESSAGE_MAX)
#define SEND_BUFFER_BUNDLES 32

struct pipe_report {
    struct list_link link; /* in by_nng.reports */
    uint32_t pipe;
    bool arrived;
};

struct waiting_message {
    struct list_link link; /* in by_nng.waiting */
    nng_msg *message;
};

struct by_nng {
    struct carrier carrier;
    nng_socket socket;
    nng_listener listener;
    nng_dialer dialer;
    bool listening;
    bool dialing;

    pthread_mutex_t lock;     /* guards reports */
    struct list_link reports; /* struct pipe_report.link */

    ev_io readable;
    ev_io writable;
    ev_async reported;

    uint32_t peer;            /* its pipe; 0: nobody */
    uint32_t departed;        /* the pipe last reported gone */
    struct list_link waiting; /* struct waiting_message.link */
    size_t waiting_bytes;
};

static struct by_nng *by_nng_of(struct carrier *carrier)
{
    return CONTAINER_OF(carrier, struct by_nng, carrier);
}

static int error_of(int nng_error)
{
    switch (nng_error) {
    case 0: return 0;
    case NNG_ENOMEM: return -ENOMEM;
    case NNG_EADDRINUSE: return -EADDRINUSE;
    case NNG_EAGAIN: return -EAGAIN;
    case NNG_EPERM: return -EPERM;
    case NNG_ENOENT: return -ENOENT;
    case NNG_EADDRINVAL: return -EINVAL;
    case NNG_ENOFILES: return -EMFILE;
    default: return nng_error & NNG_ESYSERR ? -(nng_error & ~NNG_ESYSERR) : -EIO;
    }
}

/* ---- the peer */

static void forget_waiting(struct by_nng *by_nng)
{
    LIST_FOR_EACH(struct waiting_message, waiting, &by_nng->waiting, link)
    {
        list_remove(&waiting->link);
        nng_msg_free(waiting->message);
        free(waiting);
    }
    by_nng->waiting_bytes = 0;
    ev_io_stop(by_nng->carrier.loop, &by_nng->writable);
}

static void forget_peer(struct by_nng *by_nng)
{
    by_nng->departed = by_nng->peer;
    by_nng->peer = 0;
    forget_waiting(by_nng);
}

/* No kernel knows the process of a peer that may be on another machine. */
static void say_peer(struct by_nng *by_nng, bool connected)
{
    struct carrier *carrier = &by_nng->carrier;
    carrier->events->on_peer(carrier->context, carrier, connected, 0);
}

static void peer_becomes(struct by_nng *by_nng, uint32_t pipe)
{
    if (by_nng->peer == pipe)
        return;
    if (by_nng->peer) {
        forget_peer(by_nng);
        say_peer(by_nng, false);
    }
    if (pipe) {
        by_nng->peer = pipe;
        say_peer(by_nng, true);
    }
}

/* On an nng thread. */
static void pipe_event(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct by_nng *by_nng = argument;
    struct pipe_report *report = malloc(sizeof(*report));
    if (!report)
        abort(); /* a lost report would leave the link half dead for ever */
    report->pipe = (uint32_t)nng_pipe_id(pipe);
    report->arrived = event == NNG_PIPE_EV_ADD_POST;
    pthread_mutex_lock(&by_nng->lock);
    list_append(&by_nng->reports, &report->link);
    pthread_mutex_unlock(&by_nng->lock);
    ev_async_send(by_nng->carrier.loop, &by_nng->reported);
}

static struct pipe_report *take_report(struct by_nng *by_nng)
{
    pthread_mutex_lock(&by_nng->lock);
    struct pipe_report *report = LIST_FIRST(struct pipe_report, &by_nng->reports, link);
    if (report)
        list_remove(&report->link);
    pthread_mutex_unlock(&by_nng->lock);
    return report;
}

/* ---- receiving */

/* Each of a bundle, until one of them has had its sender dropped. False when it is no bundle. */
static bool deliver_bundle(struct by_nng *by_nng, struct span bundle, uint32_t sender)
{
    struct carrier *carrier = &by_nng->carrier;
    struct span message;
    int rc;
    for (size_t at = 0; (rc = bundle_next(&message, bundle, &at)) == 1;) {
        if (!carrier->events->on_message(carrier->context, carrier, message))
            return false;
        if (by_nng->peer != sender)
            return true;
    }
    return rc == 0;
}

static void deliver(struct by_nng *by_nng, nng_msg *raw)
{
    nng_pipe pipe = nng_msg_get_pipe(raw);
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    if (id == by_nng->departed)
        return;
    if (id != by_nng->peer)
        peer_becomes(by_nng, id);
    struct span bundle = span_of(nng_msg_body(raw), nng_msg_len(raw));
    if (!deliver_bundle(by_nng, bundle, id))
        nng_pipe_close(pipe); /* it is reported gone */
}

static void receive_all(struct by_nng *by_nng)
{
    uint64_t until_ns = clock_monotonic_ns() +
                        (by_nng->dialing ? CARRIER_READ_DIALER_NS : CARRIER_READ_LISTENER_NS);
    for (int i = 0; i < CARRIER_READS && (i == 0 || clock_monotonic_ns() < until_ns); i++) {
        nng_msg *raw;
        if (nng_recvmsg(by_nng->socket, &raw, NNG_FLAG_NONBLOCK) != 0)
            return;
        deliver(by_nng, raw);
        nng_msg_free(raw);
    }
    /* The library's descriptor stays readable while there are more: the next pass takes them. */
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    receive_all(watcher->data);
}

static void on_reported(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)loop;
    (void)events;
    struct by_nng *by_nng = watcher->data;
    receive_all(by_nng);
    for (struct pipe_report *report; (report = take_report(by_nng)); free(report)) {
        if (!report->arrived && report->pipe == by_nng->peer)
            peer_becomes(by_nng, 0);
        else if (report->arrived && report->pipe != by_nng->departed)
            peer_becomes(by_nng, report->pipe);
    }
}

/* ---- sending */

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct by_nng *by_nng = watcher->data;
    LIST_FOR_EACH(struct waiting_message, waiting, &by_nng->waiting, link)
    {
        size_t len = nng_msg_len(waiting->message);
        if (nng_sendmsg(by_nng->socket, waiting->message, NNG_FLAG_NONBLOCK) != 0)
            return;
        by_nng->waiting_bytes -= len;
        list_remove(&waiting->link);
        free(waiting);
    }
    ev_io_stop(loop, &by_nng->writable);
}

static int wait_to_send(struct by_nng *by_nng, nng_msg *raw)
{
    struct waiting_message *waiting = malloc(sizeof(*waiting));
    if (!waiting)
        return -ENOMEM;
    waiting->message = raw;
    list_append(&by_nng->waiting, &waiting->link);
    by_nng->waiting_bytes += nng_msg_len(raw);
    ev_io_start(by_nng->carrier.loop, &by_nng->writable);
    return 0;
}

static int send_raw(struct by_nng *by_nng, nng_msg *raw)
{
    int rc = NNG_EAGAIN;
    if (list_empty(&by_nng->waiting))
        rc = nng_sendmsg(by_nng->socket, raw, NNG_FLAG_NONBLOCK);
    if (rc == 0)
        return 0;
    int result = rc == NNG_EAGAIN ? wait_to_send(by_nng, raw) : error_of(rc);
    if (result)
        nng_msg_free(raw);
    return result;
}

static int by_nng_send(struct carrier *carrier, struct buffer *bundle)
{
    nng_msg *raw = NULL;
    int rc = error_of(nng_msg_alloc(&raw, 0));
    if (!rc && nng_msg_append(raw, bundle->data, bundle->len) != 0) {
        nng_msg_free(raw);
        rc = -ENOMEM;
    }
    buffer_clear(bundle);
    return rc ? rc : send_raw(by_nng_of(carrier), raw);
}

static size_t by_nng_queued(const struct carrier *carrier)
{
    return CONTAINER_OF(carrier, const struct by_nng, carrier)->waiting_bytes;
}

/* ---- listening and dialing */

static int by_nng_listen(struct carrier *carrier, const char *url, struct nng_tls_config *tls)
{
    struct by_nng *by_nng = by_nng_of(carrier);
    int rc = nng_listener_create(&by_nng->listener, by_nng->socket, url);
    if (rc)
        return error_of(rc);
    /* Each is for one transport only; without TLS a listener for it does not start. */
    (void)nng_listener_set_bool(by_nng->listener, NNG_OPT_TCP_NODELAY, true);
    if (tls)
        (void)nng_listener_set_ptr(by_nng->listener, NNG_OPT_TLS_CONFIG, tls);
    rc = nng_listener_start(by_nng->listener, 0);
    if (rc) {
        nng_listener_close(by_nng->listener);
        return error_of(rc);
    }
    by_nng->listening = true;
    return 0;
}

static int by_nng_dial(struct carrier *carrier, const char *url, struct nng_tls_config *tls)
{
    struct by_nng *by_nng = by_nng_of(carrier);
    int rc = nng_dialer_create(&by_nng->dialer, by_nng->socket, url);
    if (rc)
        return error_of(rc);
    (void)nng_dialer_set_ms(by_nng->dialer, NNG_OPT_RECONNMINT, CARRIER_PAUSE_MIN_MS);
    (void)nng_dialer_set_ms(by_nng->dialer, NNG_OPT_RECONNMAXT, CARRIER_PAUSE_MAX_MS);
    if (tls)
        (void)nng_dialer_set_ptr(by_nng->dialer, NNG_OPT_TLS_CONFIG, tls);
    rc = nng_dialer_start(by_nng->dialer, NNG_FLAG_NONBLOCK);
    if (rc) {
        nng_dialer_close(by_nng->dialer);
        return error_of(rc);
    }
    by_nng->dialing = true;
    return 0;
}

static void by_nng_drop(struct carrier *carrier)
{
    nng_pipe pipe = {.id = by_nng_of(carrier)->peer};
    nng_pipe_close(pipe);
}

static void by_nng_reset(struct carrier *carrier)
{
    struct by_nng *by_nng = by_nng_of(carrier);
    if (by_nng->listening)
        nng_listener_close(by_nng->listener);
    if (by_nng->dialing)
        nng_dialer_close(by_nng->dialer);
    by_nng->listening = false;
    by_nng->dialing = false;
    if (!by_nng->peer)
        return;
    nng_pipe pipe = {.id = by_nng->peer};
    forget_peer(by_nng);
    nng_pipe_close(pipe);
}

/* ---- life */

static int open_socket(struct by_nng *by_nng)
{
    int rc = nng_pair0_open(&by_nng->socket);
    if (rc)
        return error_of(rc);
    int readable_fd = -1;
    int writable_fd = -1;
    if ((rc = nng_socket_set_int(by_nng->socket, NNG_OPT_SENDBUF, SEND_BUFFER_BUNDLES)) ||
        (rc = nng_socket_set_size(by_nng->socket, NNG_OPT_RECVMAXSZ, BUNDLE_MAX)) ||
        (rc = nng_socket_get_int(by_nng->socket, NNG_OPT_RECVFD, &readable_fd)) ||
        (rc = nng_socket_get_int(by_nng->socket, NNG_OPT_SENDFD, &writable_fd)) ||
        (rc = nng_pipe_notify(by_nng->socket, NNG_PIPE_EV_ADD_POST, pipe_event, by_nng)) ||
        (rc = nng_pipe_notify(by_nng->socket, NNG_PIPE_EV_REM_POST, pipe_event, by_nng))) {
        nng_close(by_nng->socket);
        return error_of(rc);
    }
    ev_io_init(&by_nng->readable, on_readable, readable_fd, EV_READ);
    ev_io_init(&by_nng->writable, on_writable, writable_fd, EV_READ); /* readable: may send */
    by_nng->readable.data = by_nng->writable.data = by_nng;
    ev_io_start(by_nng->carrier.loop, &by_nng->readable);
    return 0;
}

static int by_nng_new(struct carrier **ret_carrier, struct ev_loop *loop,
    const struct carrier_events *events, void *context)
{
    struct by_nng *by_nng = calloc(1, sizeof(*by_nng));
    if (!by_nng)
        return -ENOMEM;
    by_nng->carrier =
        (struct carrier){.kind = &carrier_nng, .events = events, .context = context, .loop = loop};
    list_init(&by_nng->reports);
    list_init(&by_nng->waiting);
    pthread_mutex_init(&by_nng->lock, NULL);
    ev_async_init(&by_nng->reported, on_reported);
    by_nng->reported.data = by_nng;
    ev_async_start(loop, &by_nng->reported);
    int rc = open_socket(by_nng);
    if (rc) {
        ev_async_stop(loop, &by_nng->reported);
        pthread_mutex_destroy(&by_nng->lock);
        free(by_nng);
        return rc;
    }
    *ret_carrier = &by_nng->carrier;
    return 0;
}

static void by_nng_free(struct carrier *carrier)
{
    struct by_nng *by_nng = by_nng_of(carrier);
    forget_waiting(by_nng);
    ev_io_stop(carrier->loop, &by_nng->readable);
    nng_close(by_nng->socket); /* no report comes behind this */
    ev_async_stop(carrier->loop, &by_nng->reported);
    for (struct pipe_report *report; (report = take_report(by_nng));)
        free(report);
    pthread_mutex_destroy(&by_nng->lock);
    free(by_nng);
}

const struct carrier_kind carrier_nng = {
    .new = by_nng_new,
    .free = by_nng_free,
    .listen = by_nng_listen,
    .dial = by_nng_dial,
    .reset = by_nng_reset,
    .send = by_nng_send,
    .drop = by_nng_drop,
    .queued = by_nng_queued,
};
