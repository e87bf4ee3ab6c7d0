/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to MessagePack. A container's count and an escaped string's length are known at their end
 * only: room for the shortest header is left, and what stands behind it moves when it needs more.
 */
#include "transcode.h"

#include "base/block.h"

#include <errno.h>
#include <stdlib.h>

/* ---- pieces */

static void append_marked(struct buffer *out, unsigned char marker, uint64_t number, unsigned size)
{
    char bytes[9] = {(char)marker};
    for (unsigned i = 0; i < size; i++)
        bytes[1 + i] = (char)(number >> (8 * (size - 1 - i)));
    buffer_append(out, bytes, 1 + size);
}

static void append_uint(struct buffer *out, uint64_t number)
{
    if (number < 0x80)
        buffer_append_char(out, (char)number);
    else if (number <= UINT8_MAX)
        append_marked(out, 0xcc, number, 1);
    else if (number <= UINT16_MAX)
        append_marked(out, 0xcd, number, 2);
    else if (number <= UINT32_MAX)
        append_marked(out, 0xce, number, 4);
    else
        append_marked(out, 0xcf, number, 8);
}

static void append_negative(struct buffer *out, int64_t number)
{
    if (number >= -32)
        buffer_append_char(out, (char)number);
    else if (number >= INT8_MIN)
        append_marked(out, 0xd0, (uint64_t)number, 1);
    else if (number >= INT16_MIN)
        append_marked(out, 0xd1, (uint64_t)number, 2);
    else if (number >= INT32_MIN)
        append_marked(out, 0xd2, (uint64_t)number, 4);
    else
        append_marked(out, 0xd3, (uint64_t)number, 8);
}

static void append_double(struct buffer *out, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    append_marked(out, 0xcb, bits, 8);
}

/* A header as bytes: how many. */
static size_t string_header(unsigned char ret_bytes[5], size_t len)
{
    unsigned size = len < 32 ? 0 : len <= UINT8_MAX ? 1 : len <= UINT16_MAX ? 2 : 4;
    ret_bytes[0] = (unsigned char)(size == 0   ? 0xa0 | len
                                   : size == 1 ? 0xd9
                                   : size == 2 ? 0xda
                                               : 0xdb);
    for (unsigned i = 0; i < size; i++)
        ret_bytes[1 + i] = (unsigned char)(len >> (8 * (size - 1 - i)));
    return 1 + size;
}

static size_t container_header(unsigned char ret_bytes[5], bool map, size_t count)
{
    unsigned size = count < 16 ? 0 : count <= UINT16_MAX ? 2 : 4;
    ret_bytes[0] = (unsigned char)(size == 0   ? (map ? 0x80 : 0x90) | count
                                   : size == 2 ? (map ? 0xde : 0xdc)
                                               : (map ? 0xdf : 0xdd));
    for (unsigned i = 0; i < size; i++)
        ret_bytes[1 + i] = (unsigned char)(count >> (8 * (size - 1 - i)));
    return 1 + size;
}

static void append_string(struct buffer *out, struct span text)
{
    unsigned char header[5];
    buffer_append(out, header, string_header(header, text.len));
    buffer_append_span(out, text);
}

/* Replaces the one byte that was left at `start` for a header. */
static void put_header(
    struct buffer *out, size_t start, const unsigned char *header, size_t header_len)
{
    if (buffer_error(out) || (header_len > 1 && !buffer_reserve(out, header_len - 1)))
        return;
    char *at = out->data + start;
    if (header_len > 1)
        memmove(at + header_len, at + 1, out->len - start - 1);
    memcpy(at, header, header_len);
    out->len += header_len - 1;
}

/* ---- reading JSON */

struct scan {
    const char *at;
    const char *end;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || (*scan->at >= '\t' && *scan->at <= '\r')))
        scan->at++;
}

static bool take(struct scan *scan, char byte)
{
    if (scan->at == scan->end || *scan->at != byte)
        return false;
    scan->at++;
    return true;
}

