/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pack.h"
#include "chance.h"
#include "unit.h"

static void test_pack_numbers_are_read_back_at_each_width(void **state)
{
    (void)state;
    const uint64_t numbers[] = {
        0, 1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct buffer out = BUFFER_INIT;
        pack_uint(&out, numbers[i]);
        struct pack_reader reader = pack_reader_of(buffer_span(&out));
        uint64_t number = 42;
        assert_true(pack_read_uint(&reader, &number));
        assert_true(number == numbers[i]);
        assert_ptr_equal(reader.at, reader.end);
        buffer_deinit(&out);
    }
}

static void test_pack_bytes_are_read_back_at_each_width(void **state)
{
    (void)state;
    static char bytes[70000];
    const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536, sizeof(bytes)};
    memset(bytes, 'b', sizeof(bytes));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct span sent = span_of(bytes, lengths[i]);
        struct buffer out = BUFFER_INIT;
        pack_str(&out, sent);
        pack_bin(&out, sent);
        struct pack_reader reader = pack_reader_of(buffer_span(&out));
        struct span text = SPAN_EMPTY;
        struct span binary = SPAN_EMPTY;
        assert_true(pack_read_str(&reader, &text) && pack_read_bin(&reader, &binary));
        assert_true(span_equal(text, sent) && span_equal(binary, sent));
        assert_ptr_equal(reader.at, reader.end);
        buffer_deinit(&out);
    }
}

static void test_pack_arrays_are_read_back(void **state)
{
    (void)state;
    const uint32_t counts[] = {0, 15, 16, 65535};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct buffer out = BUFFER_INIT;
        uint32_t count;
        pack_array(&out, counts[i]);
        struct pack_reader reader = pack_reader_of(buffer_span(&out));
        assert_true(pack_read_array(&reader, &count));
        assert_int_equal(count, counts[i]);
        buffer_deinit(&out);
    }
}

/* Tries every read; none may succeed or move. */
static void refuse_all(struct span bytes)
{
    struct pack_reader reader = pack_reader_of(bytes);
    const unsigned char *start = reader.at;
    uint32_t count;
    uint64_t number;
    struct span span;
    assert_false(pack_read_array(&reader, &count));
    assert_false(pack_read_uint(&reader, &number));
    assert_false(pack_read_str(&reader, &span));
    assert_false(pack_read_bin(&reader, &span));
    assert_ptr_equal(reader.at, start);
}

static void test_pack_reader_refuses_lengths_beyond_the_bytes(void **state)
{
    (void)state;
    refuse_all(SPAN_LITERAL("\xdb\xff\xff\xff\xff"
                            "abc"));
    refuse_all(SPAN_LITERAL("\xc6\xff\xff\xff\xff"
                            "abc"));
    refuse_all(SPAN_LITERAL("\xda\x00\x04"
                            "abc"));
    refuse_all(SPAN_LITERAL("\xa4"
                            "abc"));
    refuse_all(SPAN_LITERAL("\xd9"));
    refuse_all(SPAN_LITERAL("\xdc\x01"));
    refuse_all(SPAN_LITERAL("\xcf\x01\x02\x03\x04\x05\x06\x07"));
    refuse_all(SPAN_LITERAL(""));
}

static void test_pack_reader_refuses_everything_that_is_not_flat(void **state)
{
    (void)state;
    refuse_all(SPAN_LITERAL("\xc0"));                 /* nil */
    refuse_all(SPAN_LITERAL("\xc3"));                 /* true */
    refuse_all(SPAN_LITERAL("\x81\xa1x\x01"));        /* map */
    refuse_all(SPAN_LITERAL("\xff"));                 /* -1 */
    refuse_all(SPAN_LITERAL("\xd0\x80"));             /* int8 */
    refuse_all(SPAN_LITERAL("\xca\x3f\x80\x00\x00")); /* float */
    refuse_all(SPAN_LITERAL("\xd4\x01\x02"));         /* extension */
    refuse_all(SPAN_LITERAL("\xdd\x00\x01\x00\x00")); /* array of 32-bit length */
}

static void assert_inside(struct span bytes, struct span part)
{
    assert_true(part.data >= bytes.data);
    assert_true(part.len <= bytes.len);
    assert_true(part.data + part.len <= bytes.data + bytes.len);
}

/* Reads whatever comes until nothing fits; what it hands out must lie inside. */
static void read_all(struct span bytes)
{
    struct pack_reader reader = pack_reader_of(bytes);
    for (bool moved = true; moved;) {
        uint32_t count;
        uint64_t number;
        struct span part;
        moved = pack_read_array(&reader, &count) || pack_read_uint(&reader, &number);
        if (pack_read_str(&reader, &part) || pack_read_bin(&reader, &part)) {
            assert_inside(bytes, part);
            moved = true;
        }
        assert_true(reader.at <= reader.end);
    }
}

static void test_pack_reader_stays_inside_mutated_bytes(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    struct buffer out = BUFFER_INIT;
    pack_array(&out, 4);
    pack_uint(&out, 1ull << 40);
    pack_str(&out, SPAN_LITERAL("a string that is longer than thirty-one bytes"));
    pack_bin(&out, SPAN_LITERAL("bytes"));
    pack_str(&out, SPAN_LITERAL("short"));
    for (int i = 0; i < 100000; i++) {
        char *exact = malloc(out.len + 8);
        memcpy(exact, out.data, out.len);
        size_t len = chance_mutate(&chance, exact, out.len, out.len + 8,
            "\xd9\xda\xdb\xc4\xc5\xc6\xcc\xcd\xce\xcf\xdc\xdd\xff\x7f\x01");
        exact = realloc(exact, len ? len : 1);
        read_all(span_of(exact, len));
        free(exact);
    }
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack_numbers_are_read_back_at_each_width),
        cmocka_unit_test(test_pack_bytes_are_read_back_at_each_width),
        cmocka_unit_test(test_pack_arrays_are_read_back),
        cmocka_unit_test(test_pack_reader_refuses_lengths_beyond_the_bytes),
        cmocka_unit_test(test_pack_reader_refuses_everything_that_is_not_flat),
        cmocka_unit_test(test_pack_reader_stays_inside_mutated_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
