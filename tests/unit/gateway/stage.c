/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "config/option.h"
#include "event/codec.h"
#include "wire/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the played link */

struct broker_link the_link;

struct broker_link *brokers_link_of(const struct brokers *brokers, const char *user)
{
    (void)brokers;
    (void)user;
    return &the_link;
}

bool broker_link_ready(const struct broker_link *self)
{
    return self->ready;
}

int broker_link_send(struct broker_link *self, const struct wire_message *message)
{
    if (!self->ready)
        return -ENOTCONN;
    self->closes += message->kind == WIRE_CLOSE;
    if (message->kind == WIRE_ACK) {
        self->acks++;
        self->acked = message->ack.seq;
    }
    return 0;
}

int broker_link_call(struct broker_link *self, struct link_call *call, struct wire_message *message)
{
    if (!self->ready)
        return -ENOTCONN;
    assert_in_range(self->call_count, 0, 63);
    call->request = ++self->last_request;
    call->owner = self;
    self->calls[self->call_count] = call;
    self->asked[self->call_count++] = *message;
    return 0;
}

static void forget(size_t at)
{
    the_link.calls[at]->request = 0;
    the_link.call_count--;
    memmove(
        the_link.calls + at, the_link.calls + at + 1, (the_link.call_count - at) * sizeof(void *));
    memmove(the_link.asked + at, the_link.asked + at + 1,
        (the_link.call_count - at) * sizeof(the_link.asked[0]));
}

void broker_link_cancel(struct link_call *call)
{
    for (size_t i = 0; i < the_link.call_count; i++) {
        if (the_link.calls[i] == call) {
            forget(i);
            return;
        }
    }
}

bool answer(enum wire_kind kind, const struct wire_message *reply)
{
    for (size_t i = 0; i < the_link.call_count; i++) {
        if (the_link.asked[i].kind != kind)
            continue;
        struct link_call *call = the_link.calls[i];
        forget(i);
        call->done(call, reply);
        return true;
    }
    return false;
}

void lose_link(void)
{
    the_link.ready = false;
    while (the_link.call_count) {
        struct link_call *call = the_link.calls[0];
        forget(0);
        call->done(call, NULL);
    }
}

/* ---- the played sockets */

void sip(struct ws_connection *connection, size_t bytes)
{
    struct iovec part;
    size_t sent = 0;
    if (!session_gather(connection->session, &part, 1))
        return;
    if (bytes) {
        size_t most = bytes < part.iov_len ? bytes : part.iov_len;
        sent = most + frame_missing(span_of(part.iov_base, part.iov_len), most);
        buffer_append(&connection->seen, part.iov_base, sent);
    }
    session_sent(connection->session, sent, true);
}

static struct ws_connection *connection_of(struct carrier *carrier)
{
    return CONTAINER_OF(carrier, struct ws_connection, carrier);
}

static void on_wake(struct carrier *carrier)
{
    (void)carrier;
}

bool drain(struct ws_connection *connection)
{
    struct iovec parts[8];
    size_t before = connection->seen.len;
    size_t count;
    while ((count = session_gather(connection->session, parts, 8))) {
        size_t start = connection->seen.len;
        for (size_t i = 0; i < count; i++)
            buffer_append(&connection->seen, parts[i].iov_base, parts[i].iov_len);
        session_sent(connection->session, connection->seen.len - start, false);
    }
    return connection->seen.len > before;
}

static bool on_flush(struct carrier *carrier)
{
    struct ws_connection *connection = connection_of(carrier);
    if (connection->blocked)
        sip(connection, 0);
    else
        drain(connection);
    return !connection->blocked;
}

static void on_close(struct carrier *carrier, int code, const char *reason)
{
    assert_true(strlen(reason) > 0 && strlen(reason) < 124);
    connection_of(carrier)->close_code = code;
}

static const struct carrier_operations operations = {
    .wake = on_wake, .flush = on_flush, .close = on_close};

/* ---- the stage */

