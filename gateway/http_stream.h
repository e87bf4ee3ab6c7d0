/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "carrier.h"

#include "base/buffer.h"

#include <sys/uio.h>

#include <ev.h>

/*
 * HTTP answers that go on: event streams. They are given sockets whose request was accepted, answer
 * it, and then move what their owner has waiting, as a WebSocket does; what a frame is they know
 * only by the empty line that ends it. Nothing is heard from the peer but that it is gone. Loop
 * thread only.
 */
struct http_streams;

struct http_stream_events {
    /* As ws_events. */
    size_t (*on_gather)(void *owner, struct iovec *ret_parts, size_t max);
    void (*on_sent)(void *owner, size_t bytes, bool full);
    void (*on_closed)(void *owner);
};

/* `events` is borrowed. */
int http_streams_new(struct http_streams **ret_streams, struct ev_loop *loop,
    const struct http_stream_events *events);
/* Closes what is open, without a word to the peers; each owner hears on_closed. Takes NULL. */
void http_streams_free(struct http_streams *streams);

/*
 * Takes the socket over in any case and answers the request. On success the stream is open, and the
 * owner's until on_closed, which never comes during a call of the owner's. Its carrier's `close`
 * sends what on_gather still gives, then an event `close` that says why, and ends the answer.
 */
int http_streams_adopt(
    struct carrier **ret_carrier, struct http_streams *streams, int fd, void *owner);
