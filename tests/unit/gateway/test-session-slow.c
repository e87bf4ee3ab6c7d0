/* SPDX-License-Identifier: Apache-2.0 */
/* What a client that reads slowly is sent: less, and yet the same. */
#include "stage.h"

#include "session_private.h"

#include "chance.h"
#include "event/codec.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

/* ---- a stream of one or several runs */

struct stream {
    struct chance chance;
    struct buffer batch; /* events not yet said */
    uint64_t seq;
    unsigned message;
};

static void add(struct stream *stream, struct event event)
{
    event.seq = ++stream->seq;
    event.timestamp = 1000 + stream->seq;
    event.user_tag = event_user_tag(SPAN_LITERAL("alice"));
    if (!event.thread_id.len)
        event.thread_id = SPAN_LITERAL("t-1");
    event.run_id = SPAN_LITERAL("r-1");
    event_encode(&stream->batch, &event);
}

static void add_text(struct stream *stream, const char *message, const char *delta, bool final)
{
    char data[400];
    snprintf(data, sizeof(data), "{\"delta\":\"%s\"%s}", delta, final ? ",\"final\":true" : "");
    add(stream, (struct event){.type = EVENT_PARTIAL_RESULT,
                    .flags = final ? EVENT_FLAG_FINAL : 0,
                    .message_id = span_of_string(message),
                    .data = span_of_string(data)});
}

static void add_status(struct stream *stream, const char *status)
{
    char data[100];
    snprintf(data, sizeof(data), "{\"status\":\"%s\"}", status);
    add(stream, (struct event){.type = EVENT_AGENT_THINKING, .data = span_of_string(data)});
}

static void add_tool(struct stream *stream)
{
    add(stream, (struct event){.type = EVENT_TOOL_EXECUTING,
                    .tool_call_id = SPAN_LITERAL("c-1"),
                    .data = SPAN_LITERAL("{\"tool_name\":\"search\",\"args\":{}}")});
}

static void say_batch(struct stage *stage, struct stream *stream)
{
    live_encoded(stage, buffer_span(&stream->batch), stream->seq);
    buffer_clear(&stream->batch);
}

static void add_texts(struct stage *stage, struct stream *stream, unsigned count)
{
    char delta[120];
    for (unsigned i = 0; i < count; i++) {
        snprintf(delta, sizeof(delta), "%06u and a few words more, to make it some size ", i);
        add_text(stream, "m-1", delta, false);
        if (i % 10 == 9)
            say_batch(stage, stream);
    }
    say_batch(stage, stream);
}

/* ---- a client that keeps what it is shown */

struct client {
    uint64_t position;
    unsigned events;
    unsigned folded;
    char status[100];       /* the newest */
    struct buffer texts[8]; /* by message: m-0 to m-7 */
    struct buffer story;    /* each edge, and all that was shown when it came */
};

static const char *string_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void tell(struct client *client, const char *type, uint64_t seq)
{
    buffer_printf(&client->story, "%s %llu [%s]", type, (unsigned long long)seq, client->status);
    for (size_t i = 0; i < 8; i++)
        buffer_printf(&client->story, " %zu:%.*s", i, SPAN_ARG(buffer_span(&client->texts[i])));
    buffer_append_char(&client->story, '\n');
}

static void apply(struct client *client, const json_t *frame)
{
    const json_t *data = json_object_get(frame, "data");
    const char *type = string_in(frame, "type");
    const json_t *delta = json_object_get(data, "delta");
    const json_t *status = json_object_get(data, "status");
    if (strcmp(type, "partial_result") == 0 && delta) {
        struct buffer *text = &client->texts[atoi(string_in(frame, "message_id") + 2) & 7];
        buffer_append_string(text, json_string_value(delta));
        if (json_is_true(json_object_get(data, "final")))
            buffer_append_string(text, "<end>");
    } else if (strcmp(type, "agent_thinking") == 0 && status) {
        snprintf(client->status, sizeof(client->status), "%s", json_string_value(status));
    } else {
        tell(client, type, (uint64_t)json_integer_value(json_object_get(frame, "seq")));
    }
}

