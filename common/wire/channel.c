/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nng reports pipes coming and going on threads of its own, and a message may be readable before
 * the report of the pipe it came on. Both meet on the loop's thread: reports wait in a list behind
 * a mutex, every message names its pipe, and `peer` changes in one place (peer_becomes), whichever
 * of the two is seen first. Messages are drained before reports are looked at, so that a peer's
 * last words are heard before it is said to be gone; `departed` keeps a straggler of a peer already
 * reported gone from bringing it back.
 *
 * A report of a peer that was killed can fail to come: what it had sent last may wait within nng
 * for a wake-up that was lost, and then nng reads no further and does not see the end. So the
 * peer's process is watched as well (pidfd). Its death is not believed at once, since its last
 * words may still be under way: nng has GRACE_SECONDS to report it.
 *
 * A message costs nng tens of microseconds and several threads' wake-ups, whatever its size. So
 * what is sent is bundled, and the bundle goes out when it is large, or when everything else that
 * this pass of the loop had to call has been called: `turn_end` is fed then, and has the lowest
 * priority of all. Nothing waits for a bundle to fill.
 */
#include "wire/channel.h"

#include "wire/bundle.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/transport/ipc/ipc.h>

#define BUNDLE_BYTES (64u << 10) /* sent at once when there are so many */
#define BUNDLE_MAX (BUNDLE_BYTES + BUNDLE_HEADER + WIRE_MESSAGE_MAX)
#define SEND_BUFFER_BUNDLES 32
#define RECONNECT_MIN_MS 20
#define RECONNECT_MAX_MS 250
#define GRACE_SECONDS 0.5

struct pipe_report {
    struct list_link link; /* in channel.reports */
    uint32_t pipe;
    uint64_t pid;
    bool arrived;
};

struct waiting_message {
    struct list_link link; /* in channel.waiting */
    nng_msg *message;
};

struct channel {
    struct ev_loop *loop; /* borrowed */
    const struct channel_events *events;
    void *context;
    nng_socket socket;
    nng_listener listener;
    nng_dialer dialer;
    bool listening;
    bool dialing;
    struct nng_tls_config *tls; /* borrowed; NULL: none */

    pthread_mutex_t lock;     /* guards reports */
    struct list_link reports; /* struct pipe_report.link */

    ev_io readable;
    ev_io writable;
    ev_async reported;

    uint32_t peer;     /* its pipe; 0: nobody */
    uint32_t departed; /* the pipe last reported gone */
    uint64_t peer_pid;
    int peer_fd;              /* its pidfd; -1: none */
    ev_io death;              /* of peer_fd */
    ev_timer grace;           /* since then */
    struct list_link waiting; /* struct waiting_message.link */
    size_t waiting_bytes;
    struct buffer bundle; /* what was sent since the last one went out */
    ev_timer turn_end;    /* never started: fed */
};

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

static void forget_waiting(struct channel *channel)
{
    LIST_FOR_EACH(struct waiting_message, waiting, &channel->waiting, link)
    {
        list_remove(&waiting->link);
        nng_msg_free(waiting->message);
        free(waiting);
    }
    channel->waiting_bytes = 0;
    ev_io_stop(channel->loop, &channel->writable);
    buffer_clear(&channel->bundle);
}

static void unwatch_peer(struct channel *channel)
{
    ev_timer_stop(channel->loop, &channel->grace);
    if (channel->peer_fd < 0)
        return;
    ev_io_stop(channel->loop, &channel->death);
    close(channel->peer_fd);
    channel->peer_fd = -1;
}

static void watch_peer(struct channel *channel)
{
    if (channel->peer_pid == 0)
        return; /* not on this machine: a report is all there is */
    channel->peer_fd = (int)syscall(SYS_pidfd_open, (pid_t)channel->peer_pid, 0);
    if (channel->peer_fd >= 0) {
        ev_io_set(&channel->death, channel->peer_fd, EV_READ);
        ev_io_start(channel->loop, &channel->death);
    } else if (errno == ESRCH) {
        ev_timer_again(channel->loop, &channel->grace);
    }
}

static void forget_peer(struct channel *channel)
{
    unwatch_peer(channel);
    channel->departed = channel->peer;
    channel->peer = 0;
    channel->peer_pid = 0;
    forget_waiting(channel);
}

