/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include "cli.h"
#include "control.h"

#include "event/codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes of live events the broker may have under way to us. */
#define CREDIT_BYTES (4u << 20)

enum stream_state {
    STREAM_CLOSED,  /* no link, or no answer to OPEN yet */
    STREAM_READING, /* a READ is out */
    STREAM_LIVE,
};

struct stream {
    struct stream_options options;
    const struct stream_events *events;
    void *context;
    struct ev_loop *loop;
    struct attachment *attachment;
    char url[CONTROL_URL_SIZE];
    ev_timer patience; /* until the first answer, and after a loss */
    enum stream_state state;
    bool opened; /* once: from then on by cursor */
    bool failed;
    uint64_t requests;
    uint64_t awaited; /* the request whose answer moves us on */
    char epoch[IDENTIFIER_SIZE];
    uint64_t position;
    uint64_t target; /* caught up when position reaches it */
};

static void fail(struct stream *stream, const char *code, struct span message)
{
    if (stream->failed)
        return;
    stream->failed = true;
    ev_timer_stop(stream->loop, &stream->patience);
    stream->events->on_failed(stream->context, code, message);
}

/* Events that were asked for and are gone. */
static void say_gap(const struct stream *stream, uint64_t from, uint64_t to, const char *reason)
{
    const char *verb = stream->options.verb;
    if (strcmp(reason, "epoch_changed") == 0)
        fprintf(stderr, "ringside %s: the stream was numbered anew; beginning with what it has\n",
            verb);
    else
        fprintf(stderr, "ringside %s: events %llu to %llu are gone (%s)\n", verb,
            (unsigned long long)from, (unsigned long long)to, reason);
    if (stream->events->on_gap)
        stream->events->on_gap(stream->context, from, to, reason);
}

/* ---- requests */

static void send_open(struct stream *stream, enum wire_open_mode mode)
{
    stream->state = STREAM_CLOSED;
    stream->awaited = stream_next_request(stream);
    const struct wire_message message = {.kind = WIRE_OPEN,
        .open = {.request = stream->awaited,
            .user = span_of_string(stream->options.user),
            .mode = mode,
            .epoch = mode == WIRE_OPEN_CURSOR ? span_of_string(stream->epoch) : SPAN_EMPTY,
            .after = mode == WIRE_OPEN_CURSOR ? stream->position : 0}};
    attachment_send(stream->attachment, &message); /* a lost link opens again by itself */
}

static void send_read(struct stream *stream)
{
    stream->state = STREAM_READING;
    stream->awaited = stream_next_request(stream);
    const struct wire_message message = {.kind = WIRE_READ,
        .read = {.request = stream->awaited,
            .user = span_of_string(stream->options.user),
            .epoch = span_of_string(stream->epoch),
            .after = stream->position,
            .max_bytes = WIRE_PAGE_MAX}};
    attachment_send(stream->attachment, &message);
}

static void send_credit(struct stream *stream, uint64_t bytes)
{
    const struct wire_message message = {.kind = WIRE_CREDIT, .credit = {.bytes = bytes}};
    attachment_send(stream->attachment, &message);
}

static void send_taken(struct stream *stream, struct span events)
{
    const struct wire_message message = {
        .kind = WIRE_TAKEN, .taken = {.bytes = wire_answer_cost(events)}};
    attachment_send(stream->attachment, &message);
}

/* ---- events */

static bool deliver(struct stream *stream, const struct event *event)
{
    if (event->user_tag != event_user_tag(span_of_string(stream->options.user))) {
        fail(stream, "internal", SPAN_LITERAL("the broker sent another user's event"));
        return false;
    }
    uint64_t prev = stream->position;
    stream->position = event->seq;
    stream->events->on_event(stream->context, event, prev);
    return !stream->failed;
}

/* All events of a page that are new. */
static void deliver_page(struct stream *stream, struct span bytes)
{
    struct event event;
    size_t offset = 0;
    int rc;
    while ((rc = event_decode_next(&event, bytes, &offset)) > 0) {
        if (event.seq > stream->position && !deliver(stream, &event))
            return;
    }
    if (rc < 0)
        fail(stream, "internal", SPAN_LITERAL("the broker sent events that cannot be read"));
}

static void become_live(struct stream *stream)
{
    stream->state = STREAM_LIVE;
    stream->events->on_caught_up(stream->context, stream->position);
}

static void read_on(struct stream *stream)
{
    if (stream->failed)
        return;
    if (stream->position >= stream->target)
        become_live(stream);
    else
        send_read(stream);
}

static void handle_events(struct stream *stream, const struct wire_events *message)
{
    struct event event;
    size_t offset = 0;
    int rc;
    send_credit(stream, message->events.len);
    if (stream->state != STREAM_LIVE || !span_is(message->user, stream->options.user))
        return; /* what is read from history includes them */
    while ((rc = event_decode_next(&event, message->events, &offset)) > 0) {
        if (event.seq > stream->position + 1) {
            stream->target = event.seq;
            send_read(stream);
            return;
        }
        if (event.seq == stream->position + 1 && !deliver(stream, &event))
            return;
    }
    if (rc < 0)
        fail(stream, "internal", SPAN_LITERAL("the broker sent events that cannot be read"));
}