/* Checks the chain, and that what is folded says so. */
static void take_event(struct client *client, const json_t *frame, bool filtered)
{
    uint64_t seq = (uint64_t)json_integer_value(json_object_get(frame, "seq"));
    uint64_t prev = (uint64_t)json_integer_value(json_object_get(frame, "prev"));
    const json_t *first = json_object_get(frame, "first_seq");
    assert_int_equal(prev, client->position);
    assert_true(seq > prev);
    if (first) {
        assert_true((uint64_t)json_integer_value(first) > prev);
        assert_true((uint64_t)json_integer_value(first) < seq);
    }
    if (!filtered)
        assert_int_equal(first ? json_integer_value(first) : (json_int_t)seq, prev + 1);
    client->position = seq;
    client->events++;
    client->folded += first != NULL;
    apply(client, frame);
}

static void take_frames(struct client *client, struct buffer *seen, bool filtered)
{
    for (size_t at = 0; at < seen->len;) {
        size_t size = 1 + frame_missing(span_of(seen->data + at, seen->len - at), 1);
        size_t header = seen->data[at + 1] == 126 ? 4 : seen->data[at + 1] == 127 ? 10 : 2;
        json_t *frame =
            json_loadb(seen->data + at + header, size - header, JSON_REJECT_DUPLICATES, NULL);
        if (seen->data[at] == (char)0x81)
            assert_non_null(frame);
        if (json_object_get(frame, "prev"))
            take_event(client, frame, filtered);
        json_decref(frame);
        at += size;
    }
    buffer_clear(seen);
}

static void client_deinit(struct client *client)
{
    for (size_t i = 0; i < 8; i++)
        buffer_deinit(&client->texts[i]);
    buffer_deinit(&client->story);
}

/* ---- tests */

#define assert_counted(counter, times) assert_int_equal(counter, times)

static void test_session_folds_text_when_its_client_is_slow(void **state)
{
    struct stage *stage = *state;
    struct stream stream = {0};
    struct client client = {0};
    stage->config.gateway_max_outbox = 64 << 10;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    slow->blocked = true;
    add_texts(stage, &stream, 900); /* far more than may wait, were it not folded */
    add_tool(&stream);
    say_batch(stage, &stream);
    assert_int_equal(slow->close_code, 0);
    slow->blocked = false;
    drain(slow);
    take_frames(&client, &slow->seen, false);
    assert_int_equal(client.position, stream.seq);
    assert_true(client.folded > 0);
    assert_int_equal(
        client.texts[1].len, 900 * strlen("000000 and a few words more, to make it some size "));
    assert_int_equal(stage->counters.events_folded, 901 - client.events);
    assert_null(slow->session->backlog); /* it has caught up */
    client_deinit(&client);
    buffer_deinit(&stream.batch);
}

static void test_session_keeps_the_latest_status_when_its_client_is_slow(void **state)
{
    struct stage *stage = *state;
    struct stream stream = {0};
    struct client client = {0};
    char status[40];
    stage->config.gateway_max_outbox = 64 << 10;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    sip(slow, 0);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(status, sizeof(status), "looking at page %u", i);
        add_status(&stream, status);
        say_batch(stage, &stream);
    }
    drain(slow);
    take_frames(&client, &slow->seen, false);
    assert_int_equal(client.position, 5000);
    assert_string_equal(client.status, "looking at page 4999");
    assert_true(client.events < 1000);
    client_deinit(&client);
    buffer_deinit(&stream.batch);
}

static void test_session_folds_nothing_below_the_mark(void **state)
{
    struct stage *stage = *state;
    struct stream stream = {0};
    struct client client = {0};
    stage->config.gateway_max_outbox = 1 << 20;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    sip(slow, 0);
    add_texts(stage, &stream, 100);
    drain(slow);
    take_frames(&client, &slow->seen, false);
    assert_int_equal(client.events, 100);
    assert_int_equal(client.folded, 0);
    assert_int_equal(stage->counters.events_folded, 0);
    client_deinit(&client);
    buffer_deinit(&stream.batch);
}