static void peer_becomes(struct channel *channel, uint32_t pipe, uint64_t pid)
{
    if (channel->peer == pipe)
        return;
    if (channel->peer) {
        forget_peer(channel);
        channel->events->on_peer(channel->context, false);
    }
    if (pipe) {
        channel->peer = pipe;
        channel->peer_pid = pid;
        watch_peer(channel);
        channel->events->on_peer(channel->context, true);
    }
}

static uint64_t pid_of(nng_pipe pipe)
{
    uint64_t pid = 0;
    return nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid) == 0 ? pid : 0;
}

/* On an nng thread. */
static void pipe_event(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct channel *channel = argument;
    struct pipe_report *report = malloc(sizeof(*report));
    if (!report)
        abort(); /* a lost report would leave the link half dead for ever */
    report->pipe = (uint32_t)nng_pipe_id(pipe);
    report->arrived = event == NNG_PIPE_EV_ADD_POST;
    report->pid = report->arrived ? pid_of(pipe) : 0;
    pthread_mutex_lock(&channel->lock);
    list_append(&channel->reports, &report->link);
    pthread_mutex_unlock(&channel->lock);
    ev_async_send(channel->loop, &channel->reported);
}

static struct pipe_report *take_report(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    struct pipe_report *report = LIST_FIRST(struct pipe_report, &channel->reports, link);
    if (report)
        list_remove(&report->link);
    pthread_mutex_unlock(&channel->lock);
    return report;
}

/* ---- receiving */

/* Each of a bundle, until one of them has had its sender dropped. False when it is no bundle. */
static bool deliver_bundle(struct channel *channel, struct span bundle, uint32_t sender)
{
    struct wire_message message;
    struct span bytes;
    int rc;
    for (size_t at = 0; (rc = bundle_next(&bytes, bundle, &at)) == 1;) {
        if (wire_decode(&message, bytes) != 0)
            return false;
        channel->events->on_message(channel->context, &message);
        if (channel->peer != sender)
            return true;
    }
    return rc == 0;
}

static void deliver(struct channel *channel, nng_msg *raw)
{
    nng_pipe pipe = nng_msg_get_pipe(raw);
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    if (id == channel->departed)
        return;
    if (id != channel->peer)
        peer_becomes(channel, id, pid_of(pipe));
    struct span bundle = span_of(nng_msg_body(raw), nng_msg_len(raw));
    if (!deliver_bundle(channel, bundle, id))
        nng_pipe_close(pipe); /* not one of ours, or of another version: it is reported gone */
}

/* Bounded, so that one busy link does not keep the loop from its other work: a bundle may have
 * hundreds of messages, each with much to be done for it. */
#define RECEIVE_BUDGET 16
#define RECEIVE_NS 1000000u

static void receive_all(struct channel *channel)
{
    uint64_t until_ns = clock_monotonic_ns() + RECEIVE_NS;
    for (int i = 0; i < RECEIVE_BUDGET && (i == 0 || clock_monotonic_ns() < until_ns); i++) {
        nng_msg *raw;
        if (nng_recvmsg(channel->socket, &raw, NNG_FLAG_NONBLOCK) != 0)
            return;
        deliver(channel, raw);
        nng_msg_free(raw);
    }
    ev_feed_event(channel->loop, &channel->readable, EV_READ);
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
    struct channel *channel = watcher->data;
    receive_all(channel);
    for (struct pipe_report *report; (report = take_report(channel)); free(report)) {
        if (!report->arrived && report->pipe == channel->peer)
            peer_becomes(channel, 0, 0);
        else if (report->arrived && report->pipe != channel->departed)
            peer_becomes(channel, report->pipe, report->pid);
    }
}

static void on_death(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct channel *channel = watcher->data;
    ev_io_stop(loop, watcher); /* it stays readable */
    ev_timer_again(loop, &channel->grace);
}

static void on_grace(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct channel *channel = watcher->data;
    ev_timer_stop(loop, watcher);
    uint32_t dead = channel->peer;
    on_reported(loop, &channel->reported, events);
    if (channel->peer != dead)
        return;
    nng_pipe pipe = {.id = dead};
    nng_pipe_close(pipe);
    peer_becomes(channel, 0, 0);
}

