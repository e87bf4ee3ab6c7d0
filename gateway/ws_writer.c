/* SPDX-License-Identifier: Apache-2.0 */
#include "ws_writer.h"

#include "frame.h"

#include <errno.h>
#include <sys/socket.h>

void ws_writer_deinit(struct ws_writer *writer)
{
    buffer_deinit(&writer->own);
}

void ws_writer_begin(struct ws_writer *writer, struct span bytes)
{
    buffer_append_span(&writer->own, bytes);
    writer->cut = writer->own.len;
}

bool ws_writer_pong(struct ws_writer *writer, struct span payload, bool full)
{
    bool supersedes = full && writer->own.len > writer->cut;
    if (supersedes)
        writer->own.len = writer->cut;
    frame_append_pong(&writer->own, payload);
    return supersedes;
}

void ws_writer_close(struct ws_writer *writer, int code)
{
    frame_append_close(&writer->own, code, "");
}

/* What is left of `own` begins with the rest of a frame, or with a frame. */
static void own_sent(struct ws_writer *writer, size_t sent)
{
    struct buffer *own = &writer->own;
    struct span frames = span_of(own->data + writer->cut, own->len - writer->cut);
    writer->cut =
        sent < writer->cut ? writer->cut - sent : frame_missing(frames, sent - writer->cut);
    buffer_consume(own, sent);
}

int ws_writer_put_own(struct ws_writer *writer, int fd)
{
    struct buffer *own = &writer->own;
    if (buffer_error(own))
        return -EPIPE; /* the peer would miss what is missing of it */
    if (!own->len)
        return 1;
    ssize_t sent = send(fd, own->data, own->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
    own_sent(writer, (size_t)sent);
    if (own->len)
        return 0;
    buffer_deinit(own);
    return 1;
}

/* What is missing of the frame that was cut after `put` bytes of the parts. */
static struct span cut_tail(const struct iovec *parts, size_t put)
{
    while (put >= parts->iov_len) {
        put -= parts->iov_len;
        if (!put)
            return SPAN_EMPTY;
        parts++;
    }
    const char *at = parts->iov_base;
    return span_of(at + put, frame_missing(span_of(at, parts->iov_len), put));
}

static size_t size_of(const struct iovec *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

int ws_writer_put(
    struct ws_writer *writer, int fd, struct iovec *parts, size_t count, size_t *ret_gone)
{
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t put = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        return -EPIPE;
    size_t taken = put < 0 ? 0 : (size_t)put;
    bool all = taken == size_of(parts, count);
    struct span tail = all || !taken ? SPAN_EMPTY : cut_tail(parts, taken);
    ws_writer_begin(writer, tail);
    if (buffer_error(&writer->own))
        return -EPIPE; /* the frame is cut for good */
    *ret_gone = taken + tail.len;
    return all;
}
