/* SPDX-License-Identifier: Apache-2.0 */
#include "peer-test.h"

#include "event/codec.h"

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_SECONDS 20.0

/* ---- the fixture: what the broker never gives back must outlive its tests */

static struct fixture *linked;

int linked_fixture_up(void **state)
{
    int rc = fixture_up(state);
    linked = *state;
    linked->linked = true;
    return rc;
}

int linked_fixture_down(void **state)
{
    assert_ptr_equal(*state, linked);
    return fixture_down(state);
}

/* ---- waiting */

static void on_overdue(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    *(bool *)watcher->data = true;
    ev_break(loop, EVBREAK_ONE);
}

void peer_wait(
    struct peer *peer, bool (*holds)(const void *context), const void *context, const char *what)
{
    bool overdue = false;
    ev_timer timer;
    ev_timer_init(&timer, on_overdue, PATIENCE_SECONDS, 0.);
    timer.data = &overdue;
    ev_timer_start(peer->f->loop, &timer);
    while (!holds(context) && !overdue) {
        bool more = reads_turn(&peer->f->reads);
        ev_run(peer->f->loop, more ? EVRUN_NOWAIT : EVRUN_ONCE);
    }
    ev_timer_stop(peer->f->loop, &timer);
    if (overdue)
        fail_msg("%s: not in time: %s", peer->name, what);
}

static bool is_dropped(const void *context)
{
    const struct peer *peer = context;
    return peer->greeted && !peer->connected;
}

static bool has_message(const void *context)
{
    const struct peer *peer = context;
    return peer->inbox.len > 0;
}

static bool is_gone(const void *context)
{
    const struct peer *peer = context;
    return peer_link(peer) == NULL;
}

/* ---- messages */

static void on_message(void *context, const struct wire_message *message)
{
    struct peer *peer = context;
    struct buffer bytes = BUFFER_INIT;
    peer->greeted |= message->kind == WIRE_READY;
    wire_encode(&bytes, message);
    buffer_append(&peer->inbox, &bytes.len, sizeof(bytes.len));
    buffer_append_span(&peer->inbox, buffer_span(&bytes));
    buffer_deinit(&bytes);
}

void peer_send(struct peer *peer, const struct wire_message *message)
{
    assert_int_equal(channel_send(peer->channel, message), 0);
}

static void say_hello(struct peer *peer)
{
    struct span name = span_of_string(peer->name);
    const struct peer_options *options = &peer->options;
    const struct wire_message hello = {.kind = WIRE_HELLO,
        .hello = {.version = WIRE_VERSION,
            .role = span_of_string(options->role),
            .name = name,
            .pid = (uint64_t)(options->pid ? options->pid : getpid()),
            .instance = name,
            .process = options->process,
            .agents = span_of_string(options->agents)}};
    peer_send(peer, &hello);
}

/* A slot that has just lost its peer may turn the next one away once: it says HELLO again. */
static void on_peer(void *context, bool connected)
{
    struct peer *peer = context;
    peer->connected = connected;
    if (connected && !peer->greeted)
        say_hello(peer);
}

static const struct channel_events events = {.on_message = on_message, .on_peer = on_peer};

struct wire_message peer_expect(struct peer *peer, enum wire_kind kind)
{
    struct wire_message message;
    size_t len;
    peer_wait(peer, has_message, peer, wire_kind_name(kind));
    memcpy(&len, peer->inbox.data, sizeof(len));
    buffer_clear(&peer->current);
    buffer_append(&peer->current, peer->inbox.data + sizeof(len), len);
    buffer_consume(&peer->inbox, sizeof(len) + len);
    assert_int_equal(wire_decode(&message, buffer_span(&peer->current)), 0);
    assert_string_equal(wire_kind_name(message.kind), wire_kind_name(kind));
    return message;
}

void peer_expect_nothing(struct peer *peer)
{
    const uint64_t request = 1000000 + ++peer->requests;
    peer_send(peer, &(struct wire_message){.kind = WIRE_PING, .ping = {.request = request}});
    struct wire_message reply = peer_expect(peer, WIRE_REPLY);
    assert_int_equal(reply.reply.request, request);
}

bool peer_next_is(const struct peer *peer, enum wire_kind kind)
{
    struct wire_message message;
    size_t len;
    memcpy(&len, peer->inbox.data, sizeof(len));
    return wire_decode(&message, span_of(peer->inbox.data + sizeof(len), len)) == 0 &&
           message.kind == kind;
}

struct awaited_reply {
    const struct peer *peer;
    uint64_t request;
};

/* Where in the inbox the reply is; its end when it is not there. */
static size_t find_reply(const struct awaited_reply *awaited)
{
    const struct buffer *inbox = &awaited->peer->inbox;
    size_t at = 0;
    for (size_t len; at < inbox->len; at += sizeof(len) + len) {
        struct wire_message message;
        memcpy(&len, inbox->data + at, sizeof(len));
        assert_int_equal(wire_decode(&message, span_of(inbox->data + at + sizeof(len), len)), 0);
        if (message.kind == WIRE_REPLY && message.reply.request == awaited->request)
            break;
    }
    return at;
}

