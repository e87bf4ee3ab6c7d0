/* SPDX-License-Identifier: Apache-2.0 */
#include "config/option.h"

#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define AT(section, key) offsetof(struct config, section##_##key)
#define OF_TEXT(of_kind, of_section, of_key, fallback, list, of_help)                              \
    {                                                                                              \
        .kind = of_kind,                                                                           \
        .section = #of_section,                                                                    \
        .key = #of_key,                                                                            \
        .help = of_help,                                                                           \
        .text = fallback,                                                                          \
        .choices = list,                                                                           \
        .offset = AT(of_section, of_key),                                                          \
    },
#define OF_NUMBER(of_kind, of_section, of_key, fallback, least, most, of_help)                     \
    {                                                                                              \
        .kind = of_kind,                                                                           \
        .section = #of_section,                                                                    \
        .key = #of_key,                                                                            \
        .help = of_help,                                                                           \
        .number = fallback,                                                                        \
        .min = least,                                                                              \
        .max = most,                                                                               \
        .offset = AT(of_section, of_key),                                                          \
    },
#define TEXT(section, key, fallback, help) OF_TEXT(OPTION_TEXT, section, key, fallback, NULL, help)
#define NAME(section, key, fallback, help) OF_TEXT(OPTION_NAME, section, key, fallback, NULL, help)
#define PATH(section, key, fallback, help) OF_TEXT(OPTION_PATH, section, key, fallback, NULL, help)
#define CHOICE(section, key, fallback, choices, help)                                              \
    OF_TEXT(OPTION_CHOICE, section, key, fallback, choices, help)
#define NUMBER(section, key, fallback, min, max, help)                                             \
    OF_NUMBER(OPTION_NUMBER, section, key, fallback, min, max, help)
#define BYTES(section, key, fallback, min, max, help)                                              \
    OF_NUMBER(OPTION_BYTES, section, key, fallback, min, max, help)
#define POWER(section, key, fallback, min, max, help)                                              \
    OF_NUMBER(OPTION_POWER, section, key, fallback, min, max, help)
#define DURATION(section, key, fallback, min, max, help)                                           \
    OF_NUMBER(OPTION_DURATION, section, key, fallback, min, max, help)
#define FLAG(section, key, fallback, help)                                                         \
    OF_NUMBER(OPTION_FLAG, section, key, fallback, 0, 1, help)

const struct option option_table[OPTION_COUNT] = {
#include "config/options.def"
};

const struct option *option_find(struct span section, struct span key)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (span_is(section, option_table[i].section) && span_is(key, option_table[i].key))
            return &option_table[i];
    }
    return NULL;
}

bool option_section_known(struct span section)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (span_is(section, option_table[i].section))
            return true;
    }
    return false;
}

void option_flag_name(const struct option *option, char ret_name[OPTION_NAME_MAX])
{
    snprintf(ret_name, OPTION_NAME_MAX, "%s-%s", option->section, option->key);
    for (char *at = ret_name; *at; at++)
        *at = *at == '_' ? '-' : *at;
}

void option_variable_name(const struct option *option, char ret_name[OPTION_NAME_MAX])
{
    snprintf(ret_name, OPTION_NAME_MAX, "RINGSIDE_%s_%s", option->section, option->key);
    for (char *at = ret_name; *at; at++)
        *at = (char)toupper((unsigned char)*at);
}

bool option_holds_text(const struct option *option)
{
    return option->kind <= OPTION_CHOICE;
}

const char *option_value_name(const struct option *option)
{
    switch (option->kind) {
    case OPTION_TEXT: return "TEXT";
    case OPTION_NAME: return "NAME";
    case OPTION_PATH: return "PATH";
    case OPTION_CHOICE: return option->choices;
    case OPTION_NUMBER: return "NUMBER";
    case OPTION_BYTES:
    case OPTION_POWER: return "BYTES";
    case OPTION_DURATION: return "DURATION";
    case OPTION_FLAG: return "true|false";
    }
    return "VALUE";
}

