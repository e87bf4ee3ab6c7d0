/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "wire/bundle.h"

#include <errno.h>

static void add(struct buffer *bundle, const char *text)
{
    size_t start = bundle_begin(bundle);
    buffer_append_string(bundle, text);
    assert_int_equal(bundle_end(bundle, start, 100), 0);
}

static void assert_next(const struct buffer *bundle, size_t *at, const char *text)
{
    struct span message;
    assert_int_equal(bundle_next(&message, buffer_span(bundle), at), 1);
    assert_true(span_is(message, text));
}

static void test_bundle_gives_messages_back_in_order_empty_ones_too(void **state)
{
    (void)state;
    struct buffer bundle = BUFFER_INIT;
    struct span message;
    size_t at = 0;
    add(&bundle, "first");
    add(&bundle, "");
    add(&bundle, "third");
    assert_next(&bundle, &at, "first");
    assert_next(&bundle, &at, "");
    assert_next(&bundle, &at, "third");
    assert_int_equal(bundle_next(&message, buffer_span(&bundle), &at), 0);
    buffer_deinit(&bundle);
}

static void test_bundle_writes_lengths_the_small_end_first(void **state)
{
    (void)state;
    struct buffer bundle = BUFFER_INIT;
    add(&bundle, "abc");
    assert_int_equal(bundle.len, 7);
    assert_memory_equal(bundle.data, "\3\0\0\0abc", 7);
    buffer_deinit(&bundle);
}

static void test_bundle_takes_out_a_message_that_is_too_large(void **state)
{
    (void)state;
    struct buffer bundle = BUFFER_INIT;
    size_t at = 0;
    add(&bundle, "kept");
    size_t start = bundle_begin(&bundle);
    buffer_append_string(&bundle, "too long");
    assert_int_equal(bundle_end(&bundle, start, 7), -EMSGSIZE);
    add(&bundle, "next");
    assert_next(&bundle, &at, "kept");
    assert_next(&bundle, &at, "next");
    assert_int_equal(at, bundle.len);
    buffer_deinit(&bundle);
}

static void test_bundle_refuses_what_is_cut_anywhere(void **state)
{
    (void)state;
    struct buffer bundle = BUFFER_INIT;
    struct span message;
    add(&bundle, "whole");
    for (size_t len = 1; len < bundle.len; len++) {
        size_t at = 0;
        assert_int_equal(bundle_next(&message, span_of(bundle.data, len), &at), -EBADMSG);
        assert_int_equal(at, 0);
    }
    size_t at = 0;
    assert_int_equal(bundle_next(&message, SPAN_LITERAL("\xff\xff\xff\xff"), &at), -EBADMSG);
    buffer_deinit(&bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundle_gives_messages_back_in_order_empty_ones_too),
        cmocka_unit_test(test_bundle_writes_lengths_the_small_end_first),
        cmocka_unit_test(test_bundle_takes_out_a_message_that_is_too_large),
        cmocka_unit_test(test_bundle_refuses_what_is_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
