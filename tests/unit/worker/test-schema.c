/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "json/schema.h"

#include "base/cleanup.h"

#include <stdio.h>

static void assert_verdict(const char *schema, const char *value, const char *expected)
{
    struct buffer problem = BUFFER_INIT;
    int rc = schema_check(span_of_string(schema), span_of_string(value), &problem);
    buffer_append_char(&problem, '\0');
    if ((rc == 0) != (expected == NULL) || strcmp(problem.data, expected ? expected : "") != 0)
        fail_msg("%s with %s: \"%s\"", schema, value, problem.data);
    buffer_deinit(&problem);
}

static const struct {
    const char *schema;
    const char *value;
    const char *problem; /* NULL: it fits */
} verdicts[] = {
    {"{}", "{\"a\":1}", NULL},
    {"true", "1", NULL},
    {"false", "1", "args may not be there"},
    {"{\"type\":\"object\"}", "{}", NULL},
    {"{\"type\":\"object\"}", "[]", "args is not of type \"object\""},
    {"{\"type\":\"integer\"}", "1.0", NULL},
    {"{\"type\":\"integer\"}", "1.5", "args is not of type \"integer\""},
    {"{\"type\":\"number\"}", "1e3", NULL},
    {"{\"type\":[\"string\",\"null\"]}", "null", NULL},
    {"{\"type\":[\"string\",\"null\"]}", "1", "args is not of type [\"string\",\"null\"]"},
    {"{\"type\":\"boolean\"}", "true", NULL},
    {"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1}",
        "args.a is not of type \"string\""},
    {"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"\\u0061\":1}",
        "args.\\u0061 is not of type \"string\""},
    {"{\"properties\":{\"a\":{\"items\":{\"minimum\":2}}}}", "{\"a\":[2,1]}",
        "args.a[1] is less than 2"},
    {"{\"required\":[\"a\",\"b\"]}", "{\"a\":1}", "args lacks \"b\""},
    {"{\"required\":[\"a\"]}", "{\"\\u0061\":1}", NULL},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a\":1,\"b\":2}",
        "args may not have \"b\""},
    {"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"b\":2}",
        "args.b is not of type \"string\""},
    {"{\"patternProperties\":{\"^b\":{}},\"additionalProperties\":false}", "{\"b\":2}", NULL},
    {"{\"minProperties\":2}", "{\"b\":2}", "args has fewer than 2 members"},
    {"{\"maxProperties\":0}", "{\"b\":2}", "args has more than 0 members"},
    {"{\"enum\":[1,\"a\",{\"b\":[1,2]}]}", "{\"b\":[1.0,2]}", NULL},
    {"{\"enum\":[1,\"a\"]}", "\"b\"", "args is not one of [1,\"a\"]"},
    {"{\"enum\":[\"a\"]}", "\"\\u0061\"", NULL},
    {"{\"const\":{\"a\":1,\"b\":2}}", "{\"b\":2,\"a\":1}", NULL},
    {"{\"const\":[1]}", "[1,1]", "args is not [1]"},
    {"{\"minimum\":1,\"maximum\":3}", "3", NULL},
    {"{\"maximum\":3}", "3.1", "args is more than 3"},
    {"{\"exclusiveMinimum\":1}", "1", "args is not more than 1"},
    {"{\"exclusiveMaximum\":1}", "1", "args is not less than 1"},
    {"{\"multipleOf\":5}", "12", "args is not a multiple of 5"},
    {"{\"minLength\":2}", "\"\xe2\x98\x83\"", "args has fewer than 2 characters"},
    {"{\"maxLength\":1}", "\"\\u2603\"", NULL},
    {"{\"maxLength\":1}", "\"ab\"", "args has more than 1 characters"},
    {"{\"minLength\":9}", "1", NULL},
    {"{\"minItems\":1}", "[]", "args has fewer than 1 items"},
    {"{\"maxItems\":1}", "[1,2]", "args has more than 1 items"},
    {"{\"items\":false,\"prefixItems\":[{}]}", "[1]", NULL},
    {"{\"items\":[{\"type\":\"string\"}]}", "[1]", NULL},
    {"{\"allOf\":[{\"minimum\":1},{\"maximum\":2}]}", "3", "args is more than 2"},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "null", NULL},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "1",
        "args fits none of the alternatives"},
    {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "1", NULL},
    {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "2",
        "args fits more than one of the alternatives"},
    {"{\"oneOf\":[{\"minimum\":1}]}", "0", "args fits none of the alternatives"},
    {"{\"not\":{\"type\":\"string\"}}", "\"a\"", "args is what it must not be"},
    {"{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"null\"}}}", "1",
        "args is not of type \"null\""},
    {"{\"$ref\":\"http://elsewhere\"}", "1", NULL},
    {"{\"properties\":{\"c\":{\"$ref\":\"#\"},\"n\":{\"type\":\"null\"}}}",
        "{\"c\":{\"c\":{\"n\":1}}}", "args.c.c.n is not of type \"null\""},
    {"{\"pattern\":\"^a\"}", "\"b\"", NULL},
};

