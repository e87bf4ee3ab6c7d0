/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream is OPEN, then CLOSING (what waits goes out, and behind it why it ends), then LINGERING
 * (our side is shut; closing a socket with unread bytes would reset it and overtake the end).
 *
 * `pending` goes before the owner's frames: the answer's head, then the rest of whichever frame the
 * socket took in part, so that what waits with the owner always begins with a frame.
 *
 * There are no pongs: a peer that vanished is noticed by the kernel, when what is sent at a fixed
 * pace is not acknowledged. With TLS the socket here is a local one, and tls.c has the other.
 */
#include "http_stream.h"

#include "control.h"
#include "frame.h"

#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PARTS_MAX 64
#define CLOSE_SECONDS 20.
#define LINGER_SECONDS 2.
#define LISTEN_BYTES_MAX (64u << 10)
#define UNACKNOWLEDGED_MS 45000u

#define HEAD                                                                                       \
    "HTTP/1.1 200 OK\r\n"                                                                          \
    "Content-Type: text/event-stream\r\n"                                                          \
    "Cache-Control: no-store\r\n"                                                                  \
    "X-Accel-Buffering: no\r\n"                                                                    \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "Referrer-Policy: no-referrer\r\n"                                                             \
    "Connection: close\r\n\r\n"

struct http_streams {
    struct ev_loop *loop; /* borrowed */
    const struct http_stream_events *events;
    struct list_link streams; /* struct http_stream.link */
    struct list_link awake;   /* struct http_stream.awake_link: to be written to */
    ev_prepare turn_end;
};

enum stream_state {
    STREAM_OPEN,
    STREAM_CLOSING,
    STREAM_LINGERING,
};

struct http_stream {
    struct carrier carrier;
    struct http_streams *streams;
    struct list_link link;
    struct list_link awake_link;
    enum stream_state state;
    void *owner;
    int fd;
    bool full;   /* the socket takes nothing more: `writable` is on */
    bool broken; /* nothing can be sent any more; gone at the turn's end */
    ev_io readable;
    ev_io writable;
    ev_timer linger;
    struct buffer pending;
    size_t pending_sent;
    struct buffer farewell; /* the event `close`, while it waits for what is before it */
    size_t listened;        /* bytes of the peer's, which mean nothing */
};

/* ---- the end of one */

static void gone(struct http_stream *stream)
{
    struct http_streams *streams = stream->streams;
    ev_io_stop(streams->loop, &stream->readable);
    ev_io_stop(streams->loop, &stream->writable);
    ev_timer_stop(streams->loop, &stream->linger);
    list_remove(&stream->link);
    list_remove(&stream->awake_link);
    close(stream->fd);
    buffer_deinit(&stream->pending);
    buffer_deinit(&stream->farewell);
    streams->events->on_closed(stream->owner);
    free(stream);
}

static void wake(struct http_stream *stream)
{
    if (!stream->full && list_empty(&stream->awake_link))
        list_append(&stream->streams->awake, &stream->awake_link);
}

static void break_off(struct http_stream *stream)
{
    stream->broken = true;
    stream->full = false;
    wake(stream);
}

/* ---- sending */

static void wait_for_room(struct http_stream *stream)
{
    stream->full = true;
    ev_io_start(stream->streams->loop, &stream->writable);
}

/* How many bytes were taken, 0 when the socket is full, -EPIPE when it is broken. */
static ssize_t put(struct http_stream *stream, struct iovec *parts, size_t count)
{
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t taken = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
    return taken;
}

/* 1 when nothing of it is left, 0 when the socket is full, -EPIPE. */
static int put_pending(struct http_stream *stream)
{
    struct buffer *pending = &stream->pending;
    while (stream->pending_sent < pending->len) {
        struct iovec part = {
            pending->data + stream->pending_sent, pending->len - stream->pending_sent};
        ssize_t taken = put(stream, &part, 1);
        if (taken <= 0)
            return (int)taken;
        stream->pending_sent += (size_t)taken;
    }
    buffer_deinit(pending); /* seldom needed again: no memory for it meanwhile */
    stream->pending_sent = 0;
    return 1;
}

/* What is missing of the frame that ends after `taken` bytes of the part, if it was cut. */
static struct span cut_tail(struct span part, size_t taken)
{
    if (taken == 0 || (taken >= 2 && memcmp(part.data + taken - 2, "\n\n", 2) == 0))
        return SPAN_EMPTY;
    const char *at = memmem(part.data + taken - 1, part.len - taken + 1, "\n\n", 2);
    const char *end = at ? at + 2 : part.data + part.len;
    return span_of(part.data + taken, (size_t)(end - part.data) - taken);
}

/* 1 when all was taken, 0 when the socket is full, -EPIPE. */
static int put_parts(struct http_stream *stream, struct iovec *parts, size_t count)
{
    ssize_t taken = put(stream, parts, count);
    if (taken < 0)
        return (int)taken;
    size_t left = (size_t)taken;
    size_t part = 0;
    while (part < count && left >= parts[part].iov_len)
        left -= parts[part++].iov_len;
    struct span tail = part < count
                           ? cut_tail(span_of(parts[part].iov_base, parts[part].iov_len), left)
                           : SPAN_EMPTY;
    buffer_append_span(&stream->pending, tail);
    if (buffer_error(&stream->pending))
        return -EPIPE;
    size_t sent = (size_t)taken + tail.len;
    stream->streams->events->on_sent(stream->owner, sent, part < count);
    return part == count;
}

static void restart(struct http_stream *stream, double seconds)
{
    ev_timer_stop(stream->streams->loop, &stream->linger);
    ev_timer_set(&stream->linger, seconds, 0.);
    ev_timer_start(stream->streams->loop, &stream->linger);
}