int stage_set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    the_link = (struct broker_link){.ready = true};
    assert_int_equal(option_set_defaults(&stage->config), 0);
    stage->config.gateway_max_outbox = 1 << 20;
    stage->config.gateway_max_messages_per_second = 100000;
    fanout_init(&stage->fanout, NULL, &stage->counters);
    stage->host = (struct session_host){
        .config = &stage->config, .fanout = &stage->fanout, .counters = &stage->counters};
    list_init(&stage->host.sessions);
    *state = stage;
    return 0;
}

int stage_tear_down(void **state)
{
    struct stage *stage = *state;
    for (size_t i = 0; i < stage->count; i++) {
        session_free(stage->sockets[i].session);
        buffer_deinit(&stage->sockets[i].seen);
    }
    fanout_deinit(&stage->fanout);
    buffer_deinit(&stage->bytes);
    config_deinit(&stage->config);
    int left = (int)stage->counters.connections;
    free(stage);
    return left;
}

struct ws_connection *join_with(struct stage *stage, const struct handshake *handshake)
{
    struct ws_connection *socket = &stage->sockets[stage->count++];
    const struct token_claims claims = {.user = "alice", .expires_at = UINT32_MAX};
    assert_int_equal(session_new(&socket->session, &stage->host, &claims, handshake), 0);
    socket->carrier.operations = &operations;
    session_start(socket->session, &socket->carrier);
    return socket;
}

struct ws_connection *join(struct stage *stage, enum wire_open_mode mode)
{
    const struct handshake handshake = {.mode = mode, .epoch = "e1"};
    return join_with(stage, &handshake);
}

void opened_in(struct stage *stage, const char *epoch, enum wire_resume resume, uint64_t start)
{
    const struct wire_message message = {.kind = WIRE_OPENED,
        .opened = {.resume = resume,
            .epoch = span_of_string(epoch),
            .start = start,
            .head = stage->head,
            .oldest = 1,
            .runs = span_of_string(stage->runs),
            .gap_from = 1,
            .gap_to = start}};
    assert_true(answer(WIRE_OPEN, &message));
}

void opened(struct stage *stage, enum wire_resume resume, uint64_t start)
{
    opened_in(stage, "e1", resume, start);
}

static struct event event_at(uint64_t seq, const char *user)
{
    struct event event = {.type = EVENT_PARTIAL_RESULT, .seq = seq, .timestamp = 1};
    event.user_tag = event_user_tag(span_of_string(user));
    event.thread_id = seq % 2 ? SPAN_LITERAL("odd") : SPAN_LITERAL("even");
    event.data = SPAN_LITERAL("{}");
    return event;
}

static struct span events_between(struct stage *stage, uint64_t from, uint64_t to, const char *user)
{
    buffer_clear(&stage->bytes);
    for (uint64_t seq = from; seq <= to; seq++) {
        const struct event event = event_at(seq, user);
        event_encode(&stage->bytes, &event);
    }
    return buffer_span(&stage->bytes);
}

void live_encoded(struct stage *stage, struct span encoded, uint64_t last)
{
    const struct wire_events events = {
        .user = SPAN_LITERAL("alice"), .epoch = SPAN_LITERAL("e1"), .events = encoded};
    stage->head = last > stage->head ? last : stage->head;
    fanout_handle_events(&stage->fanout, &events);
}

void live_of(struct stage *stage, uint64_t from, uint64_t to, const char *user)
{
    live_encoded(stage, events_between(stage, from, to, user), to);
}

void live(struct stage *stage, uint64_t from, uint64_t to)
{
    live_of(stage, from, to, "alice");
}

int64_t page(struct stage *stage, uint64_t most)
{
    for (size_t i = 0; i < the_link.call_count; i++) {
        if (the_link.asked[i].kind != WIRE_READ)
            continue;
        uint64_t after = the_link.asked[i].read.after;
        uint64_t last = after + most < stage->head ? after + most : stage->head;
        const struct wire_message message = {.kind = WIRE_PAGE,
            .page = {.status = WIRE_PAGE_OK,
                .last = last > after ? last : after,
                .head = stage->head,
                .oldest = 1,
                .events = events_between(stage, after + 1, last, "alice")}};
        assert_true(answer(WIRE_READ, &message));
        return (int64_t)after;
    }
    return -1;
}

