/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 24
#define INDENT "  "

static bool ends_with(const char *text, const char *end)
{
    size_t text_len = strlen(text), end_len = strlen(end);
    return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* ---- names and values */

static void append_name(struct buffer *out, const char *name)
{
    size_t len = strlen(name);
    bool rate = ends_with(name, "_per_s");
    if (rate)
        len -= strlen("_per_s");
    else if (ends_with(name, "_ms"))
        len -= strlen("_ms");
    for (size_t i = 0; i < len; i++)
        buffer_append_char(out, name[i] == '_' ? ' ' : name[i]);
    buffer_append_string(out, rate ? "/s" : "");
}

static void append_scaled(struct buffer *out, double value, const char *unit)
{
    buffer_printf(out, value < 10 ? "%.1f %s" : "%.0f %s", value, unit);
}

static void append_duration(struct buffer *out, double ms)
{
    if (ms < 1000)
        buffer_printf(out, "%.*f ms", ms == (double)(long long)ms ? 0 : 2, ms);
    else if (ms < 120e3)
        append_scaled(out, ms / 1e3, "s");
    else if (ms < 7200e3)
        append_scaled(out, ms / 60e3, "min");
    else if (ms < 172800e3)
        append_scaled(out, ms / 3600e3, "h");
    else
        append_scaled(out, ms / 86400e3, "days");
}

static void append_bytes(struct buffer *out, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
        bytes /= 1024;
    if (unit == 0)
        buffer_printf(out, "%.0f B", bytes);
    else
        append_scaled(out, bytes, units[unit]);
}

static void append_number(struct buffer *out, const char *name, const json_t *value)
{
    double number = json_number_value(value);
    if (ends_with(name, "_ms"))
        append_duration(out, number);
    else if (ends_with(name, "bytes"))
        append_bytes(out, number);
    else if (json_is_integer(value))
        buffer_printf(out, "%lld", (long long)json_integer_value(value));
    else
        buffer_printf(out, "%.4g", number);
}

static void append_text(struct buffer *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        buffer_append_char(out, byte < 0x20 || byte == 0x7f ? '?' : text.data[i]);
    }
}

static void append_members(struct buffer *out, const json_t *object)
{
    const char *name;
    json_t *value;
    const char *between = "";
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        buffer_append_string(out, between);
        append_name(out, name);
        buffer_append_char(out, ' ');
        table_append_value(out, name, value);
        between = ", ";
    }
}

void table_append_value(struct buffer *out, const char *name, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        append_text(out, span_of(json_string_value(value), json_string_length(value)));
        break;
    case JSON_INTEGER:
    case JSON_REAL: append_number(out, name, value); break;
    case JSON_TRUE: buffer_append_string(out, "yes"); break;
    case JSON_FALSE: buffer_append_string(out, "no"); break;
    case JSON_NULL: buffer_append_char(out, '-'); break;
    case JSON_OBJECT: append_members(out, value); break;
    case JSON_ARRAY:
        for (size_t i = 0; i < json_array_size(value); i++) {
            buffer_append_string(out, i ? ", " : "");
            table_append_value(out, name, json_array_get(value, i));
        }
    }
}

/* ---- arrays of objects */

struct columns {
    const char *names[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    size_t count;
};

/* Columns on the screen: characters, not bytes. */
static size_t width_of(struct span text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return width;
}

static void append_padded(struct buffer *out, struct span text, size_t width)
{
    buffer_append_span(out, text);
    for (size_t i = width_of(text); i < width; i++)
        buffer_append_char(out, ' ');
}

static void note_column(struct columns *columns, const char *name)
{
    for (size_t i = 0; i < columns->count; i++) {
        if (strcmp(columns->names[i], name) == 0)
            return;
    }
    if (columns->count < COLUMNS_MAX)
        columns->names[columns->count++] = name;
}

/* A row's own members have columns, and the plain ones of the objects among them. */
static void note_columns(struct columns *columns, const json_t *row, bool nested)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        if (!json_is_object(value))
            note_column(columns, name);
        else if (!nested)
            note_columns(columns, value, true);
    }
}

