/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"
#include "outbox.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

static struct frame *numbered(unsigned number, size_t padding)
{
    char text[300];
    memset(text, '.', sizeof(text));
    snprintf(text, 12, "%010u", number);
    return frame_new(FRAME_TEXT, span_of(text, 10 + padding));
}

static int push_numbered(struct outbox *outbox, unsigned number, size_t padding)
{
    struct frame *frame = numbered(number, padding);
    int rc = outbox_push(outbox, frame);
    frame_unref(frame);
    return rc;
}

static void test_outbox_gives_frames_in_order_whatever_the_turns(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    struct outbox outbox;
    struct buffer out = BUFFER_INIT;
    unsigned pushed = 0;
    unsigned taken = 0;
    outbox_init(&outbox, 1 << 20);
    for (int turn = 0; turn < 2000; turn++) {
        for (size_t n = chance_below(&chance, 20); n > 0; n--)
            assert_int_equal(push_numbered(&outbox, pushed++, chance_below(&chance, 250)), 0);
        buffer_clear(&out);
        size_t count = outbox_take(&outbox, &out, chance_below(&chance, 3000));
        size_t at = 0;
        for (size_t i = 0; i < count; i++) {
            size_t len = (unsigned char)out.data[at + 1];
            size_t header = len == 126 ? 4 : 2;
            if (len == 126)
                len =
                    (size_t)(unsigned char)out.data[at + 2] << 8 | (unsigned char)out.data[at + 3];
            assert_int_equal(strtoul(out.data + at + header, NULL, 10), taken++);
            at += header + len;
        }
        assert_int_equal(at, out.len);
    }
    assert_int_equal(outbox.count, pushed - taken);
    outbox_deinit(&outbox);
    buffer_deinit(&out);
}

static void test_outbox_takes_whole_frames_until_it_has_what_is_wanted(void **state)
{
    (void)state;
    struct outbox outbox;
    struct buffer out = BUFFER_INIT;
    outbox_init(&outbox, 1 << 20);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(push_numbered(&outbox, i, 88), 0); /* 100 bytes each */
    assert_int_equal(outbox_take(&outbox, &out, 250), 3);
    assert_int_equal(out.len, 300);
    assert_int_equal(outbox.bytes, 700);
    assert_int_equal(outbox_take(&outbox, &out, 300), 0); /* there already */
    assert_int_equal(outbox_take(&outbox, &out, SIZE_MAX), 7);
    assert_true(outbox_empty(&outbox));
    assert_int_equal(outbox.bytes, 0);
    outbox_deinit(&outbox);
    buffer_deinit(&out);
}

static void test_outbox_refuses_what_passes_its_limit_and_keeps_the_rest(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 250);
    assert_int_equal(push_numbered(&outbox, 1, 88), 0);
    assert_int_equal(push_numbered(&outbox, 2, 88), 0);
    assert_int_equal(push_numbered(&outbox, 3, 88), -ENOBUFS);
    assert_int_equal(outbox.count, 2);
    assert_int_equal(outbox.bytes, 200);
    outbox_clear(&outbox);
    assert_int_equal(outbox.bytes, 0);
    assert_int_equal(push_numbered(&outbox, 3, 88), 0);
    outbox_deinit(&outbox);
}

static void test_outbox_takes_one_frame_larger_than_the_limit_when_empty(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 50);
    assert_int_equal(push_numbered(&outbox, 1, 250), 0);
    assert_int_equal(push_numbered(&outbox, 2, 0), -ENOBUFS);
    outbox_deinit(&outbox);
}

static void test_outbox_puts_a_first_frame_before_all_others(void **state)
{
    (void)state;
    struct outbox outbox;
    struct buffer out = BUFFER_INIT;
    outbox_init(&outbox, 12 * 20);
    for (unsigned i = 1; i <= 20; i++)
        assert_int_equal(push_numbered(&outbox, i, 0), 0);
    struct frame *first = numbered(0, 0);
    assert_int_equal(outbox_push_first(&outbox, first), 0); /* past the limit */
    frame_unref(first);
    assert_int_equal(outbox_take(&outbox, &out, SIZE_MAX), 21);
    for (unsigned i = 0; i <= 20; i++)
        assert_int_equal(strtoul(out.data + 12 * i + 2, NULL, 10), i);
    outbox_deinit(&outbox);
    buffer_deinit(&out);
}

static void test_outbox_shares_frames_and_lets_them_go(void **state)
{
    (void)state;
    struct outbox one;
    struct outbox two;
    struct buffer out = BUFFER_INIT;
    outbox_init(&one, 1000);
    outbox_init(&two, 1000);
    struct frame *frame = numbered(7, 0);
    outbox_push(&one, frame);
    outbox_push(&two, frame);
    assert_int_equal(frame->refs, 3);
    outbox_take(&one, &out, SIZE_MAX);
    assert_int_equal(frame->refs, 2);
    outbox_deinit(&two);
    assert_int_equal(frame->refs, 1);
    frame_unref(frame);
    outbox_deinit(&one);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outbox_gives_frames_in_order_whatever_the_turns),
        cmocka_unit_test(test_outbox_takes_whole_frames_until_it_has_what_is_wanted),
        cmocka_unit_test(test_outbox_refuses_what_passes_its_limit_and_keeps_the_rest),
        cmocka_unit_test(test_outbox_takes_one_frame_larger_than_the_limit_when_empty),
        cmocka_unit_test(test_outbox_puts_a_first_frame_before_all_others),
        cmocka_unit_test(test_outbox_shares_frames_and_lets_them_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
