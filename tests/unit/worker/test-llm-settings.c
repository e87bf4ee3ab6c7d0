/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "llm/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROVIDER "{\"base_url\":\"http://x/v1/\",\"model\":\"m\""
#define WITH(more) "{\"providers\":[" PROVIDER more "}]}"
#define AND(more) "{\"providers\":[" PROVIDER "}]," more "}"

static void test_what_is_not_given_has_its_default(void **state)
{
    struct llm_settings settings;
    struct buffer problems = BUFFER_INIT;
    (void)state;
    assert_int_equal(llm_settings_init(&settings, SPAN_LITERAL(WITH("")), &problems), 0);
    assert_int_equal(settings.provider_count, 1);
    assert_string_equal(settings.providers[0].url, "http://x/v1/chat/completions");
    assert_true(span_is(settings.providers[0].model, "\"m\"") && settings.providers[0].usage);
    assert_true(settings.history == 20 && settings.max_steps == 16 &&
                settings.parallel_tools == 8 && settings.budget == 0);
    assert_true(
        settings.coalesce_ms == 20 && settings.retries == 4 && settings.retry_wait_ms == 500);
    assert_true(settings.max_wait_ms == 30000 && settings.connect_timeout_ms == 10000);
    assert_true(settings.first_byte_timeout_ms == 60000 && settings.idle_timeout_ms == 60000);
    assert_int_equal(settings.request_timeout_ms, 600000);
    llm_settings_deinit(&settings);
    buffer_deinit(&problems);
}

static void test_what_is_given_is_taken(void **state)
{
    struct llm_settings settings;
    struct buffer problems = BUFFER_INIT;
    (void)state;
    assert_int_equal(
        llm_settings_init(&settings,
            SPAN_LITERAL(
                "{\"providers\":[" PROVIDER
                ",\"api_key_env\":\"K\",\"usage\":false,\"headers\":{\"X-A\":\"b c\"},"
                "\"parameters\":{\"top_p\":1}}," PROVIDER ",\"api_key_file\":\"./k\"}],"
                "\"system\":\"s\",\"parameters\":{\"seed\":2},\"max_steps\":3,\"coalesce\":\"0ms\","
                "\"budget\":5,\"max_wait\":\"2s\",\"request_timeout\":\"1h\"}"),
            &problems),
        0);
    assert_string_equal(settings.providers[0].key_env, "K");
    assert_false(settings.providers[0].usage);
    assert_true(span_is(settings.providers[0].headers, "{\"X-A\":\"b c\"}"));
    assert_true(span_is(settings.providers[0].parameters, "{\"top_p\":1}"));
    assert_string_equal(settings.providers[1].key_file, "./k");
    assert_true(span_is(settings.system, "\"s\"") && span_is(settings.parameters, "{\"seed\":2}"));
    assert_true(settings.max_steps == 3 && settings.coalesce_ms == 0 && settings.budget == 5);
    assert_true(settings.max_wait_ms == 2000 && settings.request_timeout_ms == 3600000);
    llm_settings_deinit(&settings);
    buffer_deinit(&problems);
}

static void test_each_mistake_is_told(void **state)
{
    static const struct row {
        const char *json;
        const char *said;
    } rows[] = {
        {"7", "they are no object"},
        {"{}", "providers needs a list of at least one"},
        {"{\"providers\":7}", "providers needs a list of at least one"},
        {"{\"providers\":[7]}", "providers[0] needs its entries by name"},
        {"{\"providers\":[{\"model\":\"m\"}]}", "providers[0] has no base_url"},
        {"{\"providers\":[{\"base_url\":\"x y\",\"model\":\"m\"}]}",
            "providers[0].base_url \"x y\" is no http"},
        {"{\"providers\":[{\"base_url\":\"file:///x\",\"model\":\"m\"}]}",
            "is no http:// or https:// URL"},
        {"{\"providers\":[{\"base_url\":\"http://x\"}]}", "providers[0] has no model"},
        {"{\"providers\":[{\"base_url\":\"http://x\",\"model\":7}]}", "providers[0] has no model"},
        {WITH(",\"api_key_env\":\"A\",\"api_key_file\":\"b\""),
            "has both api_key_file and api_key_env"},
        {WITH(",\"api_key_file\":7"), "providers[0].api_key_file must be text"},
        {WITH(",\"usage\":1"), "providers[0].usage must be true or false"},
        {WITH(",\"key\":1"), "providers[0].key is no setting"},
        {WITH(",\"headers\":[]"), "providers[0].headers needs its entries by name"},
        {WITH(",\"headers\":{\"a\":\"b\\r\\nc\"}"), "providers[0].headers needs names with values"},
        {WITH(",\"headers\":{\"a:b\":\"c\"}"), "providers[0].headers needs names with values"},
        {WITH(",\"parameters\":{\"stream\":false}"),
            "providers[0].parameters may not have \"stream\""},
        {AND("\"parameters\":{\"n\":2}"), "parameters may not have \"n\""},
        {AND("\"parameters\":7"), "parameters needs its entries by name"},
        {AND("\"system\":7"), "system must be text"},
        {AND("\"max_steps\":0"), "max_steps must be a whole number from 1 to 1000"},
        {AND("\"budget\":\"1k\""), "budget must be a whole number from 1"},
        {AND("\"coalesce\":20"), "coalesce must be a duration (250ms, 5s) from 0 to 1s"},
        {AND("\"retry_wait\":\"2m\""), "retry_wait must be a duration"},
        {AND("\"temperature\":1"), "temperature is no setting"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct llm_settings settings;
        struct buffer problems = BUFFER_INIT;
        assert_int_equal(
            llm_settings_init(&settings, span_of_string(rows[i].json), &problems), -EINVAL);
        buffer_append_char(&problems, '\0');
        if (!strstr(problems.data, rows[i].said))
            fail_msg("%s: %s", rows[i].json, problems.data);
        buffer_deinit(&problems);
    }
}

static void test_there_are_eight_providers_at_most(void **state)
{
    struct llm_settings settings;
    struct buffer json = BUFFER_INIT, problems = BUFFER_INIT;
    (void)state;
    buffer_append_string(&json, "{\"providers\":[" PROVIDER "}");
    for (size_t i = 0; i < LLM_PROVIDERS_MAX; i++)
        buffer_append_string(&json, "," PROVIDER "}");
    buffer_append_string(&json, "]}");
    assert_int_equal(llm_settings_init(&settings, buffer_span(&json), &problems), -EINVAL);
    assert_true(span_is(buffer_span(&problems), "its settings: providers[8] is one too many\n"));
    buffer_deinit(&json);
    buffer_deinit(&problems);
}

static void assert_key(const char *content, int rc, const char *key)
{
    char path[] = "/tmp/test-llm-key-XXXXXX";
    struct llm_provider provider = {.key_file = path};
    struct buffer read = BUFFER_INIT;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
    assert_int_equal(llm_provider_key(&provider, &read), rc);
    assert_true(rc || span_is(buffer_span(&read), key));
    buffer_deinit(&read);
    unlink(path);
}

static void test_a_key_is_the_first_line_of_its_file_or_a_variable(void **state)
{
    struct llm_provider none = {0}, variable = {.key_env = (char[]){"TEST_LLM_KEY"}};
    struct buffer key = BUFFER_INIT;
    (void)state;
    assert_key("sk-1\n", 0, "sk-1");
    assert_key("sk-1 \r\nsecond\n", 0, "sk-1");
    assert_key("", -EINVAL, "");
    assert_key("\n", -EINVAL, "");
    assert_key("two words\n", -EINVAL, "");
    assert_int_equal(llm_provider_key(&none, &key), 0);
    assert_int_equal(key.len, 0);
    unsetenv("TEST_LLM_KEY");
    assert_int_equal(llm_provider_key(&variable, &key), -ENOENT);
    setenv("TEST_LLM_KEY", "sk-2", 1);
    assert_int_equal(llm_provider_key(&variable, &key), 0);
    assert_true(span_is(buffer_span(&key), "sk-2"));
    buffer_deinit(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_given_has_its_default),
        cmocka_unit_test(test_what_is_given_is_taken),
        cmocka_unit_test(test_each_mistake_is_told),
        cmocka_unit_test(test_there_are_eight_providers_at_most),
        cmocka_unit_test(test_a_key_is_the_first_line_of_its_file_or_a_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
