/* SPDX-License-Identifier: Apache-2.0 */
/* Reading members in place agrees with a JSON parser. */
#include "emitter-test.h"

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "chance.h"
#include "members.h"

#include <jansson.h>

static void test_values_are_found_at_the_top_only(void **state)
{
    (void)state;
    struct span object = SPAN_LITERAL(
        " { \"a\" : {\"b\":\"}\\\"\"} , \"b\":[1,{\"c\":2}],\"c\" :\"x,y\" ,\"d\":-1e3 }");
    assert_true(span_is(member_value(object, "a"), "{\"b\":\"}\\\"\"}"));
    assert_true(span_is(member_value(object, "b"), "[1,{\"c\":2}]"));
    assert_true(span_is(member_value(object, "c"), "\"x,y\""));
    assert_true(span_is(member_text(object, "c"), "x,y"));
    assert_true(span_is(member_value(object, "d"), "-1e3"));
    assert_int_equal(member_value(object, "e").len, 0);
    assert_int_equal(member_value(SPAN_LITERAL("{ }"), "e").len, 0);
    assert_true(span_is(members_open(SPAN_LITERAL("{ } \n")), "{"));
    assert_true(span_is(members_open(SPAN_LITERAL("{\"a\":1 }")), "{\"a\":1"));
}

static void check_against_parser(struct span object)
{
    static const char *const names[] = {"delta", "status", "a", "", "args"};
    json_t *tree =
        json_loadb(object.data, object.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    for (size_t i = 0; tree && i < ARRAY_SIZE(names); i++) {
        struct span value = member_value(object, names[i]);
        json_t *expected = json_object_get(tree, names[i]);
        assert_true(!expected == (value.len == 0));
        json_t *found = json_loadb(
            value.data ? value.data : "", value.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_true(!expected || json_equal(expected, found));
        json_decref(found);
    }
    json_decref(tree);
}

static void test_any_object_is_read_as_a_parser_reads_it(void **state)
{
    static const char *const seeds[] = {
        "{\"delta\":\"a\\\\\\\"b\",\"status\":[\"]\",{\"a\":1}]}",
        " { \"a\" : -1.5e3 , \"args\" : {\"delta\":{\"\":null}} , \"\" : true } ",
        "{\"status\":\"ok\",\"args\":[[],{},\"}\"],\"a\":0}",
    };
    struct chance chance = chance_make();
    char text[256];
    int valid = 0;
    (void)state;
    for (int round = 0; round < 100000; round++) {
        const char *seed = seeds[chance_below(&chance, ARRAY_SIZE(seeds))];
        size_t len = strlen(seed);
        memcpy(text, seed, len);
        len = chance_mutate(&chance, text, len, sizeof(text), "{}[]\",:\\ a1");
        struct span object = span_of(text, len);
        /* A name with an escape in it is refused before names are compared. */
        if (!json_scan_valid_object(object) || memmem(text, len, "\\u", 2))
            continue;
        check_against_parser(object);
        members_check((enum form)chance_below(&chance, FORM_COUNT), object);
        valid++;
    }
    assert_true(valid > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_found_at_the_top_only),
        cmocka_unit_test(test_any_object_is_read_as_a_parser_reads_it),
    };
    return cmocka_run_group_tests_name("emitter-members", tests, NULL, NULL);
}
