/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/settings.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/json_member.h"
#include "base/json_scan.h"
#include "config/config.h"
#include "config/value.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>

#define ENDPOINT "/chat/completions"
#define KEY_MAX 16384
#define MINUTE 60000
#define HOUR 3600000
#define DAY 86400000

/* ---- complaints */

/* `about` is what is wrong: "providers[1].model". */
static void complain(struct buffer *problems, const char *about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void complain(struct buffer *problems, const char *about, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    buffer_printf(problems, "its settings: %s %s\n", about, text);
}

/* ---- values */

/* A string as a new one, NULL-terminated; NULL, with a complaint, when it is none. */
static char *take_text(struct buffer *problems, const char *about, struct span value)
{
    struct buffer text = BUFFER_INIT;
    if (json_string(&text, value) && text.len && !memchr(text.data, '\n', text.len)) {
        buffer_append_char(&text, '\0');
        if (!buffer_error(&text))
            return text.data;
    }
    buffer_deinit(&text);
    complain(problems, about, "must be text of one line");
    return NULL;
}

static void take_object(
    struct buffer *problems, const char *about, struct span value, struct span *ret)
{
    if (json_kind(value) == JSON_OBJECT)
        *ret = value;
    else
        complain(problems, about, "needs its entries by name");
}

static const char *const reserved[] = {
    "model", "messages", "stream", "stream_options", "tools", "n"};

static void take_parameters(
    struct buffer *problems, const char *about, struct span value, struct span *ret)
{
    take_object(problems, about, value, ret);
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
        if (json_member_value(*ret, reserved[i]).len)
            complain(problems, about, "may not have \"%s\": that is the agent's own", reserved[i]);
    }
}

/* ---- providers */

static bool is_url(const char *url)
{
    CURLU *parts = curl_url();
    char *scheme = NULL;
    bool good = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    curl_url_cleanup(parts);
    return good;
}

static void take_url(
    struct llm_provider *provider, struct buffer *problems, const char *about, struct span value)
{
    char *base = take_text(problems, about, value);
    if (base && !is_url(base)) {
        complain(problems, about, "\"%s\" is no http:// or https:// URL", base);
    } else if (base) {
        size_t len = strlen(base);
        while (len && base[len - 1] == '/')
            len--;
        if (asprintf(&provider->url, "%.*s%s", (int)len, base, ENDPOINT) < 0)
            provider->url = NULL;
    }
    free(base);
}

/* Sent as they are, so nothing may end one early. */
static void take_headers(
    struct llm_provider *provider, struct buffer *problems, const char *about, struct span value)
{
    struct json_member member;
    take_object(problems, about, value, &provider->headers);
    for (size_t at = 0; json_member_next(&member, provider->headers, &at);) {
        struct span text = SPAN_EMPTY;
        bool plain = json_plain_string(&text, member.value) &&
                     json_plain_length(text) == text.len && text.len &&
                     json_plain_length(member.name) == member.name.len && member.name.len &&
                     !memchr(member.name.data, ':', member.name.len);
        if (!plain)
            complain(problems, about, "needs names with values of printable ASCII");
    }
}

static void take_provider_entry(struct llm_provider *provider, struct buffer *problems,
    const char *about, const struct json_member *entry)
{
    char name[128];
    snprintf(name, sizeof(name), "%s.%.*s", about,
        (int)(entry->name.len < 63 ? entry->name.len : 63), entry->name.data);
    if (span_is(entry->name, "base_url"))
        take_url(provider, problems, name, entry->value);
    else if (span_is(entry->name, "model"))
        provider->model = json_kind(entry->value) == JSON_STRING ? entry->value : SPAN_EMPTY;
    else if (span_is(entry->name, "api_key_file"))
        provider->key_file = take_text(problems, name, entry->value);
    else if (span_is(entry->name, "api_key_env"))
        provider->key_env = take_text(problems, name, entry->value);
    else if (span_is(entry->name, "headers"))
        take_headers(provider, problems, name, entry->value);
    else if (span_is(entry->name, "parameters"))
        take_parameters(problems, name, entry->value, &provider->parameters);
    else if (span_is(entry->name, "usage") && json_kind(entry->value) == JSON_BOOL)
        provider->usage = span_is(entry->value, "true");
    else if (span_is(entry->name, "usage"))
        complain(problems, name, "must be true or false");
    else
        complain(problems, name, "is no setting");
}

