/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/cleanup.h"
#include "chance.h"
#include "history/section.h"

#include <errno.h>

#define EVENTS 7

/* Two users' events, mixed, and two rings. */
static char *make_batch(size_t *ret_size)
{
    static const char data[] = "a1b1a2a3b22a4b333";
    struct batch_entry entries[EVENTS] = {
        {0, 2, 0}, {1, 2, 0}, {0, 2, 0}, {0, 2, 0}, {1, 3, 0}, {0, 2, 0}, {1, 4, 0}};
    static const struct history_position positions[2] = {{1, 2, 3, 4}, {1, 5, 6, UINT64_MAX}};
    struct batch_source sections[2] = {
        {.user_id = SPAN_LITERAL("ann"), .first_seq = 11, .count = 4, .bytes = 8},
        {.user_id = SPAN_LITERAL("bob"), .first_seq = 1, .count = 3, .bytes = 9},
    };
    struct batch_input input = {
        .number = 42,
        .first = 40,
        .time_ms = 1795000000123,
        .sections = sections,
        .events = entries,
        .positions = positions,
        .data = data,
        .section_count = 2,
        .event_count = EVENTS,
        .position_count = 2,
        .names_size = 6,
        .data_size = sizeof(data) - 1,
    };
    for (size_t i = 0, at = 0; i < EVENTS; at += entries[i++].len)
        entries[i].check = batch_event_check(span_of(data + at, entries[i].len), 1);
    *ret_size = batch_size(&input);
    char *bytes = malloc(*ret_size);
    assert_non_null(bytes);
    batch_write(bytes, &input);
    return bytes;
}

static void assert_read(
    const struct batch *batch, uint32_t which, struct section_read *read, const char *expected)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    struct batch_section section;
    assert_int_equal(batch_section_at(&section, batch, which), 0);
    assert_return_code(section_read(&out, batch, &section, read), 0);
    assert_int_equal(out.len, strlen(expected));
    if (out.len)
        assert_memory_equal(out.data, expected, out.len);
}

static void test_each_stream_reads_its_events_in_order(void **state)
{
    (void)state;
    size_t size;
    _cleanup_free_ char *bytes = make_batch(&size);
    struct batch batch;
    assert_int_equal(batch_open(&batch, span_of(bytes, size)), 0);
    assert_int_equal(batch_check_front(&batch), 0);
    assert_int_equal(batch.number, 42);
    assert_int_equal(batch.first, 40);
    assert_int_equal(batch.time_ms, 1795000000123);
    assert_int_equal(batch.events, EVENTS);
    assert_int_equal(batch.sections, 2);
    struct batch_section section;
    assert_int_equal(batch_section_at(&section, &batch, 0), 0);
    assert_true(span_is(section.user_id, "ann"));
    assert_int_equal(section.first_seq, 11);
    assert_int_equal(section.last_seq, 14);
    assert_int_equal(section.count, 4);
    struct section_read all = {.max_bytes = SIZE_MAX / 2};
    assert_read(&batch, 0, &all, "a1a2a3a4");
    assert_read(&batch, 1, &all, "b1b22b333");
    assert_int_equal(batch_section_at(&section, &batch, 2), -EBADMSG);
}

static void test_reading_stops_at_the_limit_and_gives_one_when_asked(void **state)
{
    (void)state;
    size_t size;
    _cleanup_free_ char *bytes = make_batch(&size);
    struct batch batch;
    assert_int_equal(batch_open(&batch, span_of(bytes, size)), 0);
    assert_read(&batch, 1, &(struct section_read){.after = 1, .max_bytes = 7}, "b22b333");
    assert_read(&batch, 1, &(struct section_read){.after = 1, .max_bytes = 6}, "b22");
    assert_read(&batch, 1, &(struct section_read){.after = 2, .max_bytes = 3}, "");
    assert_read(&batch, 1, &(struct section_read){.after = 2, .max_bytes = 3, .at_least_one = true},
        "b333");
}

static void test_positions_come_back(void **state)
{
    (void)state;
    size_t size;
    _cleanup_free_ char *bytes = make_batch(&size);
    struct batch batch;
    struct history_position position;
    assert_int_equal(batch_open(&batch, span_of(bytes, size)), 0);
    assert_int_equal(batch.positions, 2);
    batch_position_at(&position, &batch, 1);
    assert_int_equal(position.arena_id, 1);
    assert_int_equal(position.ring, 5);
    assert_int_equal(position.generation, 6);
    assert_int_equal(position.position, UINT64_MAX);
}

static int read_everything(struct span bytes)
{
    struct batch batch;
    int rc = batch_open(&batch, bytes);
    if (rc)
        return rc;
    rc = batch_check_front(&batch);
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    for (uint32_t i = 0; i < batch.sections; i++) {
        struct batch_section section;
        struct section_read all = {.max_bytes = 1u << 20};
        if (batch_section_at(&section, &batch, i) ||
            section_read(&out, &batch, &section, &all) != (int)section.count)
            rc = -EBADMSG;
    }
    for (uint32_t i = 0; i < batch.positions; i++) {
        struct history_position position;
        batch_position_at(&position, &batch, i);
    }
    return rc;
}

static void test_every_single_changed_bit_is_noticed(void **state)
{
    (void)state;
    size_t size;
    _cleanup_free_ char *bytes = make_batch(&size);
    assert_int_equal(read_everything(span_of(bytes, size)), 0);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        if (read_everything(span_of(bytes, size)) != -EBADMSG)
            fail_msg("bit %zu", bit);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
}

static void test_a_batch_cut_short_is_refused(void **state)
{
    (void)state;
    size_t size;
    _cleanup_free_ char *bytes = make_batch(&size);
    for (size_t len = 0; len < size; len++) {
        _cleanup_free_ char *cut = malloc(len + 1); /* exact, for the address sanitizer */
        memcpy(cut, bytes, len);
        assert_int_equal(read_everything(span_of(cut, len)), -EBADMSG);
    }
}

static void test_mutated_bytes_never_make_it_read_elsewhere(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    size_t size;
    _cleanup_free_ char *bytes = make_batch(&size);
    for (int i = 0; i < 100000; i++) {
        _cleanup_free_ char *mutated = malloc(size);
        memcpy(mutated, bytes, size);
        for (size_t n = 1 + chance_below(&chance, 4); n > 0; n--) {
            /* Lengths and offsets matter most: small numbers and great ones. */
            size_t at = chance_below(&chance, size);
            mutated[at] = (char)(chance_below(&chance, 2) ? 0xff : chance_below(&chance, 64));
        }
        read_everything(span_of(mutated, size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_stream_reads_its_events_in_order),
        cmocka_unit_test(test_reading_stops_at_the_limit_and_gives_one_when_asked),
        cmocka_unit_test(test_positions_come_back),
        cmocka_unit_test(test_every_single_changed_bit_is_noticed),
        cmocka_unit_test(test_a_batch_cut_short_is_refused),
        cmocka_unit_test(test_mutated_bytes_never_make_it_read_elsewhere),
    };
    return cmocka_run_group_tests_name("history-batch", tests, NULL, NULL);
}
