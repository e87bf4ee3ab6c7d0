/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MessagePack of a client to JSON, which then is decoded as any client's is. Written out as it is
 * read: a count is believed no further than the bytes reach, so there is nothing that a few bytes
 * could make large.
 */
#include "transcode.h"

#include "base/json.h"
#include "base/json_scan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

struct scan {
    const unsigned char *at;
    const unsigned char *end;
};

static size_t left_of(const struct scan *scan)
{
    return (size_t)(scan->end - scan->at);
}

/* The big-endian number of `size` bytes. */
static bool take_number(struct scan *scan, unsigned size, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (left_of(scan) < size)
        return false;
    for (unsigned i = 0; i < size; i++)
        number = number << 8 | *scan->at++;
    *ret_number = number;
    return true;
}

/* ---- scalars */

static bool put_text(struct buffer *out, struct scan *scan, uint64_t len)
{
    if (len > left_of(scan))
        return false;
    struct span text = span_of(scan->at, (size_t)len);
    scan->at += len;
    if (!utf8_valid(text))
        return false;
    json_append_string(out, text);
    return true;
}

static bool put_sized_text(struct buffer *out, struct scan *scan, unsigned size)
{
    uint64_t len;
    return take_number(scan, size, &len) && put_text(out, scan, len);
}

static bool put_unsigned(struct buffer *out, struct scan *scan, unsigned size)
{
    uint64_t number;
    if (!take_number(scan, size, &number))
        return false;
    buffer_append_uint(out, number);
    return true;
}

static bool put_signed(struct buffer *out, struct scan *scan, unsigned size)
{
    uint64_t number;
    if (!take_number(scan, size, &number))
        return false;
    unsigned unused = 64 - 8 * size;
    buffer_printf(out, "%lld", (long long)((int64_t)(number << unused) >> unused));
    return true;
}

static bool put_float(struct buffer *out, struct scan *scan, unsigned size)
{
    uint64_t bits;
    double number;
    if (!take_number(scan, size, &bits))
        return false;
    if (size == sizeof(float)) {
        uint32_t narrow = (uint32_t)bits;
        float single;
        memcpy(&single, &narrow, sizeof(single));
        number = (double)single;
    } else {
        memcpy(&number, &bits, sizeof(number));
    }
    if (!isfinite(number))
        return false;
    size_t start = out->len;
    buffer_printf(out, "%.17g", number);
    struct span text = span_of(out->data + start, out->len - start);
    if (!buffer_error(out) && !memchr(text.data, '.', text.len) &&
        !memchr(text.data, 'e', text.len))
        buffer_append_string(out, ".0"); /* it stays what it was */
    return true;
}

static bool put_literal(struct buffer *out, const char *word)
{
    buffer_append_string(out, word);
    return true;
}

/* ---- containers */

static bool put_value(struct buffer *out, struct scan *scan, unsigned depth);

static bool put_name(struct buffer *out, struct scan *scan)
{
    if (scan->at == scan->end)
        return false;
    unsigned char marker = *scan->at++;
    if ((marker & 0xe0) == 0xa0)
        return put_text(out, scan, marker & 0x1f);
    return marker >= 0xd9 && marker <= 0xdb && put_sized_text(out, scan, 1u << (marker - 0xd9));
}

static bool put_container(
    struct buffer *out, struct scan *scan, bool map, uint64_t count, unsigned depth)
{
    if (depth == 0 || count > left_of(scan) / (map ? 2 : 1))
        return false;
    buffer_append_char(out, map ? '{' : '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            buffer_append_char(out, ',');
        if (map && !put_name(out, scan))
            return false;
        if (map)
            buffer_append_char(out, ':');
        if (!put_value(out, scan, depth - 1))
            return false;
    }
    buffer_append_char(out, map ? '}' : ']');
    return true;
}

static bool put_sized_container(
    struct buffer *out, struct scan *scan, unsigned char marker, unsigned depth)
{
    uint64_t count;
    bool map = marker >= 0xde;
    return take_number(scan, marker & 1 ? 4 : 2, &count) &&
           put_container(out, scan, map, count, depth);
}

/* Markers from 0xc0 to 0xdf, each as the specification numbers them. */
static bool put_marked(struct buffer *out, struct scan *scan, unsigned char marker, unsigned depth)
{
    switch (marker) {
    case 0xc0: return put_literal(out, "null");
    case 0xc2: return put_literal(out, "false");
    case 0xc3: return put_literal(out, "true");
    case 0xca: return put_float(out, scan, 4);
    case 0xcb: return put_float(out, scan, 8);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: return put_unsigned(out, scan, 1u << (marker - 0xcc));
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return put_signed(out, scan, 1u << (marker - 0xd0));
    case 0xd9:
    case 0xda:
    case 0xdb: return put_sized_text(out, scan, 1u << (marker - 0xd9));
    case 0xdc:
    case 0xdd:
    case 0xde:
    case 0xdf: return put_sized_container(out, scan, marker, depth);
    default: return false;
    }
}

static bool put_value(struct buffer *out, struct scan *scan, unsigned depth)
{
    if (scan->at == scan->end || buffer_error(out))
        return false;
    unsigned char marker = *scan->at++;
    if (marker < 0x80) {
        buffer_append_uint(out, marker);
        return true;
    }
    if (marker < 0xa0)
        return put_container(out, scan, marker < 0x90, marker & 0x0f, depth);
    if (marker < 0xc0)
        return put_text(out, scan, marker & 0x1f);
    if (marker < 0xe0)
        return put_marked(out, scan, marker, depth);
    buffer_printf(out, "%d", (int)marker - 256);
    return true;
}

int transcode_to_json(struct buffer *out, struct span msgpack)
{
    const unsigned char *at = (const unsigned char *)msgpack.data;
    struct scan scan = {at, at + msgpack.len};
    size_t start = out->len;
    bool map = msgpack.len && ((*at & 0xf0) == 0x80 || *at == 0xde || *at == 0xdf);
    bool whole = map && put_value(out, &scan, TRANSCODE_DEPTH_MAX);
    if (whole && scan.at == scan.end && !buffer_error(out))
        return 0;
    int rc = buffer_error(out) ? -ENOMEM : -EBADMSG;
    out->len = start;
    return rc;
}
