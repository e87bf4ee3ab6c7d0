/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pack.h"
#include "chance.h"
#include "event/codec.h"
#include "unit.h"

#include "sample-event.h"

#include <errno.h>

static void test_codec_reads_back_several_events_behind_one_another(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct event sent = sample_event();
    for (sent.seq = 1; sent.seq <= 3; sent.seq++)
        event_encode(&bytes, &sent);
    size_t offset = 0;
    struct event got;
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(event_decode_next(&got, buffer_span(&bytes), &offset), 1);
        assert_int_equal(got.seq, seq);
        assert_int_equal(got.user_tag, sent.user_tag);
        assert_same_event(&got, &sent);
    }
    assert_int_equal(offset, bytes.len);
    assert_int_equal(event_decode_next(&got, buffer_span(&bytes), &offset), 0);
    buffer_deinit(&bytes);
}

static void test_codec_reads_back_an_event_with_absent_fields(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct event sent = {.type = EVENT_AGENT_COMPLETED, .seq = UINT64_MAX};
    struct event got;
    size_t offset = 0;
    event_encode(&bytes, &sent);
    assert_int_equal(event_decode_next(&got, buffer_span(&bytes), &offset), 1);
    assert_same_event(&got, &sent);
    assert_true(got.seq == UINT64_MAX);
    buffer_deinit(&bytes);
}

static void test_codec_reads_back_which_numbers_a_folded_event_stands_for(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct event sent = sample_event();
    struct event got;
    size_t offset = 0;
    assert_int_equal(event_first_seq(&sent), sent.seq);
    sent.first_seq = sent.seq - 41;
    event_encode(&bytes, &sent);
    assert_int_equal(event_decode_next(&got, buffer_span(&bytes), &offset), 1);
    assert_int_equal(offset, bytes.len);
    assert_int_equal(got.first_seq, sent.seq - 41);
    assert_int_equal(event_first_seq(&got), sent.seq - 41);
    assert_same_event(&got, &sent);
    buffer_deinit(&bytes);
}

static void test_codec_writes_the_same_bytes_within_the_context_of_a_run(void **state)
{
    (void)state;
    struct buffer whole = BUFFER_INIT;
    struct buffer context = BUFFER_INIT;
    struct buffer within = BUFFER_INIT;
    struct event sent = sample_event();
    event_encode(&whole, &sent);
    event_encode_context(&context, &sent);
    sent.user_tag = 0;
    sent.thread_id = sent.run_id = sent.request_id = sent.agent = SPAN_EMPTY;
    event_encode_within(&within, &sent, buffer_span(&context));
    assert_true(span_equal(buffer_span(&within), buffer_span(&whole)));
    buffer_deinit(&whole);
    buffer_deinit(&context);
    buffer_deinit(&within);
}

static void test_codec_refuses_an_event_cut_anywhere_and_stays_where_it_is(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct event sent = sample_event();
    struct event got;
    event_encode(&bytes, &sent);
    for (size_t len = 1; len < bytes.len; len++) {
        size_t offset = 0;
        char *exact = malloc(len);
        memcpy(exact, bytes.data, len);
        assert_int_equal(event_decode_next(&got, span_of(exact, len), &offset), -EBADMSG);
        assert_int_equal(offset, 0);
        free(exact);
    }
    buffer_deinit(&bytes);
}

static void refuse(const struct event *event)
{
    struct buffer bytes = BUFFER_INIT;
    struct event got;
    size_t offset = 0;
    event_encode(&bytes, event);
    assert_int_equal(event_decode_next(&got, buffer_span(&bytes), &offset), -EBADMSG);
    buffer_deinit(&bytes);
}

static void test_codec_refuses_unknown_types_flags_and_long_identifiers(void **state)
{
    (void)state;
    char name[IDENTIFIER_MAX + 1];
    memset(name, 'x', sizeof(name));
    struct event event = sample_event();
    event.type = EVENT_TYPE_COUNT;
    refuse(&event);
    event.type = EVENT_NONE;
    refuse(&event);
    event = sample_event();
    event.flags = EVENT_FLAGS_ALL + 1;
    refuse(&event);
    event = sample_event();
    event.tool_call_id = span_of(name, sizeof(name));
    refuse(&event);
}

static void test_codec_refuses_a_folded_event_that_does_not_begin_before_its_number(void **state)
{
    (void)state;
    struct event event = sample_event();
    event.first_seq = event.seq;
    refuse(&event);
    event.first_seq = event.seq + 1;
    refuse(&event);
}

static void test_codec_refuses_other_counts_of_fields(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct event event = sample_event();
    struct event got;
    size_t offset = 0;
    event_encode(&bytes, &event);
    for (unsigned count = 0; count < 16; count++) {
        offset = 0;
        bytes.data[0] = (char)(0x90 | count);
        int expected = count == EVENT_CODEC_FIELDS ? 1 : -EBADMSG;
        assert_int_equal(event_decode_next(&got, buffer_span(&bytes), &offset), expected);
    }
    buffer_deinit(&bytes);
}

/* What is accepted after mutation must survive another round trip. */
static void test_codec_accepts_only_what_it_could_have_written(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    struct buffer bytes = BUFFER_INIT;
    struct event sent = sample_event();
    event_encode(&bytes, &sent);
    char text[256];
    int accepted = 0;
    for (int i = 0; i < 100000; i++) {
        struct event got;
        struct event again;
        size_t offset = 0;
        memcpy(text, bytes.data, bytes.len);
        size_t len = chance_mutate(&chance, text, bytes.len, sizeof(text),
            "\x90\x9c\xa0\xa3\xc4\xcc\xcf\xd9\xdb\xff\x01x");
        if (event_decode_next(&got, span_of(text, len), &offset) != 1)
            continue;
        assert_true(offset <= len);
        struct buffer twice = BUFFER_INIT;
        event_encode(&twice, &got);
        offset = 0;
        assert_int_equal(event_decode_next(&again, buffer_span(&twice), &offset), 1);
        assert_same_event(&again, &got);
        buffer_deinit(&twice);
        accepted++;
    }
    assert_true(accepted > 100);
    buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_reads_back_several_events_behind_one_another),
        cmocka_unit_test(test_codec_reads_back_an_event_with_absent_fields),
        cmocka_unit_test(test_codec_reads_back_which_numbers_a_folded_event_stands_for),
        cmocka_unit_test(test_codec_writes_the_same_bytes_within_the_context_of_a_run),
        cmocka_unit_test(test_codec_refuses_an_event_cut_anywhere_and_stays_where_it_is),
        cmocka_unit_test(test_codec_refuses_unknown_types_flags_and_long_identifiers),
        cmocka_unit_test(test_codec_refuses_a_folded_event_that_does_not_begin_before_its_number),
        cmocka_unit_test(test_codec_refuses_other_counts_of_fields),
        cmocka_unit_test(test_codec_accepts_only_what_it_could_have_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
