/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pack.h"
#include "chance.h"
#include "unit.h"
#include "wire/message.h"

#include <errno.h>

static void encode(struct buffer *out, const struct wire_message *message)
{
    buffer_clear(out);
    wire_encode(out, message);
    assert_int_equal(buffer_error(out), 0);
}

static void test_message_assign_is_read_back_field_by_field(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct wire_message got;
    const struct wire_message sent = {.kind = WIRE_ASSIGN,
        .assign = {.run_id = SPAN_LITERAL("r-1"),
            .user = SPAN_LITERAL("alice"),
            .content = SPAN_LITERAL("\"hello\""),
            .deadline = UINT64_MAX}};
    encode(&out, &sent);
    assert_int_equal(wire_decode(&got, buffer_span(&out)), 0);
    assert_int_equal(got.kind, WIRE_ASSIGN);
    assert_true(span_is(got.assign.run_id, "r-1"));
    assert_true(span_is(got.assign.user, "alice"));
    assert_true(span_is(got.assign.content, "\"hello\""));
    assert_int_equal(got.assign.thread_id.len, 0);
    assert_true(got.assign.deadline == UINT64_MAX);
    buffer_deinit(&out);
}

/* Whatever the fields are: a message of each kind survives encode, decode, encode. */
static void test_message_of_every_kind_is_read_back(void **state)
{
    (void)state;
    struct buffer first = BUFFER_INIT;
    struct buffer second = BUFFER_INIT;
    for (unsigned kind = WIRE_NONE + 1; kind < WIRE_KIND_COUNT; kind++) {
        struct wire_message sent = {.kind = (enum wire_kind)kind};
        struct wire_message got;
        encode(&first, &sent);
        assert_int_equal(wire_decode(&got, buffer_span(&first)), 0);
        assert_int_equal(got.kind, kind);
        encode(&second, &got);
        assert_true(span_equal(buffer_span(&first), buffer_span(&second)));
        assert_string_not_equal(wire_kind_name(got.kind), "unknown");
    }
    buffer_deinit(&first);
    buffer_deinit(&second);
}

static void test_message_of_an_unknown_kind_is_neither_written_nor_read(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct wire_message got;
    struct wire_message none = {.kind = WIRE_NONE};
    wire_encode(&out, &none);
    assert_int_equal(buffer_error(&out), -ENOMEM);
    const uint64_t kinds[] = {WIRE_NONE, WIRE_KIND_COUNT, 1ull << 32 | WIRE_CLOSE, UINT64_MAX};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        buffer_clear(&out);
        pack_array(&out, 2);
        pack_uint(&out, kinds[i]);
        pack_str(&out, SPAN_LITERAL("alice"));
        assert_int_equal(wire_decode(&got, buffer_span(&out)), -EBADMSG);
    }
    assert_string_equal(wire_kind_name(WIRE_KIND_COUNT), "unknown");
    buffer_deinit(&out);
}

static void test_message_with_a_wrong_field_is_refused(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct wire_message got;
    pack_array(&out, 2);
    pack_uint(&out, WIRE_CLOSE);
    pack_uint(&out, 1); /* a number where the user is due */
    assert_int_equal(wire_decode(&got, buffer_span(&out)), -EBADMSG);
    buffer_clear(&out);
    pack_array(&out, 3); /* one field too many */
    pack_uint(&out, WIRE_CLOSE);
    pack_str(&out, SPAN_LITERAL("alice"));
    pack_uint(&out, 1);
    assert_int_equal(wire_decode(&got, buffer_span(&out)), -EBADMSG);
    buffer_deinit(&out);
}

static void test_message_cut_or_followed_by_more_is_refused(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct wire_message got;
    const struct wire_message sent = {.kind = WIRE_EVENTS,
        .events = {SPAN_LITERAL("alice"), SPAN_LITERAL("e1"), SPAN_LITERAL("some bytes")}};
    encode(&out, &sent);
    for (size_t len = 0; len < out.len; len++) {
        char *exact = malloc(len ? len : 1);
        memcpy(exact, out.data, len);
        assert_int_equal(wire_decode(&got, span_of(exact, len)), -EBADMSG);
        free(exact);
    }
    buffer_append_char(&out, '\0');
    assert_int_equal(wire_decode(&got, buffer_span(&out)), -EBADMSG);
    buffer_deinit(&out);
}

static void test_message_accepted_after_mutation_survives_a_round_trip(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    struct buffer bytes = BUFFER_INIT;
    struct buffer again = BUFFER_INIT;
    const struct wire_message sent = {.kind = WIRE_REPLY,
        .reply = {.request = 300, .code = SPAN_LITERAL("unavailable"), .retryable = 1}};
    encode(&bytes, &sent);
    char text[128];
    int accepted = 0;
    for (int i = 0; i < 100000; i++) {
        struct wire_message got;
        struct wire_message twice;
        memcpy(text, bytes.data, bytes.len);
        size_t len = chance_mutate(&chance, text, bytes.len, sizeof(text),
            "\x91\x96\xa0\xab\xc4\xcd\xcf\xd9\xdb\xff\x02x");
        if (wire_decode(&got, span_of(text, len)))
            continue;
        encode(&again, &got);
        assert_int_equal(wire_decode(&twice, buffer_span(&again)), 0);
        assert_int_equal(twice.kind, got.kind);
        accepted++;
    }
    assert_true(accepted > 100);
    buffer_deinit(&bytes);
    buffer_deinit(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_assign_is_read_back_field_by_field),
        cmocka_unit_test(test_message_of_every_kind_is_read_back),
        cmocka_unit_test(test_message_of_an_unknown_kind_is_neither_written_nor_read),
        cmocka_unit_test(test_message_with_a_wrong_field_is_refused),
        cmocka_unit_test(test_message_cut_or_followed_by_more_is_refused),
        cmocka_unit_test(test_message_accepted_after_mutation_survives_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