static void test_a_fold_and_a_slow_client_are_counted(void **state)
{
    struct stage *stage = *state;
    struct stream stream = {0};
    char delta[151] = "";
    memset(delta, 'x', 150);
    stage->config.gateway_max_outbox = 1024;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    sip(slow, 0); /* the welcome waits */
    add_text(&stream, "m-1", delta, false);
    say_batch(stage, &stream);
    assert_counted(stage->counters.sessions_slow, 1);
    assert_counted(stage->counters.events_folded, 0);
    add_text(&stream, "m-1", delta, false);
    say_batch(stage, &stream);
    assert_counted(stage->counters.sessions_slow, 1);
    assert_counted(stage->counters.events_folded, 1);
    buffer_deinit(&stream.batch);
}

static void test_session_of_edges_alone_is_closed_when_they_do_not_fit(void **state)
{
    struct stage *stage = *state;
    struct stream stream = {0};
    struct client client = {0};
    stage->config.gateway_max_outbox = 64 << 10;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    sip(slow, 0);
    while (!slow->close_code) {
        add_tool(&stream);
        say_batch(stage, &stream);
    }
    assert_int_equal(slow->close_code, 4002);
    assert_in_range(stream.seq, 300, 1000); /* what waited came near the limit */
    assert_int_equal(session_waiting(slow->session), 0);
    assert_int_equal(stage->counters.events_folded, 0);
    client_deinit(&client);
    buffer_deinit(&stream.batch);
}

static void test_session_full_of_events_still_answers(void **state)
{
    struct stage *stage = *state;
    struct stream stream = {0};
    stage->config.gateway_max_outbox = 64 << 10;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    sip(slow, 0);
    while (session_waiting(slow->session) < (64 << 10) - 300) {
        add_tool(&stream);
        say_batch(stage, &stream);
    }
    for (unsigned i = 0; i < 200; i++)
        say(slow, "{\"id\":7,\"method\":\"ping\"}");
    session_send_away(slow->session, "draining", 5);
    assert_int_equal(slow->close_code, 4001);
    assert_int_equal(times_seen(slow, "{\"id\":7,"), 200);
    assert_int_equal(times_seen(slow, "\"going_away\""), 1);
    buffer_deinit(&stream.batch);
}

static void test_session_that_never_reads_cannot_ask_without_end(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    stage->config.gateway_max_outbox = 64 << 10;
    opened(stage, WIRE_RESUME_LIVE, 0);
    sip(slow, 0);
    for (unsigned i = 0; i < 10000 && !slow->close_code; i++)
        say(slow, "{\"id\":7,\"method\":\"ping\"}");
    assert_int_equal(slow->close_code, 4002);
}

static void test_control_frames_keep_their_place_among_what_is_folded(void **state)
{
    struct stage *stage = *state;
    struct stream stream = {0};
    struct client client = {0};
    stage->config.gateway_max_outbox = 64 << 10;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    drain(slow);
    buffer_clear(&slow->seen);
    sip(slow, 0);
    slow->session->full = true;
    add_texts(stage, &stream, 600);
    say(slow, "{\"id\":\"between\",\"method\":\"ping\"}");
    uint64_t before = stream.seq;
    add_texts(stage, &stream, 600);
    drain(slow);
    const char *reply = memmem(slow->seen.data, slow->seen.len, "between", 7);
    size_t at = (size_t)(reply - slow->seen.data) - 9;
    struct buffer head = BUFFER_INIT;
    buffer_append(&head, slow->seen.data, at);
    take_frames(&client, &head, false);
    assert_int_equal(client.position, before);
    buffer_consume(&slow->seen, at);
    take_frames(&client, &slow->seen, false);
    assert_int_equal(client.position, stream.seq);
    assert_true(client.folded >= 2);
    buffer_deinit(&head);
    client_deinit(&client);
    buffer_deinit(&stream.batch);
}

/* ---- the property: what a slow client makes of it is what a fast one saw */

static void add_random_text(struct stream *stream)
{
    static const char *const pieces[] = {"Rings ", "keep\\n", "\\\"order\\\" ", "\\u20ac", "\u00e9",
        "\\ud83d\\ude00", "", "and then some more of the same "};
    static const char *const messages[] = {"m-0", "m-1", "m-2", "m-3", "m-4", "m-5", "m-6", "m-7"};
    struct chance *chance = &stream->chance;
    bool last = chance_below(chance, 40) == 0;
    add_text(stream, messages[stream->message], pieces[chance_below(chance, 8)], last);
    if (last)
        stream->message = (unsigned)chance_below(chance, 8);
}