static void test_each_keyword_says_where_and_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
        assert_verdict(verdicts[i].schema, verdicts[i].value, verdicts[i].problem);
}

static void test_schema_that_leads_in_a_circle_ends(void **state)
{
    (void)state;
    assert_verdict("{\"$ref\":\"#\"}", "1", "args is nested too deeply to be checked");
    assert_verdict("{\"not\":{\"$ref\":\"#\"}}", "1", "args is what it must not be");
    assert_verdict("{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}", "1",
        "args fits none of the alternatives");
}

static void test_what_would_take_too_long_is_refused(void **state)
{
    struct buffer schema = BUFFER_INIT;
    struct buffer value = BUFFER_INIT;
    struct buffer problem = BUFFER_INIT;
    (void)state;
    buffer_append_string(&schema, "{\"items\":{\"enum\":[0");
    buffer_append_string(&value, "[1");
    for (int i = 0; i < 2000; i++) {
        buffer_append_string(&schema, ",0");
        buffer_append_string(&value, ",1");
    }
    buffer_append_string(&schema, ",1]}}");
    buffer_append_string(&value, "]");
    assert_int_not_equal(schema_check(buffer_span(&schema), buffer_span(&value), &problem), 0);
    buffer_append_char(&problem, '\0');
    assert_non_null(strstr(problem.data, "is too large to be checked"));
    buffer_deinit(&schema);
    buffer_deinit(&value);
    buffer_deinit(&problem);
}

static void test_long_places_are_cut(void **state)
{
    struct buffer schema = BUFFER_INIT;
    struct buffer value = BUFFER_INIT;
    struct buffer problem = BUFFER_INIT;
    (void)state;
    buffer_append_string(&schema, "{\"additionalProperties\":false}");
    buffer_append_string(&value, "{\"");
    for (int i = 0; i < 5000; i++)
        buffer_append_char(&value, 'x');
    buffer_append_string(&value, "\":1}");
    assert_int_not_equal(schema_check(buffer_span(&schema), buffer_span(&value), &problem), 0);
    assert_true(problem.len < 300);
    buffer_deinit(&schema);
    buffer_deinit(&value);
    buffer_deinit(&problem);
}

static void test_keywords_that_are_not_checked_are_listed_once(void **state)
{
    struct buffer unchecked = BUFFER_INIT;
    struct buffer problem = BUFFER_INIT;
    (void)state;
    assert_int_equal(
        schema_inspect(SPAN_LITERAL("{\"type\":\"object\",\"title\":\"T\",\"properties\":{"
                                    "\"pattern\":{\"pattern\":\"a\",\"format\":\"date\"},"
                                    "\"b\":{\"pattern\":\"b\",\"$ref\":\"http://x\"},"
                                    "\"c\":{\"items\":[{}]}}}"),
            &unchecked, &problem),
        0);
    assert_true(span_is(buffer_span(&unchecked), "pattern, format, $ref, items"));
    assert_int_equal(problem.len, 0);
    buffer_deinit(&unchecked);
}

static void test_schema_that_is_not_well_formed_is_named(void **state)
{
    static const char *const bad[][2] = {
        {"{\"type\":\"objekt\"}", "\"type\" is not the name of a type"},
        {"{\"type\":[\"string\",1]}", "\"type\" is not the name of a type"},
        {"{\"minimum\":\"1\"}", "\"minimum\" is not a number"},
        {"{\"required\":\"a\"}", "\"required\" is not a list of names"},
        {"{\"required\":[1]}", "\"required\" is not a list of names"},
        {"{\"enum\":1}", "\"enum\" is not a list"},
        {"{\"properties\":[]}", "\"properties\" is not an object of schemas"},
        {"{\"anyOf\":{}}", "\"anyOf\" is not a list of schemas"},
        {"{\"properties\":{\"a\":{\"not\":1}}}", "a schema is neither an object nor true or false"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct buffer unchecked = BUFFER_INIT;
        struct buffer problem = BUFFER_INIT;
        assert_int_not_equal(schema_inspect(span_of_string(bad[i][0]), &unchecked, &problem), 0);
        buffer_append_char(&problem, '\0');
        assert_string_equal(problem.data, bad[i][1]);
        buffer_deinit(&unchecked);
        buffer_deinit(&problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_keyword_says_where_and_why),
        cmocka_unit_test(test_schema_that_leads_in_a_circle_ends),
        cmocka_unit_test(test_what_would_take_too_long_is_refused),
        cmocka_unit_test(test_long_places_are_cut),
        cmocka_unit_test(test_keywords_that_are_not_checked_are_listed_once),
        cmocka_unit_test(test_schema_that_is_not_well_formed_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