/* How many bytes up to the next quote or backslash. */
static size_t unescaped_length(const struct scan *scan)
{
    const char *at = scan->at;
    for (; scan->end - at >= BLOCK_SIZE; at += BLOCK_SIZE) {
        block bytes = block_load(at);
        size_t first = block_first(block_equal(bytes, '"') | block_equal(bytes, '\\'));
        if (first < BLOCK_SIZE)
            return (size_t)(at - scan->at) + first;
    }
    while (at < scan->end && *at != '"' && *at != '\\')
        at++;
    return (size_t)(at - scan->at);
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool take_hex4(struct scan *scan, uint32_t *ret_code)
{
    uint32_t code = 0;
    if (scan->end - scan->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*scan->at++);
        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    *ret_code = code;
    return true;
}

static void append_utf8(struct buffer *out, uint32_t code)
{
    if (code < 0x80) {
        buffer_append_char(out, (char)code);
        return;
    }
    unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    buffer_append_char(out, (char)(leads[more] | code >> (6 * more)));
    for (; more > 0; more--)
        buffer_append_char(out, (char)(0x80 | (code >> (6 * (more - 1)) & 0x3f)));
}

static bool take_unicode(struct buffer *out, struct scan *scan)
{
    uint32_t code;
    uint32_t low;
    if (!take_hex4(scan, &code) || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!take(scan, '\\') || !take(scan, 'u') || !take_hex4(scan, &low) || low < 0xdc00 ||
            low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
    }
    append_utf8(out, code);
    return true;
}

static bool take_escape(struct buffer *out, struct scan *scan)
{
    static const char names[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    if (scan->at == scan->end || !*scan->at)
        return false;
    char name = *scan->at++;
    if (name == 'u')
        return take_unicode(out, scan);
    const char *found = strchr(names, name);
    if (!found)
        return false;
    buffer_append_char(out, bytes[found - names]);
    return true;
}

/* The string goes on behind its first escape; `start` is where its header belongs. */
static bool put_escaped(struct buffer *out, struct scan *scan, size_t start)
{
    unsigned char header[5];
    while (take(scan, '\\')) {
        if (!take_escape(out, scan))
            return false;
        size_t len = unescaped_length(scan);
        buffer_append(out, scan->at, len);
        scan->at += len;
    }
    put_header(out, start, header, string_header(header, out->len - start - 1));
    return take(scan, '"');
}

static bool put_string(struct buffer *out, struct scan *scan)
{
    if (!take(scan, '"'))
        return false;
    struct span text = span_of(scan->at, unescaped_length(scan));
    scan->at += text.len;
    if (take(scan, '"')) {
        append_string(out, text);
        return true;
    }
    size_t start = out->len;
    buffer_append_char(out, 0);
    buffer_append_span(out, text);
    return put_escaped(out, scan, start);
}

/* False when it is no integer of 64 bits. Minus nothing is a double: the sign would be lost. */
static bool put_integer(struct buffer *out, struct span text)
{
    bool negative = text.data[0] == '-';
    uint64_t number = 0;
    for (size_t i = negative; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' ||
            __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number))
            return false;
    }
    if (negative && (number == 0 || number > (uint64_t)INT64_MAX + 1))
        return false;
    if (negative)
        append_negative(out, (int64_t)(~number + 1));
    else
        append_uint(out, number);
    return true;
}

/* Something always follows a number, since it stands within an object. */
static bool put_number(struct buffer *out, struct scan *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end && *scan->at && strchr("+-.0123456789eE", *scan->at))
        scan->at++;
    struct span text = span_of(start, (size_t)(scan->at - start));
    if (!text.len || scan->at == scan->end || (*start != '-' && (*start < '0' || *start > '9')))
        return false;
    if (put_integer(out, text))
        return true;
    char *stop;
    append_double(out, strtod(start, &stop));
    return stop == scan->at;
}

static bool put_word(struct buffer *out, struct scan *scan, const char *word, unsigned char byte)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return false;
    scan->at += len;
    buffer_append_char(out, (char)byte);
    return true;
}

static bool put_value(struct buffer *out, struct scan *scan, unsigned depth);

static bool put_member(struct buffer *out, struct scan *scan, bool map, unsigned depth)
{
    skip_space(scan);
    if (!map)
        return put_value(out, scan, depth);
    if (!put_string(out, scan))
        return false;
    skip_space(scan);
    return take(scan, ':') && put_value(out, scan, depth);
}

static bool put_container(struct buffer *out, struct scan *scan, bool map, unsigned depth)
{
    unsigned char header[5];
    size_t start = out->len;
    size_t count = 0;
    char close = map ? '}' : ']';
    if (depth == 0)
        return false;
    scan->at++;
    buffer_append_char(out, 0);
    skip_space(scan);
    bool more = !take(scan, close);
    while (more) {
        if (!put_member(out, scan, map, depth - 1))
            return false;
        count++;
        skip_space(scan);
        more = take(scan, ',');
        if (!more && !take(scan, close))
            return false;
    }
    put_header(out, start, header, container_header(header, map, count));
    return true;
}

static bool put_value(struct buffer *out, struct scan *scan, unsigned depth)
{
    skip_space(scan);
    if (scan->at == scan->end)
        return false;
    switch (*scan->at) {
    case '{': return put_container(out, scan, true, depth);
    case '[': return put_container(out, scan, false, depth);
    case '"': return put_string(out, scan);
    case 't': return put_word(out, scan, "true", 0xc3);
    case 'f': return put_word(out, scan, "false", 0xc2);
    case 'n': return put_word(out, scan, "null", 0xc0);
    default: return put_number(out, scan);
    }
}

int transcode_to_msgpack(struct buffer *out, struct span json)
{
    struct scan scan = {json.data, json.data + json.len};
    size_t start = out->len;
    skip_space(&scan);
    bool object = scan.at < scan.end && *scan.at == '{';
    bool whole = object && put_value(out, &scan, TRANSCODE_DEPTH_MAX);
    skip_space(&scan);
    if (whole && scan.at == scan.end && !buffer_error(out))
        return 0;
    int rc = buffer_error(out) ? -ENOMEM : -EBADMSG;
    out->len = start;
    return rc;
}
