/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"
#include "unit.h"

#include "sample-event.h"

#include <stdlib.h>
#include <string.h>

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
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct frame *frame = frame_new(FRAME_TEXT, span_of(bytes, rows[i].len));
        assert_int_equal(frame->header, rows[i].header_len);
        assert_int_equal(frame->len, rows[i].header_len + rows[i].len);
        assert_memory_equal(frame->bytes, rows[i].header, rows[i].header_len);
        frame_unref(frame);
    }
    free(bytes);
}

static void test_frame_of_an_event_is_its_json(void **state)
{
    (void)state;
    struct buffer scratch = BUFFER_INIT;
    const struct event event = sample_event();
    struct frame *frame = frame_new_event(&scratch, &event, 1041);
    assert_true(span_is(frame_payload(frame),
        "{\"type\":\"tool_executing\",\"seq\":1042,\"prev\":1041,\"timestamp\":1795000000123,"
        "\"thread_id\":\"t-7\",\"run_id\":\"r-19\",\"request_id\":\"q-3\",\"agent\":\"researcher\","
        "\"message_id\":\"m-5\",\"tool_call_id\":\"c-1\",\"synthetic\":true,"
        "\"data\":{\"tool_name\":\"search\",\"args\":{\"q\":\"rings\"}}}"));
    frame_unref(frame);
    buffer_deinit(&scratch);
}

/* The patched copy is what would have been made in the first place, wherever lengths change. */
static void test_frame_with_another_prev_equals_one_made_with_it(void **state)
{
    (void)state;
    struct buffer scratch = BUFFER_INIT;
    const uint64_t prevs[] = {0, 9, 10, 999, 1040, 123456789, UINT64_MAX};
    char data[70000];
    struct event event = sample_event();
    for (size_t size = 100; size <= sizeof(data); size = size < 200 ? size + 1 : size * 6) {
        memset(data, ' ', size);
        data[0] = '{';
        data[size - 1] = '}';
        event.data = span_of(data, size);
        struct frame *frame = frame_new_event(&scratch, &event, 1041);
        for (size_t i = 0; i < sizeof(prevs) / sizeof(prevs[0]); i++) {
            struct frame *patched = frame_new_with_prev(frame, prevs[i]);
            struct frame *made = frame_new_event(&scratch, &event, prevs[i]);
            assert_int_equal(patched->len, made->len);
            assert_int_equal(patched->prev_start, made->prev_start);
            assert_int_equal(patched->prev_end, made->prev_end);
            assert_memory_equal(patched->bytes, made->bytes, made->len);
            frame_unref(patched);
            frame_unref(made);
        }
        frame_unref(frame);
    }
    buffer_deinit(&scratch);
}

static void test_frame_of_a_close_carries_code_and_a_reason_that_fits(void **state)
{
    (void)state;
    char reason[200];
    struct frame *frame = frame_new_close(4002, "slow");
    assert_memory_equal(frame->bytes, "\x88\x06\x0f\xa2slow", 8);
    frame_unref(frame);
    memset(reason, 'x', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    frame = frame_new_close(4400, reason);
    assert_int_equal(frame->len, 2 + 125); /* the most a control frame may carry */
    frame_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_headers_have_the_shortest_length_that_fits),
        cmocka_unit_test(test_frame_of_an_event_is_its_json),
        cmocka_unit_test(test_frame_with_another_prev_equals_one_made_with_it),
        cmocka_unit_test(test_frame_of_a_close_carries_code_and_a_reason_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
