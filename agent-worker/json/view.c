/* SPDX-License-Identifier: Apache-2.0 */
#include "json/view.h"

#include "base/json_member.h"

#define EXACT_MAX (UINT64_C(1) << 53)

enum json_kind json_kind(struct span value)
{
    if (value.len == 0)
        return JSON_ABSENT;
    switch (value.data[0]) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't':
    case 'f': return JSON_BOOL;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;
    }
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

struct span json_trim(struct span text)
{
    while (text.len && is_space(text.data[0]))
        text = span_of(text.data + 1, text.len - 1);
    while (text.len && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* ---- walking */

/* A name that is written with escapes is unescaped first. */
static bool name_is(struct span name, const char *wanted)
{
    if (name.len == 0 || !memchr(name.data, '\\', name.len))
        return span_is(name, wanted);
    struct buffer plain = BUFFER_INIT;
    struct span quoted = span_of(name.data - 1, name.len + 2);
    bool same = json_string(&plain, quoted) && span_is(buffer_span(&plain), wanted);
    buffer_deinit(&plain);
    return same;
}

bool json_members(struct span object, const struct json_wanted *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *wanted[i].value = SPAN_EMPTY;
    if (json_kind(object) != JSON_OBJECT)
        return false;
    struct json_member member;
    for (size_t at = 0; json_member_next(&member, object, &at);) {
        for (size_t i = 0; i < count; i++) {
            if (name_is(member.name, wanted[i].name))
                *wanted[i].value = member.value;
        }
    }
    return true;
}

/* ---- values */

static uint32_t hex4(const char *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char digit = digits[i];
        uint32_t low =
            digit <= '9' ? (uint32_t)(digit - '0') : (uint32_t)((digit | 0x20) - 'a' + 10);
        value = value << 4 | (low & 15);
    }
    return value;
}

static void append_utf8(struct buffer *out, uint32_t point)
{
    char bytes[4];
    size_t len = 0;
    if (point < 0x80) {
        bytes[len++] = (char)point;
    } else if (point < 0x800) {
        bytes[len++] = (char)(0xc0 | point >> 6);
    } else if (point < 0x10000) {
        bytes[len++] = (char)(0xe0 | point >> 12);
        bytes[len++] = (char)(0x80 | (point >> 6 & 0x3f));
    } else {
        bytes[len++] = (char)(0xf0 | point >> 18);
        bytes[len++] = (char)(0x80 | (point >> 12 & 0x3f));
        bytes[len++] = (char)(0x80 | (point >> 6 & 0x3f));
    }
    if (point >= 0x80)
        bytes[len++] = (char)(0x80 | (point & 0x3f));
    buffer_append(out, bytes, len);
}

/* `at` is the 'u' of an escape. The number of bytes it and its second half take, 0 for no text. */
static size_t append_unicode(struct buffer *out, const char *at, const char *end)
{
    uint32_t point = end - at >= 5 ? hex4(at + 1) : 0;
    size_t used = 5;
    if (point >= 0xd800 && point < 0xdc00) {
        if (end - at < 11 || at[5] != '\\' || at[6] != 'u')
            return 0;
        uint32_t low = hex4(at + 7);
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        used = 11;
    } else if (point == 0 || (point >= 0xdc00 && point < 0xe000)) {
        return 0;
    }
    append_utf8(out, point);
    return used;
}

/* `at` is behind a backslash. The number of bytes the escape takes there, 0 for no text. */
static size_t append_escaped(struct buffer *out, const char *at, const char *end)
{
    switch (*at) {
    case 'b': buffer_append_char(out, '\b'); return 1;
    case 'f': buffer_append_char(out, '\f'); return 1;
    case 'n': buffer_append_char(out, '\n'); return 1;
    case 'r': buffer_append_char(out, '\r'); return 1;
    case 't': buffer_append_char(out, '\t'); return 1;
    case 'u': return append_unicode(out, at, end);
    default: buffer_append_char(out, *at); return 1;
    }
}

bool json_string(struct buffer *out, struct span value)
{
    if (json_kind(value) != JSON_STRING)
        return false;
    const char *at = value.data + 1;
    const char *end = value.data + value.len - 1;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *plain_end = escape ? escape : end;
        buffer_append(out, at, (size_t)(plain_end - at));
        at = plain_end;
        if (!escape)
            break;
        size_t used = append_escaped(out, at + 1, end);
        if (used == 0)
            return false;
        at += 1 + used;
    }
    return buffer_error(out) == 0;
}

bool json_plain_string(struct span *ret_text, struct span value)
{
    if (json_kind(value) != JSON_STRING || memchr(value.data, '\\', value.len))
        return false;
    *ret_text = span_of(value.data + 1, value.len - 2);
    return true;
}

bool json_identifier(char ret_id[IDENTIFIER_SIZE], struct span value)
{
    struct buffer text = BUFFER_INIT;
    bool valid = json_string(&text, value) && text.data && identifier_valid(buffer_span(&text));
    if (valid) {
        memcpy(ret_id, text.data, text.len);
        ret_id[text.len] = '\0';
    }
    buffer_deinit(&text);
    return valid;
}

bool json_uint(uint64_t *ret_number, struct span value)
{
    uint64_t number = 0;
    if (value.len == 0 || value.len > 16)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(value.data[i] - '0');
    }
    if (number > EXACT_MAX)
        return false;
    *ret_number = number;
    return true;
}

void json_append_one_line(struct buffer *out, struct span value)
{
    size_t start = out->len;
    buffer_append_span(out, value);
    for (size_t i = start; i < out->len; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    }
}
