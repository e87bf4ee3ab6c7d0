/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"
#include "event/event.h"
#include "wire/attachment.h"

/*
 * A user's events as a client follows them, over a link of role "client": each event once and in
 * order, across restarts of the broker. Loop thread only.
 *
 * `position` is the number of the last event delivered. A live event is delivered when it is the
 * next one; below, it was had already; above, pages are read from history until it is reached.
 * After a lost link the stream is opened again from its position. That the link is lost, and which
 * events are gone, it says itself on stderr, under the name of the verb; the latter to its owner
 * as well.
 */
struct stream;

struct stream_options {
    const char *run_dir; /* borrowed, as all strings here */
    const char *user;
    const char *verb; /* the name of this client in `ringside status` and on stderr */
    enum wire_open_mode mode;
    const char *epoch; /* with WIRE_OPEN_CURSOR */
    uint64_t after;
};

struct stream_events {
    /* The stream is open: at first, and again after a lost link. Requests may be sent. */
    void (*on_open)(void *context);
    /* `prev` is the position before it. Spans are valid during the call. */
    void (*on_event)(void *context, const struct event *event, uint64_t prev);
    void (*on_caught_up)(void *context, uint64_t position);
    /* Events `from` to `to` are gone; what follows begins behind them. NULL: of no interest. */
    void (*on_gap)(void *context, uint64_t from, uint64_t to, const char *reason);
    /* The answer to a message of the owner's. */
    void (*on_reply)(void *context, const struct wire_reply *reply);
    /* It cannot go on; `code` "unreachable": no broker answered in time. */
    void (*on_failed)(void *context, const char *code, struct span message);
};

/* Starts at once. -ENAMETOOLONG, -ENOMEM. */
int stream_new(struct stream **ret_stream, struct ev_loop *loop,
    const struct stream_options *options, const struct stream_events *events, void *context);
/* Sends a message of the owner's; as attachment_send. */
int stream_send(struct stream *stream, const struct wire_message *message);
/* A number for the `request` of a message. */
uint64_t stream_next_request(struct stream *stream);
/* "EPOCH.SEQ": where a later `tail --cursor` goes on. Empty before the stream is open. */
#define STREAM_CURSOR_SIZE (IDENTIFIER_SIZE + 24)
void stream_cursor(const struct stream *stream, char ret_cursor[STREAM_CURSOR_SIZE]);
