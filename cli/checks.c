/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const level_names[] = {"ok", "warn", "fail"};

static void append_json(struct checks *checks, enum check_level level, const char *name,
    const char *text, const char *advice)
{
    struct buffer *out = &checks->out;
    if (out->len)
        buffer_append_char(out, ',');
    buffer_append_char(out, '{');
    json_append_member(out, "check", span_of_string(name));
    json_append_member(out, "level", span_of_string(level_names[level]));
    json_append_member(out, "text", span_of_string(text));
    if (advice)
        json_append_member(out, "advice", span_of_string(advice));
    buffer_append_char(out, '}');
}

void checks_add(struct checks *checks, enum check_level level, const char *name, const char *advice,
    const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    checks->counts[level]++;
    if (checks->json) {
        append_json(checks, level, name, text, advice);
        return;
    }
    buffer_printf(&checks->out, "%-4s  %-14s %s\n", level_names[level], name, text);
    if (advice)
        buffer_printf(&checks->out, "      %-14s %s\n", "", advice);
}
