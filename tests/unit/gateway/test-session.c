/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions and feeds between a broker and sockets that are both played here: the functions of
 * broker_link.h and ws_server.h that sessions use are defined in this file, so the linker takes
 * these. The played broker keeps each user's stream and answers when told to.
 */
#include "session.h"
#include "unit.h"

#include "event/codec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the played link */

struct broker_link {
    bool ready;
    uint64_t last_request;
    struct link_call *calls[64];
    struct wire_message asked[64]; /* what each call asked; spans are its caller's */
    size_t call_count;
    unsigned closes;
    unsigned acks;
    uint64_t acked;
};

static struct broker_link the_link;

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
    memmove(the_link.calls + at, the_link.calls + at + 1,
        (the_link.call_count - at) * sizeof(the_link.calls[0]));
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

/* The oldest question of this kind is answered; false when there is none. */
static bool answer(enum wire_kind kind, const struct wire_message *reply)
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

static void lose_link(void)
{
    the_link.ready = false;
    while (the_link.call_count) {
        struct link_call *call = the_link.calls[0];
        forget(0);
        call->done(call, NULL);
    }
}

/* ---- the played sockets */

struct ws_connection {
    struct session *session;
    bool blocked; /* takes nothing */
    int close_code;
    struct buffer seen; /* frames, as they went out */
};

void ws_connection_wake(struct ws_connection *connection)
{
    (void)connection;
}

static bool drain(struct ws_connection *connection)
{
    size_t before = connection->seen.len;
    session_handle_writable(connection->session, &connection->seen, SIZE_MAX);
    return connection->seen.len > before;
}

bool ws_connection_flush(struct ws_connection *connection)
{
    return !connection->blocked && drain(connection);
}

void ws_connection_close(struct ws_connection *connection, int code, const char *reason)
{
    assert_true(strlen(reason) > 0 && strlen(reason) < 124);
    connection->close_code = code;
}

/* ---- the stage: one gateway's parts, one user's stream */

struct stage {
    struct config config;
    struct counters counters;
    struct fanout fanout;
    struct session_host host;
    struct ws_connection sockets[4];
    size_t count;
    uint64_t head;
    struct buffer bytes; /* the page or batch that is being said */
};

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    the_link = (struct broker_link){.ready = true};
    stage->config.gateway_max_outbox = 1 << 20;
    stage->config.gateway_max_messages_per_second = 100000;
    stage->config.gateway_heartbeat = 25000;
    fanout_init(&stage->fanout, &the_link, &stage->counters);
    stage->host = (struct session_host){.config = &stage->config,
        .link = &the_link,
        .fanout = &stage->fanout,
        .counters = &stage->counters,
        .ping = frame_new(FRAME_PING, SPAN_LITERAL("?"))};
    list_init(&stage->host.sessions);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    for (size_t i = 0; i < stage->count; i++) {
        session_free(stage->sockets[i].session);
        buffer_deinit(&stage->sockets[i].seen);
    }
    fanout_deinit(&stage->fanout);
    frame_unref(stage->host.ping);
    buffer_deinit(&stage->bytes);
    int left = (int)stage->counters.connections;
    free(stage);
    return left;
}

static struct ws_connection *join_with(struct stage *stage, const struct handshake *handshake)
{
    struct ws_connection *socket = &stage->sockets[stage->count++];
    const struct token_claims claims = {.user = "alice", .expires_at = UINT32_MAX};
    assert_int_equal(session_new(&socket->session, &stage->host, &claims, handshake), 0);
    session_start(socket->session, socket);
    return socket;
}

static struct ws_connection *join(struct stage *stage, enum wire_open_mode mode)
{
    const struct handshake handshake = {.mode = mode, .epoch = "e1"};
    return join_with(stage, &handshake);
}

/* The broker answers the oldest OPEN: the view begins behind `start`. */
static void opened_in(
    struct stage *stage, const char *epoch, enum wire_resume resume, uint64_t start)
{
    const struct wire_message message = {.kind = WIRE_OPENED,
        .opened = {.resume = resume,
            .epoch = span_of_string(epoch),
            .start = start,
            .head = stage->head,
            .oldest = 1,
            .gap_from = 1,
            .gap_to = start}};
    assert_true(answer(WIRE_OPEN, &message));
}

