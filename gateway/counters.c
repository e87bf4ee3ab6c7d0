/* SPDX-License-Identifier: Apache-2.0 */
#include "counters.h"

#include "base/cleanup.h"
#include "base/json.h"

struct row {
    const char *name;
    const char *help;
    const char *type;
    const char *suffix;
    size_t offset; /* in struct counters */
};

static const struct row rows[] = {
#define COUNTER(name_, help_)                                                                      \
    {#name_, help_, "counter", "_total", __builtin_offsetof(struct counters, name_)},
#define GAUGE(name_, help_)                                                                        \
    {#name_, help_, "gauge", "", __builtin_offsetof(struct counters, name_)},
#include "counters.def"
#undef COUNTER
#undef GAUGE
};

static uint64_t value_of(const struct counters *counters, const struct row *row)
{
    return *(const uint64_t *)(const void *)((const char *)counters + row->offset);
}

void counters_append_metrics(struct buffer *out, const struct counters *counters)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        buffer_printf(out, "# HELP ringside_gateway_%s%s %s\n", row->name, row->suffix, row->help);
        buffer_printf(out, "# TYPE ringside_gateway_%s%s %s\n", row->name, row->suffix, row->type);
        buffer_printf(out, "ringside_gateway_%s%s %llu\n", row->name, row->suffix,
            (unsigned long long)value_of(counters, row));
    }
}

void counters_append_json(struct buffer *out, const struct counters *counters)
{
    buffer_append_char(out, '{');
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        json_append_member_uint(out, rows[i].name, value_of(counters, &rows[i]));
    buffer_append_char(out, '}');
}
