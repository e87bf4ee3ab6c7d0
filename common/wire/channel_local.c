/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link within this machine: a stream socket with a path, read and written by the loop itself.
 * What a turn has sent is one system call, and so is what has come in.
 *
 *   nobody      a listener awaits somebody, a dialer tries again after a pause
 *   connection  there is a socket; both sides send their greeting at once
 *   peer        the other's greeting was read: only now it is said to be there
 *
 * So a listener that takes nobody more is no peer to whom it turns away, and somebody who only
 * looks whether a listener lives is none to the listener. A newcomer takes the place of a
 * connection without greeting and is turned away by a peer, who is read first: it may have ended.
 *
 * All that a peer wrote lies in the socket when its end does, so its last words are read by
 * reading up to the end. A failed write says nothing of its own. The end does not come while
 * another process holds the connection, a child that was forked at a bad moment; so the peer's
 * process is watched as well (pidfd), and when it is dead, the end is where nothing more is to be
 * read.
 *
 * `connections` tells a caller of callbacks whether its connection is still the one there is.
 */
#include "wire/carrier.h"
#include "wire/channel.h"
#include "wire/link_stream.h"
#include "wire/local_socket.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_SIZE 108 /* what a socket's address has room for */
#define SCHEME "ipc://"
#define OUT_KEPT (64u << 10) /* room that stays when nothing waits any more */
#define ACCEPTS 16           /* in a row */
/* The more a busy peer finds, the fewer calls it has for an event. The kernel gives what it may. */
#define SEND_BUFFER (1 << 20)

struct local {
    struct carrier carrier;
    char path[PATH_SIZE]; /* where it listens or whom it dials */
    int listener;         /* -1: none */
    bool dialing;
    uint64_t pause_ms; /* before the next attempt */
    ev_io arriving;    /* of listener */
    ev_timer retry;    /* to dial; to accept, after there were too many files */

    int fd; /* the connection; -1: none */
    uint64_t connections;
    uint64_t pid; /* the peer's process; 0: unknown */
    int pid_fd;   /* -1: none */
    bool dead;    /* that process */
    ev_io readable;
    ev_io writable;
    ev_io death; /* of pid_fd */
    struct link_stream in;
    struct buffer out; /* what the socket did not take at once */
    size_t out_at;     /* what of it was sent since */
};

static struct local *local_of(struct carrier *carrier)
{
    return CONTAINER_OF(carrier, struct local, carrier);
}

static bool has_peer(const struct local *local)
{
    return local->fd >= 0 && local->in.greeted;
}

/* ---- the connection */

static void forget_out(struct local *local)
{
    if (local->out.cap > OUT_KEPT)
        buffer_deinit(&local->out);
    buffer_clear(&local->out);
    local->out_at = 0;
}

static void unwatch_process(struct local *local)
{
    local->dead = false;
    local->pid = 0;
    if (local->pid_fd < 0)
        return;
    ev_io_stop(local->carrier.loop, &local->death);
    close(local->pid_fd);
    local->pid_fd = -1;
}

static void forget_connection(struct local *local)
{
    if (local->fd < 0)
        return;
    ev_io_stop(local->carrier.loop, &local->readable); /* takes back what was fed, too */
    ev_io_stop(local->carrier.loop, &local->writable);
    unwatch_process(local);
    close(local->fd);
    local->fd = -1;
    local->connections++;
    link_stream_clear(&local->in);
    forget_out(local);
}

static void try_again_later(struct local *local)
{
    ev_timer_stop(local->carrier.loop, &local->retry);
    ev_timer_set(&local->retry, (double)local->pause_ms / 1000, 0.);
    ev_timer_start(local->carrier.loop, &local->retry);
    local->pause_ms *= 2;
    if (local->pause_ms > CARRIER_PAUSE_MAX_MS)
        local->pause_ms = CARRIER_PAUSE_MAX_MS;
}

static void connection_ended(struct local *local)
{
    bool was_peer = has_peer(local);
    forget_connection(local);
    if (local->dialing)
        try_again_later(local);
    if (was_peer)
        local->carrier.events->on_peer(local->carrier.context, &local->carrier, false, 0);
}

