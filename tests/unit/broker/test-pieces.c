/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "runs/pieces.h"
#include "unit.h"

#include <stdlib.h>

/* The text is the numbers from `from` to below `to`, a digit each. */
static void assert_digits(const struct pieces *pieces, size_t from, size_t to)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    pieces_copy(&out, pieces);
    assert_int_equal(buffer_error(&out), 0);
    assert_int_equal(out.len, to - from);
    assert_int_equal(pieces->len, to - from);
    for (size_t i = 0; i < out.len; i++)
        assert_int_equal(out.data[i], '0' + (char)((from + i) % 10));
}

static size_t append_digits(struct pieces *pieces, size_t from, size_t count)
{
    char text[10000];
    for (size_t i = 0; i < count; i++)
        text[i] = (char)('0' + (from + i) % 10);
    assert_int_equal(pieces_append(pieces, span_of(text, count)), 0);
    return from + count;
}

static void test_pieces_are_the_text_however_it_came(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 255, 1, 0, 4000, 9999, 3, 500};
    struct pieces pieces = {0};
    size_t end = 0;
    for (size_t i = 0; i < 8; i++)
        end = append_digits(&pieces, end, lengths[i]);
    assert_digits(&pieces, 0, end);
    pieces_deinit(&pieces);
    assert_digits(&pieces, 0, 0);
}

static void test_what_is_appended_at_once_stays_together(void **state)
{
    (void)state;
    struct pieces pieces = {0};
    size_t end = 0;
    for (size_t len = 1; len < 2000; len += 97)
        end = append_digits(&pieces, end, len);
    size_t begin = 0;
    size_t part = 1;
    while (pieces.len) {
        size_t left = pieces_front(&pieces).len;
        size_t taken = 0;
        for (; taken < left; part += 97)
            taken += part;
        assert_int_equal(taken, left); /* whole parts */
        pieces_drop(&pieces, left);
        begin += left;
        assert_digits(&pieces, begin, end);
    }
    assert_null(pieces_front(&pieces).data);
}

static void test_pieces_are_given_up_from_the_front(void **state)
{
    (void)state;
    struct pieces pieces = {0};
    size_t end = append_digits(&pieces, 0, 5000);
    pieces_drop(&pieces, 123);
    assert_digits(&pieces, 123, end);
    end = append_digits(&pieces, end, 10);
    pieces_drop(&pieces, pieces_front(&pieces).len);
    assert_digits(&pieces, 5000, end);
    pieces_drop(&pieces, 10);
    end = append_digits(&pieces, end, 7);
    assert_digits(&pieces, end - 7, end);
    pieces_deinit(&pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_the_text_however_it_came),
        cmocka_unit_test(test_what_is_appended_at_once_stays_together),
        cmocka_unit_test(test_pieces_are_given_up_from_the_front),
    };
    return cmocka_run_group_tests_name("broker-pieces", tests, NULL, NULL);
}
