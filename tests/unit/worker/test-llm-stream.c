/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "llm/stream.h"

/* The data of all events, each in angle brackets; then how it ended. */
static void read_all(struct llm_stream *stream, struct buffer *out)
{
    struct span data;
    for (;;) {
        switch (llm_stream_next(stream, &data)) {
        case LLM_STREAM_DATA:
            buffer_append_char(out, '<');
            buffer_append_span(out, data);
            buffer_append_char(out, '>');
            continue;
        case LLM_STREAM_MORE: return;
        case LLM_STREAM_DONE: buffer_append_string(out, "done"); return;
        default: buffer_append_string(out, "bad"); return;
        }
    }
}

static void check(const char *bytes, size_t piece, const char *wanted)
{
    struct llm_stream stream = LLM_STREAM_INIT;
    struct buffer out = BUFFER_INIT;
    size_t len = strlen(bytes);
    for (size_t at = 0; at < len; at += piece) {
        llm_stream_feed(&stream, span_of(bytes + at, len - at < piece ? len - at : piece));
        out.len -= out.len >= 4 && memcmp(out.data + out.len - 4, "done", 4) == 0 ? 4 : 0;
        read_all(&stream, &out);
    }
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data, wanted);
    buffer_deinit(&out);
    llm_stream_deinit(&stream);
}

static void test_events_are_found_in_whatever_pieces_they_come(void **state)
{
    static const struct row {
        const char *bytes;
        const char *wanted;
    } rows[] = {
        {"data: a\n\ndata: b\n\n", "<a><b>"},
        {"data: a\r\n\r\ndata: b\r\n\r\n", "<a><b>"},
        {"data: a\r\rdata: b\r\r", "<a><b>"},
        {"data:a\n\n", "<a>"},
        {"data:  a\n\n", "< a>"},
        {"data: a\ndata: b\n\n", "<a\nb>"},
        {"data\n\n", "<>"},
        {"data: a", ""},
        {"data: a\n", ""},
        {"\n\n\n: nothing\n\ndata: a\n\n", "<a>"},
        {"event: x\nid: 7\nretry: 5\ndata: a\n\n", "<a>"},
        {"database: x\n\ndata: a\n\n", "<a>"},
        {"\xef\xbb\xbf"
         "data: a\n\n",
            "<a>"},
        {"data: a\n\n\xef\xbb\xbf"
         "data: b\n\n",
            "<a>"},
        {"data: a\n\ndata: [DONE]\n\n", "<a>done"},
        {"data: [DONE]\n\ndata: late\n\n", "done"},
        {"data: \xe2\x98\x83\n\n", "<\xe2\x98\x83>"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t piece = 1; piece < 8; piece++)
            check(rows[i].bytes, piece, rows[i].wanted);
        check(rows[i].bytes, 4096, rows[i].wanted);
    }
}

static void test_an_event_without_its_empty_line_counts_at_the_end(void **state)
{
    struct llm_stream stream = LLM_STREAM_INIT;
    struct span data;
    (void)state;
    llm_stream_feed(&stream, SPAN_LITERAL("data: a"));
    assert_int_equal(llm_stream_next(&stream, &data), LLM_STREAM_MORE);
    llm_stream_close(&stream);
    assert_int_equal(llm_stream_next(&stream, &data), LLM_STREAM_DATA);
    assert_true(span_is(data, "a"));
    assert_int_equal(llm_stream_next(&stream, &data), LLM_STREAM_MORE);
    llm_stream_deinit(&stream);
}

static void test_an_event_that_is_too_large_is_told(void **state)
{
    static char line[LLM_EVENT_MAX + 16];
    struct llm_stream stream = LLM_STREAM_INIT;
    struct span data;
    (void)state;
    memset(line, 'x', sizeof(line));
    llm_stream_feed(&stream, span_of(line, sizeof(line)));
    assert_int_equal(llm_stream_next(&stream, &data), LLM_STREAM_TOO_LARGE);
    llm_stream_reset(&stream);
    memcpy(line, "data: ", 6);
    memcpy(line + LLM_EVENT_MAX / 2, "\ndata: ", 7);
    memcpy(line + LLM_EVENT_MAX, "\n\n", 2);
    llm_stream_feed(&stream, span_of(line, LLM_EVENT_MAX + 2));
    assert_int_equal(llm_stream_next(&stream, &data), LLM_STREAM_DATA);
    assert_int_equal(data.len, LLM_EVENT_MAX - 12);
    llm_stream_deinit(&stream);
}

static void test_another_answer_begins_anew(void **state)
{
    struct llm_stream stream = LLM_STREAM_INIT;
    struct buffer out = BUFFER_INIT;
    (void)state;
    llm_stream_feed(&stream, SPAN_LITERAL("data: [DONE]\n\ndata: ha"));
    read_all(&stream, &out);
    llm_stream_reset(&stream);
    llm_stream_feed(&stream, SPAN_LITERAL("\xef\xbb\xbf"
                                          "data: b\n\n"));
    read_all(&stream, &out);
    assert_true(span_is(buffer_span(&out), "done<b>"));
    buffer_deinit(&out);
    llm_stream_deinit(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_found_in_whatever_pieces_they_come),
        cmocka_unit_test(test_an_event_without_its_empty_line_counts_at_the_end),
        cmocka_unit_test(test_an_event_that_is_too_large_is_told),
        cmocka_unit_test(test_another_answer_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