/* ---- sending */

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct channel *channel = watcher->data;
    LIST_FOR_EACH(struct waiting_message, waiting, &channel->waiting, link)
    {
        size_t len = nng_msg_len(waiting->message);
        if (nng_sendmsg(channel->socket, waiting->message, NNG_FLAG_NONBLOCK) != 0)
            return;
        channel->waiting_bytes -= len;
        list_remove(&waiting->link);
        free(waiting);
    }
    ev_io_stop(loop, &channel->writable);
}

static int wait_to_send(struct channel *channel, nng_msg *raw)
{
    size_t len = nng_msg_len(raw);
    if (channel->waiting_bytes + len > CHANNEL_QUEUE_MAX)
        return -ENOBUFS;
    struct waiting_message *waiting = malloc(sizeof(*waiting));
    if (!waiting)
        return -ENOMEM;
    waiting->message = raw;
    list_append(&channel->waiting, &waiting->link);
    channel->waiting_bytes += len;
    ev_io_start(channel->loop, &channel->writable);
    return 0;
}

static int send_raw(struct channel *channel, nng_msg *raw)
{
    int rc = NNG_EAGAIN;
    if (list_empty(&channel->waiting))
        rc = nng_sendmsg(channel->socket, raw, NNG_FLAG_NONBLOCK);
    if (rc == 0)
        return 0;
    int result = rc == NNG_EAGAIN ? wait_to_send(channel, raw) : error_of(rc);
    if (result)
        nng_msg_free(raw);
    return result;
}

/* Those in a bundle were said to be sent: when it cannot be, the peer must not stay. */
static void send_bundle(struct channel *channel)
{
    struct buffer *bundle = &channel->bundle;
    nng_msg *raw = NULL;
    nng_pipe pipe = {.id = channel->peer};
    if (!bundle->len)
        return;
    bool sent = nng_msg_alloc(&raw, 0) == 0;
    if (sent && nng_msg_append(raw, bundle->data, bundle->len) != 0) {
        nng_msg_free(raw);
        sent = false;
    }
    sent = sent && send_raw(channel, raw) == 0;
    buffer_clear(bundle);
    if (bundle->cap > 2 * BUNDLE_BYTES)
        buffer_deinit(bundle);
    if (!sent)
        nng_pipe_close(pipe); /* it is reported gone */
}

static void on_turn_end(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    send_bundle(watcher->data);
}

/* The message that began at `start` is in the bundle. */
static int sent(struct channel *channel, size_t start)
{
    int rc = bundle_end(&channel->bundle, start, WIRE_MESSAGE_MAX);
    if (rc)
        return rc;
    if (channel_queued(channel) > CHANNEL_QUEUE_MAX) {
        bundle_undo(&channel->bundle, start);
        return -ENOBUFS;
    }
    if (channel->bundle.len >= BUNDLE_BYTES)
        send_bundle(channel);
    else
        ev_feed_event(channel->loop, &channel->turn_end, EV_CUSTOM);
    return 0;
}

int channel_send_encoded(struct channel *channel, struct span bytes)
{
    if (!channel->peer)
        return -ENOTCONN;
    size_t start = bundle_begin(&channel->bundle);
    buffer_append_span(&channel->bundle, bytes);
    return sent(channel, start);
}

int channel_send(struct channel *channel, const struct wire_message *message)
{
    if (!channel->peer)
        return -ENOTCONN;
    size_t start = bundle_begin(&channel->bundle);
    wire_encode(&channel->bundle, message);
    return sent(channel, start);
}

size_t channel_queued(const struct channel *channel)
{
    return channel->waiting_bytes + channel->bundle.len;
}

bool channel_connected(const struct channel *channel)
{
    return channel->peer != 0;
}

uint64_t channel_peer_pid(const struct channel *channel)
{
    return channel->peer_pid;
}

/* ---- life */

static int open_socket(struct channel *channel)
{
    int rc = nng_pair0_open(&channel->socket);
    if (rc)
        return error_of(rc);
    int readable_fd = -1;
    int writable_fd = -1;
    if ((rc = nng_socket_set_int(channel->socket, NNG_OPT_SENDBUF, SEND_BUFFER_BUNDLES)) ||
        (rc = nng_socket_set_size(channel->socket, NNG_OPT_RECVMAXSZ, BUNDLE_MAX)) ||
        (rc = nng_socket_get_int(channel->socket, NNG_OPT_RECVFD, &readable_fd)) ||
        (rc = nng_socket_get_int(channel->socket, NNG_OPT_SENDFD, &writable_fd)) ||
        (rc = nng_pipe_notify(channel->socket, NNG_PIPE_EV_ADD_POST, pipe_event, channel)) ||
        (rc = nng_pipe_notify(channel->socket, NNG_PIPE_EV_REM_POST, pipe_event, channel))) {
        nng_close(channel->socket);
        return error_of(rc);
    }
    ev_io_init(&channel->readable, on_readable, readable_fd, EV_READ);
    ev_io_init(&channel->writable, on_writable, writable_fd, EV_READ); /* readable: may send */
    channel->readable.data = channel;
    channel->writable.data = channel;
    ev_io_start(channel->loop, &channel->readable);
    return 0;
}

