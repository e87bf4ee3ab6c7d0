/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"
#include "unit.h"

#include "sample-event.h"
#include "transcode.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define SAMPLE_JSON                                                                                \
    "{\"type\":\"tool_executing\",\"seq\":1042,\"prev\":1041,\"timestamp\":1795000000123,"         \
    "\"thread_id\":\"t-7\",\"run_id\":\"r-19\",\"request_id\":\"q-3\",\"agent\":\"researcher\","   \
    "\"message_id\":\"m-5\",\"tool_call_id\":\"c-1\",\"synthetic\":true,"                          \
    "\"data\":{\"tool_name\":\"search\",\"args\":{\"q\":\"rings\"}}}"

static void test_frame_headers_have_the_shortest_length_that_fits(void **state)
{
    (void)state;
    const struct {
        size_t len;
        unsigned char header[10];
        uint32_t header_len;
    } rows[] = {
        {0, {0x81, 0}, 2},
        {125, {0x81, 125}, 2},
        {126, {0x81, 126, 0, 126}, 4},
        {65535, {0x81, 126, 255, 255}, 4},
        {65536, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}, 10},
    };
    char *bytes = calloc(1, 65536);
    memset(bytes, 'x', 65536);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer out = BUFFER_INIT;
        buffer_append_string(&out, "before");
        frame_append_control(&out, FRAME_JSON, span_of(bytes, rows[i].len));
        assert_int_equal(out.len, 6 + rows[i].header_len + rows[i].len);
        assert_memory_equal(out.data + 6, rows[i].header, rows[i].header_len);
        assert_memory_equal(out.data + 6 + rows[i].header_len, bytes, rows[i].len);
        buffer_deinit(&out);
    }
    free(bytes);
}

static void test_frame_of_an_event_is_its_json(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    const struct event event = sample_event();
    frame_append_event(&out, FRAME_JSON, &(struct frame_event){&event, 1041, "w7"});
    assert_true(span_is(span_of(out.data + 4, out.len - 4), SAMPLE_JSON));
    buffer_deinit(&out);
}

static void assert_says_the_same(struct span packed, const char *text)
{
    struct buffer json = BUFFER_INIT;
    assert_int_equal(transcode_to_json(&json, packed), 0);
    json_t *said = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *wanted = json_loads(text, 0, NULL);
    assert_true(json_equal(said, wanted));
    json_decref(said);
    json_decref(wanted);
    buffer_deinit(&json);
}

static void test_frame_of_an_event_in_msgpack_says_the_same(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct event event = sample_event();
    frame_append_event(&out, FRAME_MSGPACK, &(struct frame_event){&event, 1041, "w7"});
    assert_memory_equal(out.data, "\x82\x7e", 2);
    assert_says_the_same(span_of(out.data + 4, out.len - 4), SAMPLE_JSON);
    buffer_clear(&out);
    event = (struct event){
        .type = EVENT_PARTIAL_RESULT, .seq = 9, .first_seq = 4, .data = SPAN_LITERAL("{}")};
    frame_append_event(&out, FRAME_MSGPACK, &(struct frame_event){&event, 3, "w7"});
    assert_says_the_same(span_of(out.data + 2, out.len - 2),
        "{\"type\":\"partial_result\",\"seq\":9,\"prev\":3,\"first_seq\":4,\"timestamp\":0,"
        "\"data\":{}}");
    buffer_deinit(&out);
}

static void test_frame_of_a_control_in_msgpack_says_the_same(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    frame_append_control(&out, FRAME_MSGPACK, SPAN_LITERAL("{\"type\":\"caught_up\",\"seq\":7}"));
    assert_memory_equal(out.data, "\x82\x15\x82", 3);
    assert_says_the_same(span_of(out.data + 2, out.len - 2), "{\"type\":\"caught_up\",\"seq\":7}");
    buffer_deinit(&out);
}

static void test_frame_of_an_event_as_a_server_sent_event_has_one_line_of_data(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct event event = sample_event();
    event.data = SPAN_LITERAL("{\r\n\"a\":\n1}");
    frame_append_event(&out, FRAME_SSE, &(struct frame_event){&event, 1041, "w7"});
    assert_true(span_is(span_of(out.data, 41), "id: w7.1042\nevent: tool_executing\ndata: {"));
    assert_true(span_is(span_of(out.data + out.len - 20, 20), "\"data\":{  \"a\": 1}}\n\n"));
    buffer_deinit(&out);
}