static const json_t *find_cell(const json_t *row, const char *column)
{
    const char *name;
    json_t *value;
    const json_t *own = json_object_get(row, column);
    if (own && !json_is_object(own))
        return own;
    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        const json_t *inner = json_object_get(value, column);
        if (inner && !json_is_object(inner))
            return inner;
    }
    return NULL;
}

static void append_cell(
    struct buffer *cell, const struct columns *columns, size_t column, const json_t *row)
{
    buffer_clear(cell);
    const json_t *value = find_cell(row, columns->names[column]);
    if (value)
        table_append_value(cell, columns->names[column], value);
}

static void measure(struct columns *columns, const json_t *rows)
{
    struct buffer cell = BUFFER_INIT;
    for (size_t i = 0; i < json_array_size(rows); i++)
        note_columns(columns, json_array_get(rows, i), false);
    for (size_t column = 0; column < columns->count; column++) {
        buffer_clear(&cell);
        append_name(&cell, columns->names[column]);
        columns->widths[column] = width_of(buffer_span(&cell));
        for (size_t i = 0; i < json_array_size(rows); i++) {
            append_cell(&cell, columns, column, json_array_get(rows, i));
            size_t width = width_of(buffer_span(&cell));
            if (width > columns->widths[column])
                columns->widths[column] = width;
        }
    }
    buffer_deinit(&cell);
}

static void append_row(struct buffer *out, const struct columns *columns, const json_t *row)
{
    struct buffer cell = BUFFER_INIT;
    for (size_t column = 0; column < columns->count; column++) {
        buffer_clear(&cell);
        if (row)
            append_cell(&cell, columns, column, row);
        else
            append_name(&cell, columns->names[column]);
        buffer_append_string(out, INDENT);
        append_padded(
            out, buffer_span(&cell), column + 1 < columns->count ? columns->widths[column] : 0);
    }
    buffer_append_char(out, '\n');
    buffer_deinit(&cell);
}

static void append_rows(struct buffer *out, const json_t *rows)
{
    struct columns columns = {.count = 0};
    measure(&columns, rows);
    append_row(out, &columns, NULL);
    for (size_t i = 0; i < json_array_size(rows); i++)
        append_row(out, &columns, json_array_get(rows, i));
}

/* ---- objects */

static bool is_table(const json_t *value)
{
    return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

static bool is_group(const json_t *value)
{
    return is_table(value) || (json_is_object(value) && json_object_size(value) > 0);
}

static size_t widest_name(const json_t *object)
{
    size_t widest = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        struct buffer shown = BUFFER_INIT;
        append_name(&shown, name);
        if (!is_group(value) && width_of(buffer_span(&shown)) > widest)
            widest = width_of(buffer_span(&shown));
        buffer_deinit(&shown);
    }
    return widest;
}

/* "name  value"; nothing at all is shown as such. */
static void append_pair(
    struct buffer *out, const char *indent, size_t width, const char *name, const json_t *value)
{
    struct buffer shown = BUFFER_INIT;
    append_name(&shown, name);
    buffer_append_string(out, indent);
    append_padded(out, buffer_span(&shown), width);
    buffer_append_string(out, INDENT);
    size_t before = out->len;
    table_append_value(out, name, value);
    buffer_append_string(out, out->len == before ? "none\n" : "\n");
    buffer_deinit(&shown);
}

static void append_pairs(struct buffer *out, const json_t *object)
{
    size_t width = widest_name(object);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        append_pair(out, INDENT, width, name, value);
    }
}

void table_append(struct buffer *out, const json_t *object)
{
    size_t width = widest_name(object);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (!is_group(value))
            append_pair(out, "", width, name, value);
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (!is_group(value))
            continue;
        buffer_append_string(out, out->len ? "\n" : "");
        append_name(out, name);
        buffer_append_char(out, '\n');
        if (is_table(value))
            append_rows(out, value);
        else
            append_pairs(out, value);
    }
}
