/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "chance.h"

#include "json/view.h"

#include "base/json_scan.h"

static void test_members_are_spans_of_the_object_itself(void **state)
{
    struct span a, b, c, missing;
    const struct json_wanted wanted[] = {{"a", &a}, {"b", &b}, {"c", &c}, {"missing", &missing}};
    (void)state;
    assert_true(json_members(
        SPAN_LITERAL("{ \"a\" : {\"x\":[1,\"]}\\\"\"]} ,\"b\":-1.50e3,\"c\":\"q\\\\\"}"), wanted,
        4));
    assert_true(span_is(a, "{\"x\":[1,\"]}\\\"\"]}"));
    assert_true(span_is(b, "-1.50e3"));
    assert_true(span_is(c, "\"q\\\\\""));
    assert_int_equal(missing.len, 0);
}

static void test_the_last_of_a_repeated_name_counts_and_inner_names_do_not(void **state)
{
    struct span a;
    const struct json_wanted wanted[] = {{"a", &a}};
    (void)state;
    assert_true(json_members(SPAN_LITERAL("{\"a\":1,\"b\":{\"a\":3},\"\\u0061\":2}"), wanted, 1));
    assert_true(span_is(a, "2"));
    assert_true(json_members(SPAN_LITERAL("{}"), wanted, 1));
    assert_int_equal(a.len, 0);
    assert_false(json_members(SPAN_LITERAL("[\"a\"]"), wanted, 1));
}

static void test_strings_become_text(void **state)
{
    static const struct {
        const char *json;
        const char *text; /* NULL: no text */
    } rows[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "a\n\t\"\\/\b\f\r"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\u00e9\u20ac"},
        {"\"\\ud83d\\uDE00\"", "\U0001f600"},
        {"\"gr\u00fc\u00dfe\"", "gr\u00fc\u00dfe"},
        {"\"\\u0000\"", NULL},
        {"\"\\ud83d\"", NULL},
        {"\"\\ud83dx\"", NULL},
        {"\"\\ud83d\\u0041\"", NULL},
        {"\"\\ude00\"", NULL},
        {"7", NULL},
        {"null", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer text = BUFFER_INIT;
        bool ok = json_string(&text, span_of_string(rows[i].json));
        assert_int_equal(ok, rows[i].text != NULL);
        if (ok)
            assert_true(span_is(buffer_span(&text), rows[i].text));
        buffer_deinit(&text);
    }
}

static void test_identifiers_and_numbers_are_checked(void **state)
{
    char id[IDENTIFIER_SIZE];
    uint64_t number;
    (void)state;
    assert_true(json_identifier(id, SPAN_LITERAL("\"r-\\u0031\"")));
    assert_string_equal(id, "r-1");
    assert_false(json_identifier(id, SPAN_LITERAL("\"\"")));
    assert_false(json_identifier(id, SPAN_LITERAL("\"a b\"")));
    assert_false(json_identifier(id, SPAN_LITERAL("1")));
    assert_true(json_uint(&number, SPAN_LITERAL("9007199254740992")));
    assert_false(json_uint(&number, SPAN_LITERAL("9007199254740993")));
    assert_false(json_uint(&number, SPAN_LITERAL("-1")));
    assert_false(json_uint(&number, SPAN_LITERAL("1.0")));
    assert_false(json_uint(&number, SPAN_LITERAL("\"1\"")));
}

static void test_line_breaks_between_values_become_spaces(void **state)
{
    struct buffer out = BUFFER_INIT;
    (void)state;
    json_append_one_line(&out, SPAN_LITERAL("{\r\n  \"a\": \"x\\ny\"\n}"));
    assert_true(span_is(buffer_span(&out), "{    \"a\": \"x\\ny\" }"));
    buffer_deinit(&out);
}

/* Whatever valid JSON looks like, nothing outside of it is read (the sanitizers look). */
static void test_any_valid_json_is_walked_to_its_end(void **state)
{
    struct chance chance = chance_make();
    int walked = 0;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[96] = "{\"a\":[1,{\"b\":\"\\u0041\"}],\"id\":\"x\\\\\",\"c\" : -1e5,\"d\":{}}";
        size_t len = chance_mutate(&chance, text, strlen(text), sizeof(text), "{}[]\",:\\u0 1eadt");
        struct span a, id, d;
        const struct json_wanted wanted[] = {{"a", &a}, {"id", &id}, {"d", &d}};
        char *exact = malloc(len + 1);
        memcpy(exact, text, len);
        struct span value = json_trim(span_of(exact, len));
        if (json_scan_valid_object(value)) {
            struct buffer string = BUFFER_INIT;
            walked++;
            assert_true(json_members(value, wanted, 3));
            assert_true(a.len == 0 || json_scan_valid(a));
            assert_true(id.len == 0 || json_scan_valid(id));
            assert_true(d.len == 0 || json_scan_valid(d));
            json_string(&string, id);
            buffer_deinit(&string);
        }
        free(exact);
    }
    assert_true(walked > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_spans_of_the_object_itself),
        cmocka_unit_test(test_the_last_of_a_repeated_name_counts_and_inner_names_do_not),
        cmocka_unit_test(test_strings_become_text),
        cmocka_unit_test(test_identifiers_and_numbers_are_checked),
        cmocka_unit_test(test_line_breaks_between_values_become_spaces),
        cmocka_unit_test(test_any_valid_json_is_walked_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