static void test_frame_of_a_control_as_a_server_sent_event_names_its_type(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    frame_append_control(&out, FRAME_SSE, SPAN_LITERAL("{\"type\":\"caught_up\",\"seq\":7}"));
    frame_append_ping(&out, FRAME_SSE);
    assert_true(span_is(
        buffer_span(&out), "event: caught_up\ndata: {\"type\":\"caught_up\",\"seq\":7}\n\n:\n\n"));
    buffer_deinit(&out);
}

static void test_welcome_of_a_live_stream_says_where_it_begins(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    frame_append_control(&out, FRAME_SSE,
        SPAN_LITERAL("{\"type\":\"welcome\",\"epoch\":\"w7\",\"head\":42,\"resume\":\"replay\"}"));
    assert_null(memmem(out.data, out.len, "id:", 3));
    frame_append_control(&out, FRAME_SSE,
        SPAN_LITERAL("{\"type\":\"welcome\",\"epoch\":\"w7\",\"head\":42,\"resume\":\"live\"}"));
    assert_true(span_is(span_of(out.data + out.len - 12, 12), "\nid: w7.42\n\n"));
    buffer_deinit(&out);
}

static void test_stream_that_is_sent_away_is_told_when_to_come_back(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    frame_append_control(
        &out, FRAME_SSE, SPAN_LITERAL("{\"type\":\"going_away\",\"reconnect_after_ms\":700}"));
    assert_true(span_is(span_of(out.data, 29), "retry: 700\nevent: going_away\n"));
    buffer_deinit(&out);
}

static void test_frame_of_a_ping_asks_for_a_pong(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    frame_append_ping(&out, FRAME_JSON);
    assert_true(span_equal(buffer_span(&out), SPAN_LITERAL("\x89\0")));
    buffer_deinit(&out);
}

static void test_frame_of_a_close_carries_code_and_a_reason_that_fits(void **state)
{
    (void)state;
    char reason[200];
    struct buffer out = BUFFER_INIT;
    frame_append_close(&out, 4002, "slow");
    assert_true(span_is(buffer_span(&out), "\x88\x06\x0f\xa2slow"));
    buffer_clear(&out);
    frame_append_close(&out, 0, "a reason needs a code");
    assert_true(span_equal(buffer_span(&out), SPAN_LITERAL("\x88\0")));
    buffer_clear(&out);
    memset(reason, 'x', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    buffer_clear(&out);
    frame_append_close(&out, 4400, reason);
    assert_int_equal(out.len, 2 + 125); /* the most a control frame may carry */
    buffer_deinit(&out);
}

/* Wherever frames are cut, what is missing of the one that was cut is what completes it. */
static void test_frame_tells_what_is_missing_of_one_that_was_cut(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 125, 126, 300, 65535, 65536, 3};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    size_t ends[8];
    char *bytes = calloc(1, 65536);
    struct buffer out = BUFFER_INIT;
    for (size_t i = 0; i < count; i++) {
        frame_append_control(&out, FRAME_JSON, span_of(bytes, sizes[i]));
        ends[i] = out.len;
    }
    for (size_t cut = 0, frame = 0; cut <= out.len; cut += cut < 1000 ? 1 : 97) {
        while (ends[frame] < cut)
            frame++;
        size_t missing = cut ? ends[frame] - cut : 0;
        assert_int_equal(frame_missing(buffer_span(&out), cut), missing);
    }
    buffer_deinit(&out);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_headers_have_the_shortest_length_that_fits),
        cmocka_unit_test(test_frame_of_an_event_is_its_json),
        cmocka_unit_test(test_frame_of_an_event_in_msgpack_says_the_same),
        cmocka_unit_test(test_frame_of_a_control_in_msgpack_says_the_same),
        cmocka_unit_test(test_frame_of_an_event_as_a_server_sent_event_has_one_line_of_data),
        cmocka_unit_test(test_frame_of_a_control_as_a_server_sent_event_names_its_type),
        cmocka_unit_test(test_welcome_of_a_live_stream_says_where_it_begins),
        cmocka_unit_test(test_stream_that_is_sent_away_is_told_when_to_come_back),
        cmocka_unit_test(test_frame_of_a_ping_asks_for_a_pong),
        cmocka_unit_test(test_frame_of_a_close_carries_code_and_a_reason_that_fits),
        cmocka_unit_test(test_frame_tells_what_is_missing_of_one_that_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
