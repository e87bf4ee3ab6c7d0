/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"
#include "outbox.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* "0000000007" and padding: as long a frame as a test wants. */
static struct slice numbered(struct slab_pool *pool, unsigned number, size_t padding)
{
    struct slice slice = {0};
    struct buffer *out = slab_pool_open(pool);
    size_t start = out->len;
    buffer_printf(out, "%010u", number);
    for (size_t i = 0; i < padding; i++)
        buffer_append_char(out, '.');
    assert_int_equal(slab_pool_take(&slice, pool, start), 0);
    return slice;
}

static int push_numbered(
    struct outbox *outbox, struct slab_pool *pool, unsigned number, size_t padding)
{
    struct slice slice = numbered(pool, number, padding);
    int rc = outbox_push(outbox, &slice);
    slice_unref(&slice);
    return rc;
}

/* Sends up to `most` bytes, appends them to `out`. */
static void send_some(struct outbox *outbox, struct buffer *out, size_t most)
{
    struct iovec parts[4];
    size_t sent = 0;
    size_t count = outbox_parts(outbox, parts, 4);
    for (size_t i = 0; i < count && sent < most; i++) {
        size_t len = parts[i].iov_len < most - sent ? parts[i].iov_len : most - sent;
        buffer_append(out, parts[i].iov_base, len);
        sent += len;
    }
    outbox_sent(outbox, sent);
}

static void send_all(struct outbox *outbox, struct buffer *out)
{
    while (!outbox_empty(outbox))
        send_some(outbox, out, SIZE_MAX);
}

static void test_outbox_gives_bytes_in_order_whatever_the_turns(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    struct slab_pool pool = {0};
    struct outbox outbox;
    struct outbox other; /* pushes between, so that slices are torn */
    struct buffer out = BUFFER_INIT;
    struct buffer let_go = BUFFER_INIT;
    unsigned pushed = 0;
    outbox_init(&outbox);
    outbox_init(&other);
    for (int turn = 0; turn < 2000; turn++) {
        for (size_t n = chance_below(&chance, 20); n > 0; n--) {
            assert_int_equal(push_numbered(&outbox, &pool, pushed++, 0), 0);
            if (chance_below(&chance, 4) == 0)
                assert_int_equal(push_numbered(&other, &pool, 0, chance_below(&chance, 3000)), 0);
        }
        send_some(&outbox, &out, chance_below(&chance, 300));
        if (chance_below(&chance, 8) == 0)
            assert_int_equal(outbox_settle(&outbox), 0);
        if (chance_below(&chance, 3) == 0)
            send_all(&other, &let_go);
    }
    send_all(&outbox, &out);
    assert_int_equal(out.len, 10 * (size_t)pushed);
    for (unsigned i = 0; i < pushed; i++) {
        char digits[11] = "";
        memcpy(digits, out.data + 10 * i, 10);
        assert_int_equal(strtoul(digits, NULL, 10), i);
    }
    outbox_clear(&outbox);
    outbox_clear(&other);
    slab_pool_deinit(&pool);
    buffer_deinit(&out);
    buffer_deinit(&let_go);
}

static void test_outbox_makes_one_part_of_frames_that_stand_together(void **state)
{
    (void)state;
    struct slab_pool pool = {0};
    struct outbox outbox;
    struct iovec parts[4];
    outbox_init(&outbox);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(push_numbered(&outbox, &pool, i, 90), 0);
    assert_int_equal(outbox_parts(&outbox, parts, 4), 1);
    assert_int_equal(parts[0].iov_len, 5000);
    assert_int_equal(outbox.bytes, 5000);
    outbox_clear(&outbox);
    slab_pool_deinit(&pool);
}

static void test_outbox_puts_a_first_frame_before_all_others(void **state)
{
    (void)state;
    struct slab_pool pool = {0};
    struct outbox outbox;
    struct buffer out = BUFFER_INIT;
    outbox_init(&outbox);
    for (unsigned i = 1; i <= 20; i++)
        assert_int_equal(push_numbered(&outbox, &pool, i, 0), 0);
    struct slice first = numbered(&pool, 0, 0);
    assert_int_equal(outbox_push_first(&outbox, &first), 0);
    slice_unref(&first);
    send_all(&outbox, &out);
    assert_int_equal(out.len, 210);
    assert_memory_equal(out.data, "000000000000000000010000000002", 30);
    outbox_clear(&outbox);
    slab_pool_deinit(&pool);
    buffer_deinit(&out);
}

static void test_outboxes_share_frames_and_the_memory_serves_again(void **state)
{
    (void)state;
    struct slab_pool pool = {0};
    struct outbox one;
    struct outbox two;
    struct buffer out = BUFFER_INIT;
    outbox_init(&one);
    outbox_init(&two);
    struct slice slice = numbered(&pool, 7, 0);
    const char *place = slice_data(&slice);
    outbox_push(&one, &slice);
    outbox_push(&two, &slice);
    slice_unref(&slice);
    assert_int_equal(pool.open->refs, 3);
    send_all(&one, &out);
    slice = numbered(&pool, 8, 0);
    assert_ptr_equal(slice_data(&slice), place + 10); /* the other has not sent it yet */
    slice_unref(&slice);
    send_all(&two, &out);
    slice = numbered(&pool, 9, 0);
    assert_ptr_equal(slice_data(&slice), place);
    slice_unref(&slice);
    outbox_clear(&one);
    outbox_clear(&two);
    slab_pool_deinit(&pool);
    buffer_deinit(&out);
}

static void test_outbox_that_waits_long_lets_the_shared_memory_go(void **state)
{
    (void)state;
    struct slab_pool pool = {0};
    struct outbox outbox;
    struct buffer out = BUFFER_INIT;
    outbox_init(&outbox);
    push_numbered(&outbox, &pool, 7, 0);
    assert_int_equal(pool.open->refs, 2);
    assert_int_equal(outbox_settle(&outbox), 0);
    assert_int_equal(pool.open->refs, 1);
    send_all(&outbox, &out);
    assert_true(span_is(buffer_span(&out), "0000000007"));
    outbox_clear(&outbox);
    slab_pool_deinit(&pool);
    buffer_deinit(&out);
}

static void test_outbox_of_an_idle_connection_holds_no_memory(void **state)
{
    (void)state;
    struct slab_pool pool = {0};
    struct outbox outbox;
    struct outbox other;
    struct buffer out = BUFFER_INIT;
    outbox_init(&outbox);
    outbox_init(&other);
    for (unsigned i = 0; i < 9; i++) {
        push_numbered(&outbox, &pool, i, 0);
        push_numbered(&other, &pool, i, 0);
    }
    assert_non_null(outbox.slices);
    send_all(&outbox, &out);
    assert_null(outbox.slices);
    outbox_clear(&outbox);
    outbox_clear(&other);
    slab_pool_deinit(&pool);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outbox_gives_bytes_in_order_whatever_the_turns),
        cmocka_unit_test(test_outbox_makes_one_part_of_frames_that_stand_together),
        cmocka_unit_test(test_outbox_puts_a_first_frame_before_all_others),
        cmocka_unit_test(test_outboxes_share_frames_and_the_memory_serves_again),
        cmocka_unit_test(test_outbox_that_waits_long_lets_the_shared_memory_go),
        cmocka_unit_test(test_outbox_of_an_idle_connection_holds_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