static void append_number(const struct option *option, struct buffer *out, uint64_t number)
{
    switch (option->kind) {
    case OPTION_BYTES:
    case OPTION_POWER: config_format_bytes(out, number); break;
    case OPTION_DURATION: config_format_duration(out, number); break;
    case OPTION_FLAG: buffer_append_string(out, number ? "true" : "false"); break;
    default: buffer_append_uint(out, number);
    }
}

void option_append_default(const struct option *option, struct buffer *out)
{
    if (option_holds_text(option))
        buffer_append_string(out, option->text);
    else
        append_number(option, out, option->number);
}

static void append_range(const struct option *option, struct buffer *out)
{
    buffer_append_string(out, " from ");
    append_number(option, out, option->min);
    buffer_append_string(out, " to ");
    append_number(option, out, option->max);
}

void option_append_wanted(const struct option *option, struct buffer *out)
{
    switch (option->kind) {
    case OPTION_TEXT: buffer_append_string(out, "text"); return;
    case OPTION_PATH: buffer_append_string(out, "a path of at most 511 bytes"); return;
    case OPTION_NAME:
        buffer_append_string(out, "a name of 1 to 63 letters, digits, '.', '_' and '-'");
        return;
    case OPTION_CHOICE: buffer_printf(out, "one of %s", option->choices); return;
    case OPTION_FLAG: buffer_append_string(out, "true or false"); return;
    case OPTION_NUMBER: buffer_append_string(out, "a whole number"); break;
    case OPTION_BYTES: buffer_append_string(out, "bytes (64K, 16M, 2G)"); break;
    case OPTION_POWER: buffer_append_string(out, "a power of two in bytes (64K, 1M)"); break;
    case OPTION_DURATION: buffer_append_string(out, "a duration (250ms, 5s, 10m, 24h)"); break;
    }
    append_range(option, out);
}

char **option_text_field(struct config *config, const struct option *option)
{
    return (char **)(void *)((char *)config + option->offset);
}

static void set_number(struct config *config, const struct option *option, uint64_t number)
{
    void *field = (char *)config + option->offset;
    if (option->kind == OPTION_FLAG)
        *(bool *)field = number != 0;
    else
        *(uint64_t *)field = number;
}

static int set_text(struct config *config, const struct option *option, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    char **field = option_text_field(config, option);
    free(*field);
    *field = copy;
    return 0;
}

int option_set_defaults(struct config *config)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!option_holds_text(&option_table[i])) {
            set_number(config, &option_table[i], option_table[i].number);
            continue;
        }
        int rc = set_text(config, &option_table[i], option_table[i].text);
        if (rc)
            return rc;
    }
    return 0;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *at = choices;; at++) {
        size_t here = strcspn(at, "|");
        if (here == len && memcmp(at, text, len) == 0)
            return true;
        at += here;
        if (!*at)
            return false;
    }
}

static bool is_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(text);
    return len > 0 && len < 64 && text[0] != '.' && strspn(text, allowed) == len;
}

static bool text_fits(const struct option *option, const char *text)
{
    switch (option->kind) {
    case OPTION_NAME: return is_name(text);
    case OPTION_PATH: return strlen(text) < 512;
    case OPTION_CHOICE: return is_choice(option->choices, text);
    default: return true;
    }
}

static int parse_number(const struct option *option, const char *text, uint64_t *ret_number)
{
    switch (option->kind) {
    case OPTION_BYTES:
    case OPTION_POWER: return config_parse_bytes(text, ret_number);
    case OPTION_DURATION: return config_parse_duration(text, ret_number);
    case OPTION_FLAG:
        *ret_number = strcmp(text, "true") == 0;
        return *ret_number || strcmp(text, "false") == 0 ? 0 : -EINVAL;
    default: return config_parse_number(text, ret_number);
    }
}

int option_set(struct config *config, const struct option *option, const char *text)
{
    if (option_holds_text(option))
        return text_fits(option, text) ? set_text(config, option, text) : -EINVAL;
    uint64_t number;
    if (parse_number(option, text, &number) < 0 || number < option->min || number > option->max)
        return -EINVAL;
    if (option->kind == OPTION_POWER && (number & (number - 1)) != 0)
        return -EINVAL;
    set_number(config, option, number);
    return 0;
}
