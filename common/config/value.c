/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include "base/cleanup.h"

#include <errno.h>

/* Largest first; formatting takes the first that divides. */
struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    {"T", 1ull << 40},
    {"G", 1ull << 30},
    {"M", 1ull << 20},
    {"K", 1ull << 10},
    {"", 1},
};

static const struct unit duration_units[] = {
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};

/* Reads the digits that `text` begins with; *ret_rest is what follows them. */
static int parse_digits(const char *text, uint64_t *ret_number, const char **ret_rest)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return -ERANGE;
    }
    if (at == text)
        return -EINVAL;
    *ret_number = number;
    *ret_rest = at;
    return 0;
}

static int parse_with_units(
    const char *text, const struct unit *units, size_t count, uint64_t *ret_value)
{
    uint64_t number, value;
    const char *suffix;
    int rc = parse_digits(text, &number, &suffix);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(suffix, units[i].suffix) != 0)
            continue;
        if (__builtin_mul_overflow(number, units[i].factor, &value))
            return -ERANGE;
        *ret_value = value;
        return 0;
    }
    if (number == 0 && *suffix == '\0') {
        *ret_value = 0; /* nothing needs no unit */
        return 0;
    }
    return -EINVAL;
}

static void format_with_units(
    struct buffer *out, const struct unit *units, size_t count, uint64_t value)
{
    size_t i = 0;
    while (i < count - 1 && (value == 0 || value % units[i].factor != 0))
        i++;
    buffer_append_uint(out, value / units[i].factor);
    buffer_append_string(out, value == 0 ? "" : units[i].suffix);
}

int config_parse_number(const char *text, uint64_t *ret_number)
{
    uint64_t number;
    const char *rest;
    int rc = parse_digits(text, &number, &rest);
    if (rc || *rest)
        return rc ? rc : -EINVAL;
    *ret_number = number;
    return 0;
}

int config_parse_bytes(const char *text, uint64_t *ret_bytes)
{
    return parse_with_units(text, byte_units, ARRAY_SIZE(byte_units), ret_bytes);
}

int config_parse_duration(const char *text, uint64_t *ret_ms)
{
    return parse_with_units(text, duration_units, ARRAY_SIZE(duration_units), ret_ms);
}

void config_format_bytes(struct buffer *out, uint64_t bytes)
{
    format_with_units(out, byte_units, ARRAY_SIZE(byte_units), bytes);
}

void config_format_duration(struct buffer *out, uint64_t ms)
{
    format_with_units(out, duration_units, ARRAY_SIZE(duration_units), ms);
}
