/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "ws_reader.h"

#include "base/buffer.h"

#include <stdio.h>
#include <string.h>

/* As a client sends it. */
static void append_frame(struct buffer *out, unsigned char first, struct span payload)
{
    static const unsigned char mask[4] = {0xa5, 0x00, 0xff, 0x5a};
    bool wide = payload.len > 125;
    buffer_append_char(out, (char)first);
    buffer_append_char(out, (char)(0x80 | (wide ? 126 : payload.len)));
    if (wide) {
        buffer_append_char(out, (char)(payload.len >> 8));
        buffer_append_char(out, (char)payload.len);
    }
    buffer_append(out, mask, 4);
    for (size_t i = 0; i < payload.len; i++)
        buffer_append_char(out, (char)(payload.data[i] ^ mask[i % 4]));
}

static void append_text(struct buffer *out, unsigned char first, const char *text)
{
    append_frame(out, first, span_of_string(text));
}

static void tell(struct buffer *told, const struct ws_read *read)
{
    static const char *names[] = {"", "data", "ping", "pong", "close", "violation"};
    if (read->kind == WS_READ_MORE)
        return;
    if (read->kind == WS_READ_DATA) {
        buffer_append_span(told, read->payload);
        buffer_append_string(told, read->last ? (read->binary ? "|b" : "|t") : "");
        return;
    }
    buffer_printf(told, "<%s %d ", names[read->kind], read->code);
    buffer_append_span(told, read->payload);
    buffer_append_char(told, '>');
}

/* Reads a copy of `sent`, `step` bytes at a time; what was read, with the parts of data joined. */
static void read_in_steps(struct buffer *told, struct span sent, size_t step)
{
    struct ws_reader reader = {0};
    struct buffer bytes = BUFFER_INIT;
    buffer_append_span(&bytes, sent);
    for (size_t at = 0; at < sent.len;) {
        struct ws_read read;
        size_t len = sent.len - at < step ? sent.len - at : step;
        size_t used = ws_reader_take(&read, &reader, bytes.data + at, len);
        assert_in_range(used, 1, len);
        tell(told, &read);
        at += used;
    }
    buffer_deinit(&bytes);
}

static void assert_reads(const struct buffer *sent, const char *expected)
{
    for (size_t step = 1; step <= sent->len; step++) {
        struct buffer told = BUFFER_INIT;
        read_in_steps(&told, buffer_span(sent), step);
        buffer_append_char(&told, '\0');
        assert_string_equal(told.data, expected);
        buffer_deinit(&told);
    }
}

static void test_frames_say_the_same_however_they_are_cut(void **state)
{
    (void)state;
    char long_text[301];
    memset(long_text, 'x', 300);
    long_text[300] = '\0';
    struct buffer sent = BUFFER_INIT, expected = BUFFER_INIT;
    append_text(&sent, 0x01, "{\"a\":");
    append_text(&sent, 0x89, "between");
    append_text(&sent, 0x00, "");
    append_text(&sent, 0x80, "\"\xe2\x82\xac\xf0\x9f\x91\x8b\"}");
    append_text(&sent, 0x82, "\xff\xfe");
    append_text(&sent, 0x8a, "");
    append_text(&sent, 0x81, long_text);
    append_text(&sent, 0x81, "");
    append_text(&sent, 0x88, "\x03\xe8gone");
    buffer_printf(&expected,
        "{\"a\":<ping 0 between>\"\xe2\x82\xac\xf0\x9f\x91\x8b\"}|t\xff\xfe|b<pong 0 >%s|t|t<close "
        "1000 >",
        long_text);
    buffer_append_char(&expected, '\0');
    assert_reads(&sent, expected.data);
    buffer_deinit(&sent);
    buffer_deinit(&expected);
}