/* The owner has nothing more: an open stream waits, a closing one says why it ends, and ends. */
static int end_turn(struct http_stream *stream)
{
    if (stream->state != STREAM_CLOSING)
        return 1;
    if (stream->farewell.len) {
        buffer_append_span(&stream->pending, buffer_span(&stream->farewell));
        buffer_deinit(&stream->farewell);
        int rc = put_pending(stream);
        if (rc <= 0)
            return rc;
    }
    stream->state = STREAM_LINGERING;
    restart(stream, LINGER_SECONDS);
    return shutdown(stream->fd, SHUT_WR) < 0 ? -EPIPE : 1;
}

/* Everything that waits, until the socket is full. */
static int write_out(struct http_stream *stream)
{
    struct iovec parts[PARTS_MAX];
    int rc = put_pending(stream);
    while (rc > 0 && stream->state != STREAM_LINGERING) {
        size_t count = stream->streams->events->on_gather(stream->owner, parts, PARTS_MAX);
        if (!count)
            return end_turn(stream);
        rc = put_parts(stream, parts, count);
    }
    return rc;
}

static void write_or_wait(struct http_stream *stream)
{
    list_remove(&stream->awake_link);
    int rc = write_out(stream);
    if (rc < 0)
        break_off(stream);
    else if (rc == 0)
        wait_for_room(stream);
}

/* Right before the loop waits: one write a stream, for all that happened in this turn. */
static void on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    struct http_streams *streams = watcher->data;
    struct http_stream *stream;
    while ((stream = LIST_FIRST(struct http_stream, &streams->awake, awake_link))) {
        if (stream->broken)
            gone(stream);
        else
            write_or_wait(stream);
    }
}

/* ---- what the loop calls */

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct http_stream *stream = watcher->data;
    ev_io_stop(loop, watcher);
    stream->full = false;
    wake(stream);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    char bytes[4096];
    struct http_stream *stream = watcher->data;
    ssize_t got = recv(stream->fd, bytes, sizeof(bytes), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    stream->listened += got > 0 ? (size_t)got : 0;
    if (got <= 0 || stream->listened > LISTEN_BYTES_MAX)
        gone(stream);
}

static void on_linger(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    gone(watcher->data);
}

/* ---- as a carrier */

static struct http_stream *stream_of(struct carrier *carrier)
{
    return CONTAINER_OF(carrier, struct http_stream, carrier);
}

static void on_wake(struct carrier *carrier)
{
    wake(stream_of(carrier));
}

static bool on_flush(struct carrier *carrier)
{
    struct http_stream *stream = stream_of(carrier);
    if (stream->full || stream->broken)
        return false;
    write_or_wait(stream);
    return !stream->full && !stream->broken;
}

static void on_close(struct carrier *carrier, int code, const char *reason)
{
    struct http_stream *stream = stream_of(carrier);
    struct buffer json = BUFFER_INIT;
    if (stream->state != STREAM_OPEN)
        return;
    stream->state = STREAM_CLOSING;
    control_append_close(&json, code, reason);
    frame_append_control(&stream->farewell, FRAME_SSE, buffer_span(&json));
    buffer_deinit(&json);
    restart(stream, CLOSE_SECONDS);
    wake(stream);
}

/* ---- beginning */

static void start_watchers(struct http_stream *stream)
{
    struct ev_loop *loop = stream->streams->loop;
    unsigned patience = UNACKNOWLEDGED_MS;
    setsockopt(stream->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
    ev_io_init(&stream->readable, on_readable, stream->fd, EV_READ);
    ev_io_init(&stream->writable, on_writable, stream->fd, EV_WRITE);
    ev_timer_init(&stream->linger, on_linger, CLOSE_SECONDS, 0.);
    stream->readable.data = stream;
    stream->writable.data = stream;
    stream->linger.data = stream;
    ev_io_start(loop, &stream->readable);
}

int http_streams_adopt(
    struct carrier **ret_carrier, struct http_streams *streams, int fd, void *owner)
{
    static const struct carrier_operations operations = {
        .wake = on_wake, .flush = on_flush, .close = on_close};
    struct http_stream *stream = calloc(1, sizeof(*stream));
    if (stream)
        buffer_append_string(&stream->pending, HEAD);
    if (!stream || buffer_error(&stream->pending)) {
        free(stream);
        close(fd);
        return -ENOMEM;
    }
    stream->carrier.operations = &operations;
    stream->streams = streams;
    stream->owner = owner;
    stream->fd = fd;
    list_init(&stream->awake_link);
    list_init(&stream->link);
    list_append(&streams->streams, &stream->link);
    start_watchers(stream);
    wake(stream); /* the head tells the client that it was accepted */
    *ret_carrier = &stream->carrier;
    return 0;
}

/* ---- life */

int http_streams_new(struct http_streams **ret_streams, struct ev_loop *loop,
    const struct http_stream_events *events)
{
    struct http_streams *streams = calloc(1, sizeof(*streams));
    if (!streams)
        return -ENOMEM;
    streams->loop = loop;
    streams->events = events;
    list_init(&streams->streams);
    list_init(&streams->awake);
    ev_prepare_init(&streams->turn_end, on_turn_end);
    streams->turn_end.data = streams;
    ev_prepare_start(loop, &streams->turn_end);
    *ret_streams = streams;
    return 0;
}

void http_streams_free(struct http_streams *streams)
{
    if (!streams)
        return;
    LIST_FOR_EACH(struct http_stream, stream, &streams->streams, link)
    gone(stream);
    ev_prepare_stop(streams->loop, &streams->turn_end);
    free(streams);
}