static void opened(struct stage *stage, enum wire_resume resume, uint64_t start)
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

static void live_of(struct stage *stage, uint64_t from, uint64_t to, const char *user)
{
    const struct wire_events events = {.user = SPAN_LITERAL("alice"),
        .epoch = SPAN_LITERAL("e1"),
        .events = events_between(stage, from, to, user)};
    stage->head = to > stage->head ? to : stage->head;
    fanout_handle_events(&stage->fanout, &events);
}

static void live(struct stage *stage, uint64_t from, uint64_t to)
{
    live_of(stage, from, to, "alice");
}

/* The oldest READ gets up to `most` events; returns where it asked to begin, -1 without a READ. */
static int64_t page(struct stage *stage, uint64_t most)
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

/* ---- what a client saw: "welcome", "1<0" for seq 1 after prev 0, "caught_up 5", replies */

static const char *field(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    return at ? at + strlen(name) : NULL;
}

static void describe(struct buffer *out, const char *json)
{
    const char *seq = field(json, "\"seq\":");
    const char *prev = field(json, "\"prev\":");
    if (out->len)
        buffer_append_char(out, ' ');
    if (prev)
        buffer_printf(out, "%d<%d", atoi(seq), atoi(prev));
    else if (strstr(json, "\"caught_up\""))
        buffer_printf(out, "caught_up:%d", atoi(seq));
    else if (strstr(json, "\"gap\","))
        buffer_printf(
            out, "gap:%d-%d", atoi(field(json, "\"from\":")), atoi(field(json, "\"to\":")));
    else if (strstr(json, "\"type\""))
        buffer_printf(out, "%.*s", (int)strcspn(json + 9, "\""), json + 9);
    else
        buffer_printf(out, "reply:%.*s", (int)strcspn(json + 6, ","), json + 6);
}

static void assert_saw(struct ws_connection *socket, const char *wanted)
{
    struct buffer words = BUFFER_INIT;
    char json[1024];
    drain(socket);
    for (size_t at = 0; at < socket->seen.len;) {
        const unsigned char *frame = (const unsigned char *)socket->seen.data + at;
        size_t header = frame[1] == 126 ? 4 : 2;
        size_t len = frame[1] == 126 ? (size_t)(frame[2] << 8 | frame[3]) : frame[1];
        snprintf(json, sizeof(json), "%.*s", (int)len, (const char *)frame + header);
        describe(&words, json);
        at += header + len;
    }
    buffer_append_char(&words, '\0');
    assert_string_equal(words.data, wanted);
    buffer_deinit(&words);
    buffer_clear(&socket->seen);
}

static void say(struct ws_connection *socket, const char *text)
{
    session_handle_text(socket->session, span_of_string(text));
}

/* ---- tests */

static void test_session_live_gets_welcome_and_then_what_happens(void **state)
{
    struct stage *stage = *state;
    stage->head = 7;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    assert_saw(socket, "");
    opened(stage, WIRE_RESUME_LIVE, 7);
    live(stage, 8, 10);
    assert_saw(socket, "welcome 8<7 9<8 10<9");
    assert_int_equal(the_link.call_count, 0);
}

static void test_session_replays_pages_then_says_caught_up(void **state)
{
    struct stage *stage = *state;
    stage->head = 7;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_REPLAY, 2);
    assert_int_equal(page(stage, 3), 2);
    assert_saw(socket, "welcome 3<2 4<3 5<4");
    assert_int_equal(page(stage, 3), 5);
    assert_saw(socket, "6<5 7<6 caught_up:7");
    assert_int_equal(page(stage, 3), -1);
    live(stage, 8, 8);
    assert_saw(socket, "8<7");
}

static void test_session_with_nothing_to_replay_is_caught_up_at_once(void **state)
{
    struct stage *stage = *state;
    stage->head = 7;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_REPLAY, 7);
    assert_saw(socket, "welcome caught_up:7");
}