int64_t snapshot(struct stage *stage, uint64_t seq, const char *run_id, bool more)
{
    struct buffer body = BUFFER_INIT;
    for (size_t i = 0; i < the_link.call_count; i++) {
        if (the_link.asked[i].kind != WIRE_SNAPSHOT_READ)
            continue;
        int64_t after = (int64_t)the_link.asked[i].snapshot_read.after;
        struct wire_message message = {.kind = WIRE_SNAPSHOT,
            .snapshot = {.user = SPAN_LITERAL("alice"),
                .status = WIRE_PAGE_OK,
                .seq = seq,
                .last = (uint64_t)after + 1,
                .more = more}};
        buffer_clear(&stage->bytes);
        buffer_printf(&body, "{\"run_id\":\"%s\",\"seq\":%llu}", run_id ? run_id : "",
            (unsigned long long)seq);
        const struct wire_snapshot_run run = {SPAN_LITERAL("even"), buffer_span(&body)};
        if (run_id)
            wire_snapshot_append(&stage->bytes, &run);
        message.snapshot.runs = buffer_span(&stage->bytes);
        stage->head = seq > stage->head ? seq : stage->head;
        assert_true(answer(WIRE_SNAPSHOT_READ, &message));
        buffer_deinit(&body);
        return after;
    }
    return -1;
}

/* ---- what a client saw */

/* The number behind `name`, -1 when it is not there. */
static long number_of(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

static void describe(struct buffer *out, const char *json)
{
    long seq = number_of(json, "\"seq\":");
    long prev = number_of(json, "\"prev\":");
    if (out->len)
        buffer_append_char(out, ' ');
    if (prev >= 0)
        buffer_printf(out, "%ld<%ld", seq, prev);
    else if (strstr(json, "\"caught_up\""))
        buffer_printf(out, "caught_up:%ld", seq);
    else if (strstr(json, "\"snapshot\","))
        buffer_printf(out, "snapshot:%ld", seq);
    else if (strstr(json, "\"gap\","))
        buffer_printf(out, "gap:%ld-%ld", number_of(json, "\"from\":"), number_of(json, "\"to\":"));
    else if (strstr(json, "\"type\""))
        buffer_printf(out, "%.*s", (int)strcspn(json + 9, "\""), json + 9);
    else
        buffer_printf(out, "reply:%.*s", (int)strcspn(json + 6, ","), json + 6);
}

void see(struct buffer *ret_words, struct ws_connection *socket)
{
    char json[1024];
    drain(socket);
    for (size_t at = 0; at < socket->seen.len;) {
        const unsigned char *frame = (const unsigned char *)socket->seen.data + at;
        size_t header = frame[1] == 126 ? 4 : 2;
        size_t len = frame[1] == 126 ? (size_t)(frame[2] << 8 | frame[3]) : frame[1];
        snprintf(json, sizeof(json), "%.*s", (int)len, (const char *)frame + header);
        describe(ret_words, json);
        at += header + len;
    }
    buffer_append_char(ret_words, '\0');
    buffer_clear(&socket->seen);
}

void assert_saw(struct ws_connection *socket, const char *wanted)
{
    struct buffer words = BUFFER_INIT;
    see(&words, socket);
    assert_string_equal(words.data, wanted);
    buffer_deinit(&words);
}

void say(struct ws_connection *socket, const char *text)
{
    session_handle_message(socket->session, span_of_string(text));
}

unsigned times_seen(struct ws_connection *socket, const char *text)
{
    unsigned times = 0;
    drain(socket);
    const char *end = socket->seen.data + socket->seen.len;
    for (const char *at = socket->seen.data; at; times++) {
        at = memmem(at, (size_t)(end - at), text, strlen(text));
        if (!at)
            break;
        at++;
    }
    return times;
}

void restore_link(struct stage *stage)
{
    the_link.ready = true;
    fanout_handle_ready(&stage->fanout, &the_link);
}