static void take_provider(struct llm_settings *settings, struct buffer *problems, struct span item)
{
    char about[32];
    struct json_member entry;
    struct llm_provider *provider = &settings->providers[settings->provider_count];
    snprintf(about, sizeof(about), "providers[%zu]", settings->provider_count);
    if (json_kind(item) != JSON_OBJECT || settings->provider_count == LLM_PROVIDERS_MAX) {
        complain(problems, about,
            json_kind(item) == JSON_OBJECT ? "is one too many" : "needs its entries by name");
        return;
    }
    settings->provider_count++;
    provider->usage = true;
    for (size_t at = 0; json_member_next(&entry, item, &at);)
        take_provider_entry(provider, problems, about, &entry);
    if (!json_member_value(item, "base_url").len)
        complain(problems, about, "has no base_url");
    if (provider->model.len <= 2)
        complain(problems, about, "has no model, a text");
    if (provider->key_file && provider->key_env)
        complain(problems, about, "has both api_key_file and api_key_env");
}

static void take_providers(struct llm_settings *settings, struct buffer *problems, struct span list)
{
    struct span item;
    if (json_kind(list) == JSON_ARRAY) {
        for (size_t at = 0; json_item_next(&item, list, &at);)
            take_provider(settings, problems, item);
    }
    if (!settings->provider_count)
        complain(problems, "providers", "needs a list of at least one");
}

/* ---- numbers and durations */

struct amount {
    const char *name;
    size_t offset; /* in llm_settings */
    bool duration;
    uint64_t fallback, min, max;
};

#define AMOUNT(name, fallback, min, max)                                                           \
    {                                                                                              \
#name, offsetof(struct llm_settings, name), false, fallback, min, max                      \
    }
#define DURATION(name, fallback, min, max)                                                         \
    {                                                                                              \
#name, offsetof(struct llm_settings, name##_ms), true, fallback, min, max                  \
    }

static const struct amount amounts[] = {
    AMOUNT(history, 20, 0, 1000),
    AMOUNT(max_steps, 16, 1, 1000),
    AMOUNT(parallel_tools, 8, 1, 64),
    AMOUNT(budget, 0, 1, UINT64_C(1) << 53),
    DURATION(coalesce, 20, 0, 1000),
    AMOUNT(retries, 4, 0, 100),
    DURATION(retry_wait, 500, 1, MINUTE),
    DURATION(max_wait, 30000, 1, HOUR),
    DURATION(connect_timeout, 10000, 10, 10 * MINUTE),
    DURATION(first_byte_timeout, MINUTE, 10, HOUR),
    DURATION(idle_timeout, MINUTE, 10, HOUR),
    DURATION(request_timeout, 10 * MINUTE, 10, DAY),
};

static bool parse_amount(const struct amount *amount, struct span value, uint64_t *ret_number)
{
    char text[32];
    struct span inside = SPAN_EMPTY;
    if (!amount->duration)
        return json_uint(ret_number, value);
    if (!json_plain_string(&inside, value) || inside.len >= sizeof(text) || !inside.len)
        return false;
    memcpy(text, inside.data, inside.len);
    text[inside.len] = '\0';
    return config_parse_duration(text, ret_number) == 0;
}

static void append_amount(struct buffer *out, const struct amount *amount, uint64_t number)
{
    if (amount->duration)
        config_format_duration(out, number);
    else
        buffer_append_uint(out, number);
}

static uint64_t *field(struct llm_settings *settings, const struct amount *amount)
{
    return (uint64_t *)(void *)((char *)settings + amount->offset);
}

static void take_amount(struct llm_settings *settings, struct buffer *problems,
    const struct amount *amount, struct span value)
{
    uint64_t number;
    if (parse_amount(amount, value, &number) && number >= amount->min && number <= amount->max) {
        *field(settings, amount) = number;
        return;
    }
    struct buffer range = BUFFER_INIT;
    append_amount(&range, amount, amount->min);
    buffer_append_string(&range, " to ");
    append_amount(&range, amount, amount->max);
    complain(problems, amount->name, "must be %s from %.*s",
        amount->duration ? "a duration (250ms, 5s)" : "a whole number",
        SPAN_ARG(buffer_span(&range)));
    buffer_deinit(&range);
}

/* ---- all of them */

