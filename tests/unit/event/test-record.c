/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"
#include "event/record.h"
#include "unit.h"

#include "sample-event.h"

#include <errno.h>

static struct buffer gathered_record(const struct event *event)
{
    struct event_record record;
    struct buffer bytes = BUFFER_INIT;
    assert_int_equal(event_record_encode(&record, event), 0);
    for (int i = 0; i < EVENT_RECORD_PARTS; i++)
        buffer_append(&bytes, record.parts[i].iov_base, record.parts[i].iov_len);
    assert_int_equal(bytes.len, record.size);
    return bytes;
}

static void test_record_is_read_back_without_number_and_user(void **state)
{
    (void)state;
    struct event sent = sample_event();
    struct event got;
    struct buffer bytes = gathered_record(&sent);
    assert_int_equal(event_record_decode(&got, buffer_span(&bytes)), 0);
    assert_same_event(&got, &sent);
    assert_int_equal(got.seq, 0);
    assert_int_equal(got.user_tag, 0);
    buffer_deinit(&bytes);
}

static void test_record_of_every_type_and_flag_is_read_back(void **state)
{
    (void)state;
    for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        for (uint32_t flags = 0; flags <= EVENT_FLAGS_ALL; flags++) {
            struct event sent = {.type = (enum event_type)type,
                .flags = flags,
                .run_id = SPAN_LITERAL("r"),
                .data = SPAN_LITERAL("{}")};
            struct event got;
            struct buffer bytes = gathered_record(&sent);
            assert_int_equal(event_record_decode(&got, buffer_span(&bytes)), 0);
            assert_same_event(&got, &sent);
            buffer_deinit(&bytes);
        }
    }
}

static void test_record_refuses_to_be_made_of_a_bad_event(void **state)
{
    (void)state;
    char name[IDENTIFIER_MAX + 1];
    memset(name, 'x', sizeof(name));
    struct event_record record;
    struct event event = sample_event();
    event.agent = span_of(name, IDENTIFIER_MAX);
    assert_int_equal(event_record_encode(&record, &event), 0);
    event.agent = span_of(name, IDENTIFIER_MAX + 1);
    assert_int_equal(event_record_encode(&record, &event), -EINVAL);
    event = sample_event();
    event.type = EVENT_NONE;
    assert_int_equal(event_record_encode(&record, &event), -EINVAL);
    event.type = EVENT_TYPE_COUNT;
    assert_int_equal(event_record_encode(&record, &event), -EINVAL);
}

static void refuse_with_byte(struct buffer *bytes, size_t at, char byte)
{
    struct event got;
    char saved = bytes->data[at];
    bytes->data[at] = byte;
    assert_int_equal(event_record_decode(&got, buffer_span(bytes)), -EBADMSG);
    bytes->data[at] = saved;
    assert_int_equal(event_record_decode(&got, buffer_span(bytes)), 0);
}

static void test_record_with_a_wrong_header_is_refused(void **state)
{
    (void)state;
    struct event sent = sample_event();
    struct buffer bytes = gathered_record(&sent);
    refuse_with_byte(&bytes, 0, EVENT_RECORD_VERSION + 1);
    refuse_with_byte(&bytes, 1, EVENT_NONE);
    refuse_with_byte(&bytes, 1, EVENT_TYPE_COUNT);
    refuse_with_byte(&bytes, 2, 0x10);
    refuse_with_byte(&bytes, 4, 0);
    refuse_with_byte(&bytes, 16, 0);
    refuse_with_byte(&bytes, 17, 127);
    refuse_with_byte(&bytes, EVENT_RECORD_HEADER_SIZE, '"');
    buffer_deinit(&bytes);
}

static void test_record_without_a_run_is_refused(void **state)
{
    (void)state;
    struct event sent = sample_event();
    struct event got;
    sent.run_id = SPAN_EMPTY;
    struct buffer bytes = gathered_record(&sent);
    assert_int_equal(event_record_decode(&got, buffer_span(&bytes)), -EBADMSG);
    buffer_deinit(&bytes);
}

static void test_record_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct event sent = sample_event();
    struct event got;
    struct buffer bytes = gathered_record(&sent);
    for (size_t len = 0; len < bytes.len; len++) {
        char *exact = malloc(len ? len : 1);
        memcpy(exact, bytes.data, len);
        assert_int_equal(event_record_decode(&got, span_of(exact, len)), -EBADMSG);
        free(exact);
    }
    buffer_deinit(&bytes);
}

/* A record that is accepted must be one that encodes to the same bytes: nothing goes unseen. */
static void test_record_accepted_after_mutation_encodes_to_the_same_bytes(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    struct event sent = sample_event();
    struct buffer bytes = gathered_record(&sent);
    char text[256];
    int accepted = 0;
    for (int i = 0; i < 100000; i++) {
        struct event got;
        memcpy(text, bytes.data, bytes.len);
        size_t len = chance_mutate(&chance, text, bytes.len, sizeof(text), "\x01\x03\x7f\xff a\"");
        if (event_record_decode(&got, span_of(text, len)))
            continue;
        struct buffer again = gathered_record(&got);
        memset(text + 22, 0, 2); /* written as zero, not read */
        assert_true(span_equal(buffer_span(&again), span_of(text, len)));
        buffer_deinit(&again);
        accepted++;
    }
    assert_true(accepted > 100);
    buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_is_read_back_without_number_and_user),
        cmocka_unit_test(test_record_of_every_type_and_flag_is_read_back),
        cmocka_unit_test(test_record_refuses_to_be_made_of_a_bad_event),
        cmocka_unit_test(test_record_with_a_wrong_header_is_refused),
        cmocka_unit_test(test_record_without_a_run_is_refused),
        cmocka_unit_test(test_record_cut_anywhere_is_refused),
        cmocka_unit_test(test_record_accepted_after_mutation_encodes_to_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