static void test_what_is_not_websocket_is_a_violation(void **state)
{
    (void)state;
    const struct {
        const char *what;
        const char *bytes;
        size_t len;
        int code;
    } rows[] = {
        {"text that is not masked", "\x81\x02{}", 4, 1002},
        {"a ping that is not masked", "\x89\x00", 2, 1002},
        {"a reserved bit", "\xc1\x80", 2, 1002},
        {"the last reserved bit", "\x99\x80", 2, 1002},
        {"a reserved opcode", "\x83\x80", 2, 1002},
        {"a reserved control opcode", "\x8f\x80", 2, 1002},
        {"a continuation of nothing", "\x80\x80", 2, 1002},
        {"a message within another", "\x01\x80....\x81\x80", 8, 1002},
        {"a control frame in fragments", "\x09\x80", 2, 1002},
        {"a long control frame", "\x89\xfe", 2, 1002},
        {"a length of 2^63", "\x81\xff\x80\0\0\0\0\0\0\0....", 14, 1002},
        {"a Close of one byte", "\x88\x81\0\0\0\0\x03", 7, 1002},
        {"a Close with a code of its own", "\x88\x82\0\0\0\0\x03\xec", 8, 1002},
        {"a Close with a code out of range", "\x88\x82\0\0\0\0\x13\x88", 8, 1002},
        {"a Close whose reason is not UTF-8", "\x88\x83\0\0\0\0\x03\xe8\xff", 9, 1007},
        {"a lone continuation byte", "\x81\x81\0\0\0\0\x80", 7, 1007},
        {"an overlong form", "\x81\x82\0\0\0\0\xc0\xaf", 8, 1007},
        {"an overlong form of three", "\x81\x83\0\0\0\0\xe0\x9f\xbf", 9, 1007},
        {"an overlong form of four", "\x81\x84\0\0\0\0\xf0\x8f\xbf\xbf", 10, 1007},
        {"a surrogate", "\x81\x83\0\0\0\0\xed\xa0\x80", 9, 1007},
        {"beyond U+10FFFF", "\x81\x84\0\0\0\0\xf4\x90\x80\x80", 10, 1007},
        {"text that ends within a character", "\x81\x82\0\0\0\0\xe2\x82", 8, 1007},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step <= rows[i].len; step++) {
            struct buffer told = BUFFER_INIT, expected = BUFFER_INIT;
            read_in_steps(&told, span_of(rows[i].bytes, rows[i].len), step);
            buffer_printf(&expected, "<violation %d >", rows[i].code);
            /* Of text what was well-formed so far may have been told. */
            size_t before = told.len < expected.len ? 0 : told.len - expected.len;
            if (!span_equal(span_of(told.data + before, told.len - before), buffer_span(&expected)))
                fail_msg("%s, %zu at a time: %.*s", rows[i].what, step, (int)told.len, told.data);
            buffer_deinit(&told);
            buffer_deinit(&expected);
        }
    }
}

static void test_nothing_is_read_behind_a_violation(void **state)
{
    (void)state;
    struct buffer sent = BUFFER_INIT;
    append_text(&sent, 0x83, "");
    append_text(&sent, 0x89, "late");
    assert_reads(&sent, "<violation 1002 >");
    buffer_deinit(&sent);
}

static void test_codes_that_may_be_sent_are_read(void **state)
{
    (void)state;
    const int codes[] = {1000, 1003, 1007, 1014, 3000, 4999};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct buffer sent = BUFFER_INIT;
        char expected[32], payload[2] = {(char)(codes[i] >> 8), (char)codes[i]};
        append_frame(&sent, 0x88, span_of(payload, 2));
        snprintf(expected, sizeof(expected), "<close %d >", codes[i]);
        assert_reads(&sent, expected);
        buffer_deinit(&sent);
    }
    struct buffer sent = BUFFER_INIT;
    append_text(&sent, 0x88, "");
    assert_reads(&sent, "<close 0 >");
    buffer_deinit(&sent);
}

static void test_what_is_still_to_come_of_a_frame_is_told_with_its_first_part(void **state)
{
    (void)state;
    char bytes[] = "\x81\xff\x40\0\0\0\0\0\0\0\0\0\0\0{";
    struct ws_reader reader = {0};
    struct ws_read read;
    assert_int_equal(ws_reader_take(&read, &reader, bytes, 15), 15);
    assert_int_equal(read.kind, WS_READ_DATA);
    assert_int_equal(read.left, ((uint64_t)1 << 62) - 1);
    assert_false(read.last);
}

static void test_reader_is_idle_only_between_messages(void **state)
{
    (void)state;
    struct buffer sent = BUFFER_INIT;
    append_text(&sent, 0x01, "ab");
    append_text(&sent, 0x80, "c");
    struct ws_reader reader = {0};
    assert_true(ws_reader_is_idle(&reader));
    for (size_t at = 0; at < sent.len; at++) {
        struct ws_read read;
        assert_int_equal(ws_reader_take(&read, &reader, sent.data + at, 1), 1);
        assert_int_equal(ws_reader_is_idle(&reader), at + 1 == sent.len);
    }
    buffer_deinit(&sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_say_the_same_however_they_are_cut),
        cmocka_unit_test(test_what_is_not_websocket_is_a_violation),
        cmocka_unit_test(test_nothing_is_read_behind_a_violation),
        cmocka_unit_test(test_codes_that_may_be_sent_are_read),
        cmocka_unit_test(test_what_is_still_to_come_of_a_frame_is_told_with_its_first_part),
        cmocka_unit_test(test_reader_is_idle_only_between_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