static bool is_replied(const void *context)
{
    const struct awaited_reply *awaited = context;
    return find_reply(awaited) < awaited->peer->inbox.len;
}

static void take_out(struct buffer *inbox, size_t at)
{
    size_t len;
    memcpy(&len, inbox->data + at, sizeof(len));
    len += sizeof(len);
    memmove(inbox->data + at, inbox->data + at + len, inbox->len - at - len);
    inbox->len -= len;
}

/* Twice: what the first time round was put in line has been served the second time. */
void peer_settle(struct peer *peer)
{
    for (int round = 0; round < 2; round++) {
        const struct awaited_reply awaited = {peer, 1000000 + ++peer->requests};
        peer_send(
            peer, &(struct wire_message){.kind = WIRE_PING, .ping = {.request = awaited.request}});
        peer_wait(peer, is_replied, &awaited, "the way there and back");
        take_out(&peer->inbox, find_reply(&awaited));
    }
}

/* ---- coming and going */

struct link *peer_link(const struct peer *peer)
{
    static const char *const roles[] = {"gateway", "worker"};
    for (int i = 0; i < 2; i++) {
        size_t cursor = 0;
        for (struct link *link; (link = links_next(peer->f->links, roles[i], &cursor));) {
            if (strcmp(link->name, peer->name) == 0)
                return link;
        }
    }
    return NULL;
}

void peer_dial(struct peer *ret_peer, struct fixture *f, const struct peer_options *options)
{
    static unsigned count;
    char url[PATHS_MAX];
    *ret_peer = (struct peer){.f = f, .options = *options};
    snprintf(ret_peer->name, sizeof(ret_peer->name), "peer-%u", ++count);
    struct span role = span_of_string(options->role);
    struct span name = span_of_string(ret_peer->name);
    assert_int_equal(links_offer(f->links, role, name, url), 0);
    assert_int_equal(channel_new(&ret_peer->channel, f->loop, &events, ret_peer), 0);
    assert_int_equal(channel_dial(ret_peer->channel, url), 0);
}

void peer_connect(struct peer *ret_peer, struct fixture *f, const struct peer_options *options)
{
    peer_dial(ret_peer, f, options);
    struct wire_message ready = peer_expect(ret_peer, WIRE_READY);
    assert_true(span_is(ready.ready.instance, ret_peer->name));
    assert_true(span_is(ready.ready.broker_id, "b-test"));
}

void peer_connect_gateway(struct peer *ret_peer, struct fixture *f)
{
    peer_connect(ret_peer, f, &(struct peer_options){.role = "gateway"});
}

static void peer_free(struct peer *peer)
{
    channel_free(peer->channel);
    buffer_deinit(&peer->inbox);
    buffer_deinit(&peer->current);
}

void peer_leave(struct peer *peer)
{
    channel_reset(peer->channel);
    peer_wait(peer, is_gone, peer, "gone");
    peer_free(peer);
}

void peer_expect_dropped(struct peer *peer)
{
    peer_wait(peer, is_dropped, peer, "dropped");
    assert_null(peer_link(peer));
    peer_free(peer);
}

/* ---- a gateway's */

struct wire_opened peer_open(struct peer *peer, const char *user)
{
    const uint64_t request = ++peer->requests;
    const struct wire_message open = {.kind = WIRE_OPEN,
        .open = {.request = request, .user = span_of_string(user), .mode = WIRE_OPEN_LIVE}};
    peer_send(peer, &open);
    struct wire_opened opened = peer_expect(peer, WIRE_OPENED).opened;
    assert_int_equal(opened.request, request);
    return opened;
}

void peer_credit(struct peer *peer, uint64_t bytes)
{
    peer_send(peer, &(struct wire_message){.kind = WIRE_CREDIT, .credit = {.bytes = bytes}});
    peer_expect_nothing(peer);
}

uint64_t peer_expect_events(struct peer *peer, const char *user, uint64_t after)
{
    struct wire_events message = peer_expect(peer, WIRE_EVENTS).events;
    struct event event;
    size_t at = 0;
    int rc;
    assert_true(span_is(message.user, user));
    assert_true(span_is(message.epoch, history_epoch(fixture_user(peer->f, user)->stream)));
    while ((rc = event_decode_next(&event, message.events, &at)) == 1) {
        assert_int_equal(event.seq, after + 1);
        assert_int_equal(event.user_tag, event_user_tag(span_of_string(user)));
        after = event.seq;
    }
    assert_int_equal(rc, 0);
    return after;
}

void peer_expect_events_to(struct peer *peer, const char *user, uint64_t after, uint64_t last)
{
    while (after < last) {
        while (after < last && peer->inbox.len > 0)
            after = peer_expect_events(peer, user, after);
        if (after < last && router_flush(&peer->f->router))
            continue;
        if (after < last)
            after = peer_expect_events(peer, user, after);
    }
    assert_int_equal(after, last);
}