static void watch_process(struct local *local)
{
    struct ev_loop *loop = local->carrier.loop;
    local->pid = local_socket_peer_pid(local->fd);
    if (local->pid == 0)
        return; /* of another pid namespace: the end is all there is */
    local->pid_fd = (int)syscall(SYS_pidfd_open, (pid_t)local->pid, 0);
    if (local->pid_fd >= 0) {
        ev_io_set(&local->death, local->pid_fd, EV_READ);
        ev_io_start(loop, &local->death);
    } else if (errno == ESRCH) {
        local->dead = true;
        ev_feed_event(loop, &local->readable, EV_READ);
    }
}

/* An empty socket has room for a greeting, and if it had not, its end would be read. */
static void connection_begins(struct local *local, int fd)
{
    local->fd = fd;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int));
    ev_io_set(&local->readable, fd, EV_READ);
    ev_io_set(&local->writable, fd, EV_WRITE);
    ev_io_start(local->carrier.loop, &local->readable);
    watch_process(local);
    (void)!send(fd, LINK_STREAM_GREETING, LINK_STREAM_GREETING_LEN, MSG_NOSIGNAL);
}

static void on_death(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct local *local = watcher->data;
    ev_io_stop(loop, watcher); /* it stays readable */
    local->dead = true;
    ev_feed_event(loop, &local->readable, EV_READ);
}

/* ---- receiving */

static bool take(struct local *local, int what, struct span message)
{
    struct carrier *carrier = &local->carrier;
    if (what == LINK_STREAM_MESSAGE)
        return carrier->events->on_message(carrier->context, carrier, message);
    local->pause_ms = CARRIER_PAUSE_MIN_MS;
    carrier->events->on_peer(carrier->context, carrier, true, local->pid);
    return true;
}

static void deliver(struct local *local)
{
    uint64_t connection = local->connections;
    struct span message = SPAN_EMPTY;
    int what;
    while ((what = link_stream_next(&local->in, &message)) > 0) {
        bool ours = take(local, what, message);
        if (local->connections != connection)
            return;
        if (!ours)
            what = -EBADMSG;
        if (what < 0)
            break;
    }
    if (what < 0)
        connection_ended(local);
}

/* False when there is nothing more to be read for now. */
static bool receive_once(struct local *local)
{
    size_t room;
    char *at = link_stream_room(&local->in, &room);
    ssize_t got = at ? recv(local->fd, at, room, 0) : 0; /* who cannot hear it out loses its peer */
    if (got < 0 && (errno == EINTR || (errno == EAGAIN && !local->dead)))
        return false;
    if (got <= 0) {
        connection_ended(local);
        return false;
    }
    link_stream_filled(&local->in, (size_t)got);
    deliver(local);
    return (size_t)got == room || local->dead;
}

static void receive_all(struct local *local)
{
    uint64_t connection = local->connections;
    uint64_t until_ns =
        clock_monotonic_ns() + (local->dialing ? CARRIER_READ_DIALER_NS : CARRIER_READ_LISTENER_NS);
    for (int i = 0; i < CARRIER_READS && (i == 0 || clock_monotonic_ns() < until_ns); i++) {
        if (!receive_once(local) || local->connections != connection)
            return;
    }
    /* What is left in the socket brings the next pass here. Fed, it would be read in this one. */
    if (local->dead)
        ev_feed_event(local->carrier.loop, &local->readable, EV_READ);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    receive_all(watcher->data);
}

/* ---- sending */

