/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"
#include "token/base64url.h"
#include "unit.h"

#include <errno.h>

static void test_base64url_spells_the_examples_of_the_rfc(void **state)
{
    (void)state;
    const struct {
        const char *plain;
        const char *encoded;
    } rows[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
        {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer out = BUFFER_INIT;
        base64url_append(&out, span_of_string(rows[i].plain));
        assert_true(span_is(buffer_span(&out), rows[i].encoded));
        buffer_clear(&out);
        assert_int_equal(base64url_decode(&out, span_of_string(rows[i].encoded)), 0);
        assert_true(span_is(buffer_span(&out), rows[i].plain));
        buffer_deinit(&out);
    }
}

static void test_base64url_refuses_every_other_spelling(void **state)
{
    (void)state;
    const char *const bad[] = {
        "Z", "Zg==", "Zh", "Zm9", "Zm9v+", "Zm/v", "Zm 9v", "Zm9v\n", "====="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buffer out = BUFFER_INIT;
        assert_int_equal(base64url_decode(&out, span_of_string(bad[i])), -EINVAL);
        buffer_deinit(&out);
    }
}

static void test_base64url_brings_random_bytes_back(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    for (int round = 0; round < 500; round++) {
        char bytes[100];
        size_t len = chance_below(&chance, sizeof(bytes));
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)chance_next(&chance);
        struct buffer text = BUFFER_INIT;
        struct buffer back = BUFFER_INIT;
        base64url_append(&text, span_of(bytes, len));
        assert_int_equal(base64url_decode(&back, buffer_span(&text)), 0);
        assert_true(span_equal(buffer_span(&back), span_of(bytes, len)));
        buffer_deinit(&text);
        buffer_deinit(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64url_spells_the_examples_of_the_rfc),
        cmocka_unit_test(test_base64url_refuses_every_other_spelling),
        cmocka_unit_test(test_base64url_brings_random_bytes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
