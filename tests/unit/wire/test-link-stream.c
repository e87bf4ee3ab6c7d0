/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "wire/link_stream.h"
#include "wire/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static size_t put(struct link_stream *stream, const void *bytes, size_t len)
{
    size_t room = 0;
    char *at = link_stream_room(stream, &room);
    assert_non_null(at);
    assert_true(room >= len);
    memcpy(at, bytes, len);
    link_stream_filled(stream, len);
    return room;
}

static void greet(struct link_stream *stream)
{
    struct span message;
    put(stream, LINK_STREAM_GREETING, LINK_STREAM_GREETING_LEN);
    assert_int_equal(link_stream_next(stream, &message), LINK_STREAM_GREETED);
    assert_int_equal(link_stream_next(stream, &message), LINK_STREAM_MORE);
}

static void assert_message(struct link_stream *stream, const char *text)
{
    struct span message;
    assert_int_equal(link_stream_next(stream, &message), LINK_STREAM_MESSAGE);
    assert_true(span_is(message, text));
}

static void test_stream_gives_messages_however_they_were_cut(void **state)
{
    (void)state;
    static const char bytes[] = LINK_STREAM_GREETING "\5\0\0\0first\0\0\0\0\3\0\0\0two";
    for (size_t cut = 1; cut < sizeof(bytes) - 1; cut++) {
        struct link_stream stream = {0};
        struct span message;
        char seen[16] = "";
        for (size_t at = 0; at < sizeof(bytes) - 1; at += cut) {
            size_t left = sizeof(bytes) - 1 - at;
            put(&stream, bytes + at, left < cut ? left : cut);
            for (int what; (what = link_stream_next(&stream, &message));)
                snprintf(seen + strlen(seen), 9, "%.*s/",
                    what == LINK_STREAM_MESSAGE ? (int)message.len : 0, message.data);
        }
        assert_string_equal(seen, "/first//two/");
        link_stream_deinit(&stream);
    }
}

static void test_stream_refuses_another_greeting_at_its_first_wrong_byte(void **state)
{
    (void)state;
    struct span message;
    for (size_t wrong = 0; wrong < LINK_STREAM_GREETING_LEN; wrong++) {
        struct link_stream stream = {0};
        put(&stream, LINK_STREAM_GREETING, wrong);
        assert_int_equal(link_stream_next(&stream, &message), LINK_STREAM_MORE);
        put(&stream, "X", 1);
        assert_int_equal(link_stream_next(&stream, &message), -EPROTO);
        link_stream_deinit(&stream);
    }
}

static void test_stream_has_room_for_no_more_than_the_largest_message(void **state)
{
    (void)state;
    struct link_stream stream = {0};
    struct span message;
    put(&stream, LINK_STREAM_GREETING, 4); /* "ring" would be a length of 1.7 GB */
    assert_in_range(put(&stream, &LINK_STREAM_GREETING[4], 4), 4096, 1 << 20);
    assert_int_equal(link_stream_next(&stream, &message), LINK_STREAM_GREETED);
    put(&stream, "\0\0\x80\0", 4); /* as large as there may be */
    assert_int_equal(link_stream_next(&stream, &message), LINK_STREAM_MORE);
    assert_in_range(put(&stream, "", 0), WIRE_MESSAGE_MAX, 4 * (size_t)WIRE_MESSAGE_MAX);
    link_stream_clear(&stream);
    greet(&stream);
    put(&stream, "\1\0\x80\0", 4); /* a byte more */
    assert_int_equal(link_stream_next(&stream, &message), -EMSGSIZE);
    link_stream_deinit(&stream);
}

static void test_stream_gives_back_the_room_of_a_large_message(void **state)
{
    (void)state;
    static char filler[1 << 20];
    struct link_stream stream = {0};
    struct span message;
    greet(&stream);
    put(&stream, "\0\0\x10\0", 4);
    put(&stream, filler, sizeof(filler));
    assert_int_equal(link_stream_next(&stream, &message), LINK_STREAM_MESSAGE);
    assert_int_equal(message.len, sizeof(filler));
    assert_in_range(put(&stream, "\1\0\0\0a", 5), 4096, 1 << 17);
    assert_message(&stream, "a");
    link_stream_deinit(&stream);
}

static void test_stream_begins_anew_and_what_it_gave_stays_until_more_comes(void **state)
{
    (void)state;
    struct link_stream stream = {0};
    struct span message;
    greet(&stream);
    put(&stream, "\4\0\0\0kept\7\0\0\0par", 15);
    assert_int_equal(link_stream_next(&stream, &message), LINK_STREAM_MESSAGE);
    link_stream_clear(&stream);
    assert_true(span_is(message, "kept"));
    greet(&stream);
    put(&stream, "\3\0\0\0new", 7);
    assert_message(&stream, "new");
    link_stream_deinit(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_gives_messages_however_they_were_cut),
        cmocka_unit_test(test_stream_refuses_another_greeting_at_its_first_wrong_byte),
        cmocka_unit_test(test_stream_has_room_for_no_more_than_the_largest_message),
        cmocka_unit_test(test_stream_gives_back_the_room_of_a_large_message),
        cmocka_unit_test(test_stream_begins_anew_and_what_it_gave_stays_until_more_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