static void add_random(struct stream *stream)
{
    static const char *const threads[] = {"t-1", "t-2"};
    struct chance *chance = &stream->chance;
    char text[40];
    size_t kind = chance_below(chance, 10);
    for (size_t n = 1 + chance_below(chance, 20); n > 0 && kind < 8; n--) {
        snprintf(text, sizeof(text), "status %llu", (unsigned long long)stream->seq);
        if (kind < 6)
            add_random_text(stream);
        else
            add_status(stream, text);
    }
    if (kind == 8)
        add(stream, (struct event){.type = EVENT_PARTIAL_RESULT,
                        .thread_id = span_of_string(threads[chance_below(chance, 2)]),
                        .message_id = SPAN_LITERAL("m-1"),
                        .data = SPAN_LITERAL("{\"delta\":\"x\",\"more\":[1]}")});
    else if (kind == 9)
        add_tool(stream);
}

static void play(struct stage *stage, uint64_t seed, bool filtered)
{
    struct stream stream = {.chance = {seed * 2654435761u + 1}};
    struct chance *chance = &stream.chance;
    struct client one = {0};
    struct client other = {0};
    struct handshake handshake = {.mode = WIRE_OPEN_LIVE, .epoch = "e1"};
    if (filtered) {
        handshake.filter.count = 1;
        snprintf(handshake.filter.threads[0], IDENTIFIER_SIZE, "t-1");
    }
    stage->config.gateway_max_outbox = 16 << 10; /* folds from 4 KiB on */
    stage->head = 0;
    struct ws_connection *fast = join_with(stage, &handshake);
    struct ws_connection *slow = join_with(stage, &handshake);
    opened(stage, WIRE_RESUME_LIVE, 0);
    opened(stage, WIRE_RESUME_LIVE, 0);
    size_t thirst = 1 + chance_below(chance, 2000);
    for (int turn = 0; turn < 400 && !slow->close_code; turn++) {
        for (size_t n = chance_below(chance, 3); n > 0; n--)
            add_random(&stream);
        say_batch(stage, &stream);
        drain(fast);
        if (chance_below(chance, 3) == 0)
            sip(slow, chance_below(chance, thirst));
    }
    drain(slow);
    take_frames(&one, &fast->seen, filtered);
    take_frames(&other, &slow->seen, filtered);
    if (slow->close_code == 0) {
        assert_int_equal(one.position, other.position);
        tell(&one, "end", 0);
        tell(&other, "end", 0);
    } else {
        assert_int_equal(slow->close_code, 4002);
        one.story.len = other.story.len; /* what came, came right */
    }
    assert_int_equal(one.story.len, other.story.len);
    assert_memory_equal(one.story.data, other.story.data, one.story.len);
    client_deinit(&one);
    client_deinit(&other);
    buffer_deinit(&stream.batch);
}

static void test_a_slow_client_makes_of_it_what_a_fast_one_saw(void **state)
{
    struct chance chance = chance_make();
    uint64_t folded = 0;
    (void)state;
    for (int round = 0; round < 24; round++) {
        void *stage = NULL;
        stage_set_up(&stage);
        play(stage, chance_next(&chance), round % 3 == 0);
        folded += ((struct stage *)stage)->counters.events_folded;
        assert_int_equal(stage_tear_down(&stage), 0);
    }
    assert_true(folded > 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_session_folds_text_when_its_client_is_slow),
        STAGED(test_session_keeps_the_latest_status_when_its_client_is_slow),
        STAGED(test_session_folds_nothing_below_the_mark),
        STAGED(test_a_fold_and_a_slow_client_are_counted),
        STAGED(test_session_of_edges_alone_is_closed_when_they_do_not_fit),
        STAGED(test_session_full_of_events_still_answers),
        STAGED(test_session_that_never_reads_cannot_ask_without_end),
        STAGED(test_control_frames_keep_their_place_among_what_is_folded),
        cmocka_unit_test(test_a_slow_client_makes_of_it_what_a_fast_one_saw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
