/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/json_scan.h"

static void append_escape(struct buffer *out, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    switch (byte) {
    case '"': buffer_append(out, "\\\"", 2); break;
    case '\\': buffer_append(out, "\\\\", 2); break;
    case '\n': buffer_append(out, "\\n", 2); break;
    case '\r': buffer_append(out, "\\r", 2); break;
    case '\t': buffer_append(out, "\\t", 2); break;
    default:
        buffer_append(out, "\\u00", 4);
        buffer_append_char(out, hex[byte >> 4]);
        buffer_append_char(out, hex[byte & 15]);
    }
}

static bool is_ascii(char byte)
{
    return !((unsigned char)byte & 0x80);
}

void json_append_string(struct buffer *out, struct span text)
{
    size_t plain = 0;
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (is_ascii(text.data[i]))
            i += json_plain_length(span_of(text.data + i, text.len - i));
        if (i == text.len)
            break;
        unsigned char byte = (unsigned char)text.data[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        buffer_append(out, text.data + plain, i - plain);
        append_escape(out, byte);
        plain = i + 1;
    }
    buffer_append(out, text.len ? text.data + plain : "", text.len - plain);
    buffer_append_char(out, '"');
}

void json_append_name(struct buffer *out, const char *name)
{
    if (out->len && out->data[out->len - 1] != '{')
        buffer_append_char(out, ',');
    buffer_append_char(out, '"');
    buffer_append_string(out, name);
    buffer_append(out, "\":", 2);
}

void json_append_member(struct buffer *out, const char *name, struct span text)
{
    json_append_name(out, name);
    json_append_string(out, text);
}

void json_append_member_uint(struct buffer *out, const char *name, uint64_t number)
{
    json_append_name(out, name);
    buffer_append_uint(out, number);
}

void json_append_member_bool(struct buffer *out, const char *name, bool value)
{
    json_append_name(out, name);
    buffer_append_string(out, value ? "true" : "false");
}

void json_append_member_raw(struct buffer *out, const char *name, struct span value)
{
    json_append_name(out, name);
    buffer_append_span(out, value);
}