static void test_session_splices_live_events_that_come_during_replay(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    live(stage, 5, 6); /* ahead of the view: read from history later */
    assert_int_equal(page(stage, 2), 0);
    live(stage, 7, 7);
    assert_int_equal(page(stage, 100), 2);
    live(stage, 6, 8); /* 6 and 7 are seen already */
    assert_saw(socket, "welcome 1<0 2<1 3<2 4<3 5<4 6<5 7<6 caught_up:7 8<7");
}

static void test_session_heals_a_hole_in_the_live_stream_from_history(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 1);
    live(stage, 4, 5);
    assert_saw(socket, "welcome 1<0");
    assert_int_equal(page(stage, 100), 1);
    live(stage, 6, 6);
    assert_saw(socket, "2<1 3<2 4<3 5<4 6<5");
    assert_int_equal(stage->counters.sessions_behind, 1);
}

static void test_sessions_of_one_user_share_frames_and_see_the_same(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *one = join(stage, WIRE_OPEN_LIVE);
    struct ws_connection *two = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    opened(stage, WIRE_RESUME_LIVE, 0);
    assert_saw(one, "welcome");
    assert_saw(two, "welcome");
    live(stage, 1, 50);
    assert_int_equal(stage->counters.events_encoded, 50);
    drain(one);
    drain(two);
    assert_true(span_equal(buffer_span(&one->seen), buffer_span(&two->seen)));
}

static void test_session_filter_leaves_the_chain_unbroken(void **state)
{
    struct stage *stage = *state;
    struct handshake handshake = {.mode = WIRE_OPEN_START, .filter = {.count = 1}};
    snprintf(handshake.filter.threads[0], sizeof(handshake.filter.threads[0]), "even");
    stage->head = 5;
    struct ws_connection *socket = join_with(stage, &handshake);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    page(stage, 100);
    live(stage, 6, 9);
    assert_saw(socket, "welcome 2<0 4<2 caught_up:5 6<4 8<6");
}

static void test_session_says_what_is_gone_when_the_cursor_was_trimmed(void **state)
{
    struct stage *stage = *state;
    stage->head = 9;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 6);
    page(stage, 100);
    assert_saw(socket, "welcome gap:1-6 7<6 8<7 9<8 caught_up:9");
}

static void test_session_says_what_is_trimmed_under_its_replay(void **state)
{
    struct stage *stage = *state;
    stage->head = 9;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_REPLAY, 2);
    const struct wire_message trimmed = {
        .kind = WIRE_PAGE, .page = {.status = WIRE_PAGE_TRIMMED, .head = 9, .oldest = 8}};
    assert_true(answer(WIRE_READ, &trimmed));
    page(stage, 100);
    assert_saw(socket, "welcome gap:3-7 8<7 9<8 caught_up:9");
}

static void test_session_is_closed_when_the_numbering_changes(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *old = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    struct ws_connection *young = join(stage, WIRE_OPEN_START);
    opened_in(stage, "e2", WIRE_RESUME_REPLAY, 0);
    assert_int_equal(old->close_code, 4004);
    assert_int_equal(young->close_code, 0);
    assert_saw(young, "welcome caught_up:0");
    const struct wire_epoch_changed changed = {SPAN_LITERAL("alice"), SPAN_LITERAL("e3")};
    fanout_handle_epoch_changed(&stage->fanout, &changed);
    assert_int_equal(young->close_code, 4004);
}

static void test_session_never_shows_an_event_of_another_user(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 1);
    live_of(stage, 2, 2, "mallory");
    live(stage, 3, 3);
    assert_saw(socket, "welcome 1<0 3<1");
    assert_int_equal(stage->counters.events_foreign, 1);
}

static void test_session_that_reads_nothing_is_closed_and_others_are_not(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_max_outbox = 4096;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    struct ws_connection *fast = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    opened(stage, WIRE_RESUME_LIVE, 0);
    slow->blocked = true;
    live(stage, 1, 500); /* one burst, far larger than the outbox */
    assert_int_equal(slow->close_code, 4002);
    assert_int_equal(slow->session->outbox.bytes, 0);
    assert_int_equal(fast->close_code, 0);
    assert_int_equal(fast->session->view.position, 500);
}

