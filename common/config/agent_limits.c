/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's `limits:` and `pool:`: numbers, bytes and durations by name. */
#include "config/file.h"
#include "config/value.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

enum unit {
    UNIT_NUMBER,
    UNIT_BYTES,
    UNIT_DURATION,
};

struct amount {
    const char *name;
    enum unit unit;
    uint64_t min, max;
    uint64_t *value;
};

static int parse(const struct amount *amount, const char *text, uint64_t *ret_value)
{
    switch (amount->unit) {
    case UNIT_BYTES: return config_parse_bytes(text, ret_value);
    case UNIT_DURATION: return config_parse_duration(text, ret_value);
    default: return config_parse_number(text, ret_value);
    }
}

static void format(struct buffer *out, const struct amount *amount, uint64_t value)
{
    switch (amount->unit) {
    case UNIT_BYTES: config_format_bytes(out, value); break;
    case UNIT_DURATION: config_format_duration(out, value); break;
    default: buffer_append_uint(out, value);
    }
}

static void complain(struct config_file *file, const char *key, const yaml_node_t *node,
    const struct amount *amount, const char *text)
{
    static const char *const kinds[] = {"a whole number", "a size (64M)", "a duration (250ms, 5s)"};
    struct buffer range = BUFFER_INIT;
    format(&range, amount, amount->min);
    buffer_append_string(&range, " to ");
    format(&range, amount, amount->max);
    config_file_complain(file, node, key, "\"%s\" is not %s from %.*s", text, kinds[amount->unit],
        SPAN_ARG(buffer_span(&range)));
    buffer_deinit(&range);
}

static void read_amount(
    struct config_file *file, const char *key, yaml_node_t *node, const struct amount *amount)
{
    const char *text = config_file_text(file, key, node);
    uint64_t value;
    if (!text)
        return;
    if (parse(amount, text, &value) < 0 || value < amount->min || value > amount->max)
        complain(file, key, node, amount, text);
    else
        *amount->value = value;
}

#define AMOUNTS_MAX 3

static void read_amounts(struct config_file *file, const char *key, yaml_node_t *mapping,
    const struct amount amounts[AMOUNTS_MAX])
{
    const char *known[AMOUNTS_MAX + 1] = {NULL};
    struct config_entry entry;
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(file, mapping, key, "needs its values by name, indented below it");
        return;
    }
    for (size_t i = 0; i < AMOUNTS_MAX; i++)
        known[i] = amounts[i].name;
    for (size_t at = 0; config_file_next(file, key, mapping, &at, &entry);) {
        char name[CONFIG_KEY_MAX];
        size_t i = 0;
        (void)snprintf(name, sizeof(name), "%s.%s", key, entry.key);
        while (i < AMOUNTS_MAX && strcmp(entry.key, amounts[i].name) != 0)
            i++;
        if (i < AMOUNTS_MAX)
            read_amount(file, name, entry.value, &amounts[i]);
        else
            config_file_unknown(file, &entry, name, known);
    }
}

void config_limits_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_limits *limits)
{
    const struct amount amounts[AMOUNTS_MAX] = {
        {"runs", UNIT_NUMBER, 1, 4096, &limits->runs},
        {"memory", UNIT_BYTES, 1u << 20, UINT64_C(1) << 50, &limits->memory},
        {"cpu_time", UNIT_DURATION, 1000, 86400000, &limits->cpu_time_ms},
    };
    read_amounts(file, key, mapping, amounts);
}

void config_pool_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_pool *pool)
{
    const struct amount amounts[AMOUNTS_MAX] = {
        {"min_idle", UNIT_NUMBER, 0, 1024, &pool->min_idle},
        {"max_uses", UNIT_NUMBER, 1, 1000000, &pool->max_uses},
        {"max_memory", UNIT_BYTES, 1u << 20, UINT64_C(1) << 50, &pool->max_memory},
    };
    read_amounts(file, key, mapping, amounts);
}