static void take_setting(
    struct llm_settings *settings, struct buffer *problems, const struct json_member *entry)
{
    char name[64];
    for (size_t i = 0; i < ARRAY_SIZE(amounts); i++) {
        if (span_is(entry->name, amounts[i].name)) {
            take_amount(settings, problems, &amounts[i], entry->value);
            return;
        }
    }
    snprintf(name, sizeof(name), "%.*s", (int)(entry->name.len < 63 ? entry->name.len : 63),
        entry->name.data);
    if (span_is(entry->name, "parameters"))
        take_parameters(problems, name, entry->value, &settings->parameters);
    else if (span_is(entry->name, "system") && json_kind(entry->value) == JSON_STRING)
        settings->system = entry->value;
    else if (span_is(entry->name, "system"))
        complain(problems, name, "must be text");
    else if (!span_is(entry->name, "providers"))
        complain(problems, name, "is no setting");
}

int llm_settings_init(struct llm_settings *ret_settings, struct span json, struct buffer *problems)
{
    struct llm_settings settings = {0};
    struct json_member entry;
    size_t said = problems->len;
    json = json_trim(json);
    if (!json_scan_valid_object(json)) {
        complain(problems, "they", "are no object of JSON");
        return buffer_error(problems) ? -ENOMEM : -EINVAL;
    }
    settings.text = strndup(json.data, json.len);
    if (!settings.text)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(amounts); i++)
        *field(&settings, &amounts[i]) = amounts[i].fallback;
    json = span_of_string(settings.text);
    for (size_t at = 0; json_member_next(&entry, json, &at);)
        take_setting(&settings, problems, &entry);
    take_providers(&settings, problems, json_member_value(json, "providers"));
    int rc = buffer_error(problems) ? -ENOMEM : problems->len > said ? -EINVAL : 0;
    for (size_t i = 0; !rc && i < settings.provider_count; i++)
        rc = settings.providers[i].url ? 0 : -ENOMEM;
    if (rc)
        llm_settings_deinit(&settings);
    else
        *ret_settings = settings;
    return rc;
}

void llm_settings_deinit(struct llm_settings *settings)
{
    for (size_t i = 0; i < settings->provider_count; i++) {
        free(settings->providers[i].url);
        free(settings->providers[i].key_file);
        free(settings->providers[i].key_env);
    }
    free(settings->text);
    *settings = (struct llm_settings){0};
}

/* ---- keys */

static int read_first_line(const char *path, struct buffer *ret_line)
{
    char line[KEY_MAX];
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    bool read = fgets(line, sizeof(line), file) != NULL;
    int rc = ferror(file) ? -errno : read ? 0 : -EINVAL;
    fclose(file);
    if (!rc)
        buffer_append_string(ret_line, line);
    explicit_bzero(line, sizeof(line));
    return rc;
}

int llm_provider_key(const struct llm_provider *provider, struct buffer *ret_key)
{
    const char *value = provider->key_env ? getenv(provider->key_env) : NULL;
    int rc = 0;
    if (provider->key_file)
        rc = read_first_line(provider->key_file, ret_key);
    else if (provider->key_env && !value)
        rc = -ENOENT;
    else if (value)
        buffer_append_string(ret_key, value);
    while (ret_key->len && strchr(" \t\r\n", ret_key->data[ret_key->len - 1]))
        ret_key->len--;
    bool wanted = provider->key_file || provider->key_env;
    for (size_t i = 0; i < ret_key->len; i++) {
        if (ret_key->data[i] <= ' ' || ret_key->data[i] > '~')
            rc = -EINVAL;
    }
    if (!rc && wanted && !ret_key->len)
        rc = -EINVAL;
    return rc ? rc : buffer_error(ret_key);
}

void llm_settings_check_keys(const struct llm_settings *settings, struct buffer *problems)
{
    for (size_t i = 0; i < settings->provider_count; i++) {
        const struct llm_provider *provider = &settings->providers[i];
        struct buffer key = BUFFER_INIT;
        char about[64];
        int rc = llm_provider_key(provider, &key);
        snprintf(about, sizeof(about), "providers[%zu].%s", i,
            provider->key_file ? "api_key_file" : "api_key_env");
        if (rc == -EINVAL)
            complain(problems, about, "has no key in it: one line of printable ASCII");
        else if (rc && provider->key_file)
            complain(problems, about, "\"%s\": %s", provider->key_file, strerror(-rc));
        else if (rc)
            complain(problems, about, "\"%s\" is not in the environment", provider->key_env);
        buffer_deinit(&key);
    }
}