static void test_session_replay_waits_for_the_socket(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_max_outbox = 4096;
    stage->head = 500;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    socket->blocked = true;
    opened(stage, WIRE_RESUME_REPLAY, 0);
    int pages = 0;
    while (page(stage, 10) >= 0)
        pages++;
    assert_in_range(pages, 1, 4); /* half an outbox, then nothing is asked for */
    live(stage, 501, 510);        /* and what is live is left to history */
    assert_int_equal(socket->close_code, 0);
    assert_in_range(socket->session->outbox.bytes, 2048, 4096);
    socket->blocked = false;
    do {
        drain(socket);
    } while (page(stage, 10) >= 0);
    assert_int_equal(socket->session->view.position, 510);
    assert_false(socket->session->view.replaying);
}

static void test_session_keeps_its_place_when_the_link_is_lost(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 3);
    lose_link();
    stage->head = 6; /* happened meanwhile */
    the_link.ready = true;
    fanout_handle_ready(&stage->fanout);
    assert_int_equal(the_link.asked[0].open.after, 3);
    assert_int_equal(the_link.asked[0].open.mode, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_REPLAY, 3);
    page(stage, 100);
    live(stage, 7, 7);
    assert_saw(socket, "welcome 1<0 2<1 3<2 4<3 5<4 6<5 7<6");
}

static void test_session_asks_again_for_a_page_the_link_lost(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    lose_link();
    the_link.ready = true;
    fanout_handle_ready(&stage->fanout);
    opened(stage, WIRE_RESUME_REPLAY, 4);
    assert_int_equal(page(stage, 100), 0);
    assert_saw(socket, "welcome 1<0 2<1 3<2 4<3 caught_up:4");
}

static void test_session_that_was_opening_is_opened_by_the_next_link(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    lose_link();
    the_link.ready = true;
    fanout_handle_ready(&stage->fanout);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    assert_saw(socket, "welcome caught_up:0");
}

static void test_session_is_closed_when_a_new_broker_knows_another_numbering(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    lose_link();
    the_link.ready = true;
    fanout_handle_ready(&stage->fanout);
    opened_in(stage, "e9", WIRE_RESUME_RESET, 0);
    assert_int_equal(socket->close_code, 4004);
}

static void test_session_sends_replies_behind_the_welcome(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    say(socket, "{\"id\":1,\"method\":\"ping\"}");
    assert_saw(socket, "");
    opened(stage, WIRE_RESUME_LIVE, 0);
    say(socket, "{\"id\":2,\"method\":\"ping\"}");
    say(socket, "{\"method\":\"ping\"}");
    assert_saw(socket, "welcome reply:1 reply:2");
}

static void test_session_hands_requests_to_the_broker_and_its_answer_back(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    say(socket, "{\"id\":\"a\",\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r-1\"}}");
    assert_true(span_is(the_link.asked[0].run_cancel.user, "alice"));
    const struct wire_message reply = {
        .kind = WIRE_REPLY, .reply = {.result = SPAN_LITERAL("{\"status\":\"cancelling\"}")}};
    assert_true(answer(WIRE_RUN_CANCEL, &reply));
    assert_saw(socket, "welcome reply:\"a\"");
    assert_int_equal(socket->session->request_count, 0);
}

static void test_session_answers_unavailable_without_a_link(void **state)
{
    struct stage *stage = *state;
    const char *cancel = "{\"id\":5,\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r\"}}";
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    say(socket, cancel);
    lose_link(); /* under way */
    say(socket, cancel);
    drain(socket);
    buffer_append_char(&socket->seen, '\0');
    const char *first = memmem(socket->seen.data, socket->seen.len, "\"unavailable\"", 13);
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "\"unavailable\""));
    assert_int_equal(stage->counters.requests_failed, 2);
}

static void test_session_bounds_the_requests_that_wait(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    for (int i = 0; i < SESSION_PENDING_MAX - 1; i++)
        say(socket, "{\"id\":5,\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r\"}}");
    assert_saw(socket, "welcome");
    assert_int_equal(socket->session->request_count, SESSION_PENDING_MAX - 1);
    socket->session->request_count = SESSION_PENDING_MAX;
    say(socket, "{\"id\":6,\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r\"}}");
    socket->session->request_count = SESSION_PENDING_MAX - 1;
    assert_saw(socket, "reply:6");
    session_close(socket->session, 4001, "done");
    assert_int_equal(the_link.call_count, 0);
}