static void handle_page(struct stream *stream, const struct wire_page *page)
{
    send_taken(stream, page->events);
    if (page->request != stream->awaited || stream->state != STREAM_READING)
        return;
    uint64_t before = stream->position;
    if (page->status == WIRE_PAGE_EPOCH_CHANGED) {
        send_open(stream, WIRE_OPEN_CURSOR);
        return;
    }
    bool damaged = page->status == WIRE_PAGE_DAMAGED;
    if ((damaged || page->status == WIRE_PAGE_TRIMMED) && page->oldest > stream->position + 1) {
        say_gap(stream, stream->position + 1, page->oldest - 1, damaged ? "damaged" : "trimmed");
        stream->position = page->oldest - 1;
    } else {
        deliver_page(stream, page->events);
    }
    if (page->head > stream->target)
        stream->target = page->head;
    if (!stream->failed && stream->position == before && stream->position < stream->target)
        fail(stream, "internal", SPAN_LITERAL("the broker sent an empty page"));
    read_on(stream);
}

static void handle_opened(struct stream *stream, const struct wire_opened *opened)
{
    if (opened->request != stream->awaited || opened->epoch.len >= sizeof(stream->epoch))
        return;
    ev_timer_stop(stream->loop, &stream->patience);
    if (opened->resume == WIRE_RESUME_RESET || opened->resume == WIRE_RESUME_GAP)
        say_gap(stream, opened->gap_from, opened->gap_to,
            opened->resume == WIRE_RESUME_RESET ? "epoch_changed" : "trimmed");
    memcpy(stream->epoch, opened->epoch.data, opened->epoch.len);
    stream->epoch[opened->epoch.len] = '\0';
    stream->position = opened->start;
    stream->target = opened->head;
    stream->opened = true;
    stream->events->on_open(stream->context);
    read_on(stream);
}

static void handle_reply(struct stream *stream, const struct wire_reply *reply)
{
    if (reply->request != stream->awaited)
        stream->events->on_reply(stream->context, reply);
    else if (reply->code.len) /* the OPEN or READ was refused */
        fail(stream, "refused", reply->message);
}

/* ---- the link */

static void on_ready(void *context, struct span broker_id)
{
    struct stream *stream = context;
    (void)broker_id;
    send_credit(stream, CREDIT_BYTES);
    send_open(stream, stream->opened ? WIRE_OPEN_CURSOR : stream->options.mode);
}

static void on_message(void *context, const struct wire_message *message)
{
    struct stream *stream = context;
    if (stream->failed)
        return;
    switch (message->kind) {
    case WIRE_OPENED: handle_opened(stream, &message->opened); break;
    case WIRE_PAGE: handle_page(stream, &message->page); break;
    case WIRE_EVENTS: handle_events(stream, &message->events); break;
    case WIRE_KICK: fail(stream, "disconnected", SPAN_LITERAL("by an administrator")); break;
    case WIRE_EPOCH_CHANGED: send_open(stream, WIRE_OPEN_CURSOR); break;
    case WIRE_REPLY: handle_reply(stream, &message->reply); break;
    default: break;
    }
}

static void wait_for_answer(struct stream *stream, double seconds)
{
    ev_timer_stop(stream->loop, &stream->patience);
    ev_timer_set(&stream->patience, seconds, 0.);
    ev_timer_start(stream->loop, &stream->patience);
}

static void on_lost(void *context)
{
    struct stream *stream = context;
    stream->state = STREAM_CLOSED;
    stream->awaited = 0;
    if (stream->failed)
        return;
    wait_for_answer(stream, 10 * CLI_REACH_SECONDS); /* a broker that restarts recovers first */
    fprintf(stderr, "ringside %s: the broker is gone; waiting for it to come back\n",
        stream->options.verb);
}

static void on_refused(void *context, struct span code, struct span message)
{
    (void)code;
    fail(context, "refused", message);
}

static void on_patience(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    fail(watcher->data, "unreachable", SPAN_EMPTY);
}

static const struct attachment_events stream_link_events = {
    .on_ready = on_ready,
    .on_message = on_message,
    .on_lost = on_lost,
    .on_refused = on_refused,
};

/* ---- life */

int stream_new(struct stream **ret_stream, struct ev_loop *loop,
    const struct stream_options *options, const struct stream_events *events, void *context)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return -ENOMEM;
    stream->options = *options;
    stream->events = events;
    stream->context = context;
    stream->loop = loop;
    stream->position = options->after;
    if (options->epoch)
        snprintf(stream->epoch, sizeof(stream->epoch), "%s", options->epoch);
    ev_timer_init(&stream->patience, on_patience, 0., 0.);
    stream->patience.data = stream;
    wait_for_answer(stream, CLI_REACH_SECONDS);
    int rc = control_url(stream->url, options->run_dir);
    if (rc == 0) {
        const struct attachment_options link = {
            .control_url = stream->url, .role = "client", .name = options->verb, .agents = ""};
        rc = attachment_new(&stream->attachment, loop, &link, &stream_link_events, stream);
    }
    if (rc) {
        ev_timer_stop(loop, &stream->patience);
        free(stream);
        return rc;
    }
    *ret_stream = stream;
    return 0;
}

int stream_send(struct stream *stream, const struct wire_message *message)
{
    return attachment_send(stream->attachment, message);
}

uint64_t stream_next_request(struct stream *stream)
{
    return ++stream->requests;
}

void stream_cursor(const struct stream *stream, char ret_cursor[STREAM_CURSOR_SIZE])
{
    ret_cursor[0] = '\0';
    if (stream->opened)
        snprintf(ret_cursor, STREAM_CURSOR_SIZE, "%s.%llu", stream->epoch,
            (unsigned long long)stream->position);
}