/* How much of it the socket took; what fails is as if taken, since the end is to be read. */
static size_t write_now(struct local *local, struct span bytes)
{
    ssize_t sent = send(local->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : bytes.len;
    return (size_t)sent;
}

static struct span waiting(const struct local *local)
{
    return span_of(local->out.data + local->out_at, local->out.len - local->out_at);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct local *local = watcher->data;
    local->out_at += write_now(local, waiting(local));
    if (local->out_at < local->out.len)
        return;
    forget_out(local);
    ev_io_stop(loop, watcher);
}

static int keep(struct local *local, struct span bytes)
{
    if (local->out_at > local->out.len / 2) {
        buffer_consume(&local->out, local->out_at);
        local->out_at = 0;
    }
    buffer_append_span(&local->out, bytes);
    if (buffer_error(&local->out))
        return -ENOMEM;
    ev_io_start(local->carrier.loop, &local->writable);
    return 0;
}

static int local_send(struct carrier *carrier, struct buffer *bundle)
{
    struct local *local = local_of(carrier);
    struct span bytes = buffer_span(bundle);
    size_t sent = waiting(local).len ? 0 : write_now(local, bytes);
    int rc = 0;
    if (sent < bytes.len)
        rc = keep(local, span_of(bytes.data + sent, bytes.len - sent));
    buffer_clear(bundle);
    return rc;
}

static size_t local_queued(const struct carrier *carrier)
{
    return waiting(CONTAINER_OF(carrier, const struct local, carrier)).len;
}

/* ---- listening and dialing */

static void on_arriving(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct local *local = watcher->data;
    for (int i = 0; i < ACCEPTS; i++) {
        if (has_peer(local))
            receive_all(local); /* which may be all of it, and then, a reset */
        int fd = -1;
        int rc = local->listener < 0 ? -EAGAIN : local_socket_accept(&fd, local->listener);
        if (rc == -EMFILE || rc == -ENFILE) { /* it would be called for ever */
            ev_io_stop(loop, watcher);
            try_again_later(local);
        }
        if (rc)
            return;
        if (has_peer(local)) {
            close(fd);
            continue;
        }
        forget_connection(local);
        connection_begins(local, fd);
    }
}

static void attempt(struct local *local)
{
    int fd;
    if (local_socket_connect(&fd, local->path) == 0)
        connection_begins(local, fd);
    else
        try_again_later(local);
}

static void on_retry(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    struct local *local = watcher->data;
    if (local->listener >= 0)
        ev_io_start(loop, &local->arriving);
    else
        attempt(local);
}

static int take_path(struct local *local, const char *url)
{
    const char *path = url + strlen(SCHEME);
    size_t len = strlen(path);
    if (len >= sizeof(local->path))
        return -ENAMETOOLONG;
    memcpy(local->path, path, len + 1);
    local->pause_ms = CARRIER_PAUSE_MIN_MS;
    return 0;
}

static int local_listen(struct carrier *carrier, const char *url, struct nng_tls_config *tls)
{
    (void)tls;
    struct local *local = local_of(carrier);
    int rc = take_path(local, url);
    if (!rc)
        rc = local_socket_listen(&local->listener, local->path);
    if (rc)
        return rc;
    ev_io_set(&local->arriving, local->listener, EV_READ);
    ev_io_start(carrier->loop, &local->arriving);
    return 0;
}

static int local_dial(struct carrier *carrier, const char *url, struct nng_tls_config *tls)
{
    (void)tls;
    struct local *local = local_of(carrier);
    int rc = take_path(local, url);
    if (rc)
        return rc;
    local->dialing = true;
    attempt(local);
    return 0;
}

static void local_reset(struct carrier *carrier)
{
    struct local *local = local_of(carrier);
    ev_timer_stop(carrier->loop, &local->retry);
    local->dialing = false;
    if (local->listener >= 0) {
        ev_io_stop(carrier->loop, &local->arriving);
        close(local->listener);
        unlink(local->path);
        local->listener = -1;
    }
    forget_connection(local);
}

static void local_drop(struct carrier *carrier)
{
    shutdown(local_of(carrier)->fd, SHUT_RDWR); /* the end is read, behind what came before it */
}

/* ---- life */

static int local_new(struct carrier **ret_carrier, struct ev_loop *loop,
    const struct carrier_events *events, void *context)
{
    struct local *local = calloc(1, sizeof(*local));
    if (!local)
        return -ENOMEM;
    local->carrier = (struct carrier){
        .kind = &carrier_local, .events = events, .context = context, .loop = loop};
    local->listener = local->fd = local->pid_fd = -1;
    ev_init(&local->arriving, on_arriving);
    ev_init(&local->readable, on_readable);
    ev_init(&local->writable, on_writable);
    ev_init(&local->death, on_death);
    ev_init(&local->retry, on_retry);
    local->arriving.data = local->readable.data = local->writable.data = local;
    local->death.data = local->retry.data = local;
    *ret_carrier = &local->carrier;
    return 0;
}

static void local_free(struct carrier *carrier)
{
    struct local *local = local_of(carrier);
    local_reset(carrier);
    link_stream_deinit(&local->in);
    buffer_deinit(&local->out);
    free(local);
}

const struct carrier_kind carrier_local = {
    .new = local_new,
    .free = local_free,
    .listen = local_listen,
    .dial = local_dial,
    .reset = local_reset,
    .send = local_send,
    .drop = local_drop,
    .queued = local_queued,
};