static void test_session_passes_on_acks_of_what_it_sent(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 5);
    say(socket, "{\"method\":\"ack\",\"params\":{\"seq\":4}}");
    say(socket, "{\"method\":\"ack\",\"params\":{\"seq\":3}}");
    say(socket, "{\"method\":\"ack\",\"params\":{\"seq\":99}}");
    assert_int_equal(the_link.acks, 1);
    assert_int_equal(the_link.acked, 4);
}

static void test_session_closes_on_frames_that_are_none(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    say(socket, "nonsense");
    assert_int_equal(socket->close_code, 4400);
    say(socket, "{\"id\":1,\"method\":\"ping\"}");
    live(stage, 1, 3);
    assert_saw(socket, "welcome"); /* closing: neither replies nor events */
}

static void test_session_limits_the_rate_and_ends_abuse(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_max_messages_per_second = 1;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    for (int i = 0; i < 30; i++)
        say(socket, "{\"id\":1,\"method\":\"ping\"}");
    assert_int_equal(socket->close_code, 4429);
    assert_in_range(stage->counters.requests_rate_limited, 9, 11);
}

static void test_session_is_told_where_to_resume_when_sent_away(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 5);
    session_send_away(socket->session, "draining", 700);
    assert_int_equal(socket->close_code, 4001);
    drain(socket);
    buffer_append_char(&socket->seen, '\0');
    assert_non_null(memmem(
        socket->seen.data, socket->seen.len, "\"cursor\":\"e1.5\"", strlen("\"cursor\":\"e1.5\"")));
}

static void test_feed_is_let_go_a_tick_after_its_last_session(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    fanout_tick(&stage->fanout);
    assert_int_equal(the_link.closes, 0);
    session_close(socket->session, 4001, "done");
    assert_int_equal(stage->counters.users, 1);
    fanout_tick(&stage->fanout);
    assert_int_equal(the_link.closes, 1);
    assert_int_equal(stage->counters.users, 0);
    live(stage, 1, 1); /* still on its way: nobody's */
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_session_live_gets_welcome_and_then_what_happens),
        STAGED(test_session_replays_pages_then_says_caught_up),
        STAGED(test_session_with_nothing_to_replay_is_caught_up_at_once),
        STAGED(test_session_splices_live_events_that_come_during_replay),
        STAGED(test_session_heals_a_hole_in_the_live_stream_from_history),
        STAGED(test_sessions_of_one_user_share_frames_and_see_the_same),
        STAGED(test_session_filter_leaves_the_chain_unbroken),
        STAGED(test_session_says_what_is_gone_when_the_cursor_was_trimmed),
        STAGED(test_session_says_what_is_trimmed_under_its_replay),
        STAGED(test_session_is_closed_when_the_numbering_changes),
        STAGED(test_session_never_shows_an_event_of_another_user),
        STAGED(test_session_that_reads_nothing_is_closed_and_others_are_not),
        STAGED(test_session_replay_waits_for_the_socket),
        STAGED(test_session_keeps_its_place_when_the_link_is_lost),
        STAGED(test_session_asks_again_for_a_page_the_link_lost),
        STAGED(test_session_that_was_opening_is_opened_by_the_next_link),
        STAGED(test_session_is_closed_when_a_new_broker_knows_another_numbering),
        STAGED(test_session_sends_replies_behind_the_welcome),
        STAGED(test_session_hands_requests_to_the_broker_and_its_answer_back),
        STAGED(test_session_answers_unavailable_without_a_link),
        STAGED(test_session_bounds_the_requests_that_wait),
        STAGED(test_session_passes_on_acks_of_what_it_sent),
        STAGED(test_session_closes_on_frames_that_are_none),
        STAGED(test_session_limits_the_rate_and_ends_abuse),
        STAGED(test_session_is_told_where_to_resume_when_sent_away),
        STAGED(test_feed_is_let_go_a_tick_after_its_last_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
