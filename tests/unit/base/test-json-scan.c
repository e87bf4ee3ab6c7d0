/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_scan.h"
#include "chance.h"
#include "unit.h"

#include <jansson.h>

static void test_json_scan_accepts_what_the_standard_does(void **state)
{
    (void)state;
    const char *const texts[] = {"0", "-0", "1.5e+10", "-0.0E-1", "true", "null", "\"\"", "[]",
        "{}", " [ ] ", "\t{\n}\r", "[1,[2,{\"a\":[{}]}],\"\\u00e9\\ud83d\\ude00\"]",
        "{\"a\":1,\"a\":2}", "\"\xed\x9f\xbf\"", "\"\xf4\x8f\xbf\xbf\"", "[[],{}]", "\"\x7f\""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!json_scan_valid(span_of_string(texts[i])))
            fail_msg("refused: %s", texts[i]);
    }
}

static void test_json_scan_refuses_what_the_standard_does(void **state)
{
    (void)state;
    const char *const texts[] = {"", " ", "01", "1.", ".5", "+1", "-", "1e", "1e+", "tru", "True",
        "nul", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:2}", "'a'", "\"a",
        "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800x\"", "\"\\ud800\\u0041\"",
        "\"\\udc00\"", "\"\n\"", "\"\x80\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"",
        "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"", "[1}", "{]", "[", "]", "1 2", "{}{}", "[1] x",
        "\xef\xbb\xbf{}", "//\n1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (json_scan_valid(span_of_string(texts[i])))
            fail_msg("accepted: %s", texts[i]);
    }
    assert_false(json_scan_valid(span_of("1\0", 2)));
    assert_false(json_scan_valid(span_of("\"\\\0\"", 4)));
    assert_false(json_scan_valid(SPAN_EMPTY));
}

static void test_json_scan_object_refuses_other_values(void **state)
{
    (void)state;
    assert_true(json_scan_valid_object(SPAN_LITERAL(" {\"a\":[]} ")));
    assert_false(json_scan_valid_object(SPAN_LITERAL("[]")));
    assert_false(json_scan_valid_object(SPAN_LITERAL("1")));
    assert_false(json_scan_valid_object(SPAN_LITERAL("{")));
    assert_false(json_scan_valid_object(SPAN_LITERAL("{},{\"seq\":1}")));
    assert_false(json_scan_valid_object(SPAN_EMPTY));
}

static void test_json_scan_stops_at_the_depth_limit(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_scan_valid(span_of(text, 2 * depth)), depth <= JSON_DEPTH_MAX);
    }
}

/* What jansson refuses although it is JSON: numbers beyond its types, NULs where it wants none. */
static bool own_limit_of_jansson(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_null_character ||
           code == json_error_null_byte_in_key;
}

static size_t depth_of(const char *text, size_t len)
{
    size_t depth = 0;
    for (size_t i = 0; i < len; i++)
        depth += text[i] == '[' || text[i] == '{';
    return depth;
}

static void compare_with_jansson(const char *text, size_t len)
{
    json_error_t error;
    json_t *theirs = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool ours = json_scan_valid(span_of(text, len));
    bool excused = theirs ? depth_of(text, len) > JSON_DEPTH_MAX : own_limit_of_jansson(&error);
    if (ours != (theirs != NULL) && !excused)
        fail_msg("%s: %.*s (%s)", ours ? "accepted" : "refused", (int)len, text, error.text);
    json_decref(theirs);
}

static void test_json_scan_agrees_with_jansson_on_mutated_text(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "{\"tool_name\":\"search\",\"args\":{\"q\":\"rings\",\"n\":[1,-2.5e3,0]},\"ok\":true}",
        "[null,false,\"\\u00e9\\ud83d\\ude00\\n\\\"\",{\"\":{}},[[[]]]]",
        "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x91\x8b\"",
        "-123.456E+78",
    };
    struct chance chance = chance_make();
    char text[256];
    for (int i = 0; i < 100000; i++) {
        const char *seed = seeds[chance_below(&chance, 4)];
        size_t len = strlen(seed);
        memcpy(text, seed, len);
        len = chance_mutate(
            &chance, text, len, sizeof(text), "{}[]:,\"\\u0dD8-+.eE tfn19\n\t\x80\xc3");
        compare_with_jansson(text, len);
    }
}

static void test_utf8_refuses_overlong_surrogate_and_cut_sequences(void **state)
{
    (void)state;
    assert_true(utf8_valid(SPAN_EMPTY));
    assert_true(utf8_valid(SPAN_LITERAL("a\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80")));
    const char *const bad[] = {"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xbf\xbf",
        "\xf4\x90\x80\x80", "\xe2\x82", "\xf0\x9f\x91", "\xff", "\x80"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(utf8_valid(span_of_string(bad[i])));
}

/* A string is looked at in blocks: whatever matters must be seen at each place of one. */
static void test_json_scan_sees_each_byte_at_each_place_of_a_string(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++) {
        for (size_t place = 0; place < len; place++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[64];
                memset(text, 'x', sizeof(text));
                text[0] = text[len + 1] = '"';
                text[place + 1] = (char)byte;
                /* The last byte escapes the closing quote; another one escapes an x. */
                bool valid = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                if (json_scan_valid(span_of(text, len + 2)) != valid)
                    fail_msg("byte %d at %zu of %zu", byte, place, len);
                if (utf8_valid(span_of(text, len + 2)) != (byte < 0x80))
                    fail_msg("utf-8: byte %d at %zu of %zu", byte, place, len);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_scan_accepts_what_the_standard_does),
        cmocka_unit_test(test_json_scan_refuses_what_the_standard_does),
        cmocka_unit_test(test_json_scan_object_refuses_other_values),
        cmocka_unit_test(test_json_scan_stops_at_the_depth_limit),
        cmocka_unit_test(test_json_scan_sees_each_byte_at_each_place_of_a_string),
        cmocka_unit_test(test_json_scan_agrees_with_jansson_on_mutated_text),
        cmocka_unit_test(test_utf8_refuses_overlong_surrogate_and_cut_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