int channel_new(struct channel **ret_channel, struct ev_loop *loop,
    const struct channel_events *events, void *context)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return -ENOMEM;
    channel->loop = loop;
    channel->events = events;
    channel->context = context;
    list_init(&channel->reports);
    list_init(&channel->waiting);
    pthread_mutex_init(&channel->lock, NULL);
    channel->peer_fd = -1;
    ev_init(&channel->death, on_death);
    channel->death.data = channel;
    ev_init(&channel->grace, on_grace);
    channel->grace.repeat = GRACE_SECONDS;
    channel->grace.data = channel;
    ev_init(&channel->turn_end, on_turn_end);
    ev_set_priority(&channel->turn_end, EV_MINPRI);
    channel->turn_end.data = channel;
    ev_async_init(&channel->reported, on_reported);
    channel->reported.data = channel;
    ev_async_start(loop, &channel->reported);
    int rc = open_socket(channel);
    if (rc) {
        ev_async_stop(loop, &channel->reported);
        pthread_mutex_destroy(&channel->lock);
        free(channel);
        return rc;
    }
    *ret_channel = channel;
    return 0;
}

void channel_free(struct channel *channel)
{
    if (!channel)
        return;
    unwatch_peer(channel);
    forget_waiting(channel);
    ev_clear_pending(channel->loop, &channel->turn_end);
    ev_io_stop(channel->loop, &channel->readable);
    nng_close(channel->socket); /* no report comes behind this */
    ev_async_stop(channel->loop, &channel->reported);
    for (struct pipe_report *report; (report = take_report(channel));)
        free(report);
    pthread_mutex_destroy(&channel->lock);
    buffer_deinit(&channel->bundle);
    free(channel);
}

void channel_secure(struct channel *channel, struct nng_tls_config *tls)
{
    channel->tls = tls;
}

int channel_listen(struct channel *channel, const char *url)
{
    channel_reset(channel);
    int rc = nng_listener_create(&channel->listener, channel->socket, url);
    if (rc)
        return error_of(rc);
    /* Each is for some transports only; without TLS a listener for it does not start. */
    (void)nng_listener_set_int(channel->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    (void)nng_listener_set_bool(channel->listener, NNG_OPT_TCP_NODELAY, true);
    if (channel->tls)
        (void)nng_listener_set_ptr(channel->listener, NNG_OPT_TLS_CONFIG, channel->tls);
    rc = nng_listener_start(channel->listener, 0);
    if (rc) {
        nng_listener_close(channel->listener);
        return error_of(rc);
    }
    channel->listening = true;
    return 0;
}

int channel_dial(struct channel *channel, const char *url)
{
    channel_reset(channel);
    int rc = nng_dialer_create(&channel->dialer, channel->socket, url);
    if (rc)
        return error_of(rc);
    (void)nng_dialer_set_ms(channel->dialer, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    (void)nng_dialer_set_ms(channel->dialer, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    if (channel->tls)
        (void)nng_dialer_set_ptr(channel->dialer, NNG_OPT_TLS_CONFIG, channel->tls);
    rc = nng_dialer_start(channel->dialer, NNG_FLAG_NONBLOCK);
    if (rc) {
        nng_dialer_close(channel->dialer);
        return error_of(rc);
    }
    channel->dialing = true;
    return 0;
}

void channel_reset(struct channel *channel)
{
    send_bundle(channel); /* a last word, which the library has until the listener is closed */
    if (channel->listening)
        nng_listener_close(channel->listener);
    if (channel->dialing)
        nng_dialer_close(channel->dialer);
    channel->listening = false;
    channel->dialing = false;
    if (!channel->peer)
        return;
    nng_pipe pipe = {.id = channel->peer};
    forget_peer(channel);
    nng_pipe_close(pipe);
}
