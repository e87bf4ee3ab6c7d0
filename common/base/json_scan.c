/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_scan.h"

#include "base/block.h"

struct scan {
    const unsigned char *at;
    const unsigned char *end;
};

static inline block not_plain(block bytes)
{
    return block_outside(bytes, 0x20) | block_equal(bytes, '"') | block_equal(bytes, '\\');
}

/* Texts are mostly plain, and this is where a payload's scan takes its time. */
static size_t plain_bytes(const unsigned char *at, const unsigned char *end)
{
    const unsigned char *start = at;
    for (; end - at >= BLOCK_SIZE; at += BLOCK_SIZE) {
        size_t plain = block_first(not_plain(block_load(at)));
        if (plain < BLOCK_SIZE)
            return (size_t)(at - start) + plain;
    }
    block rest = block_load_part(at, (size_t)(end - at), '"');
    return (size_t)(at - start) + block_first(not_plain(rest));
}

size_t json_plain_length(struct span text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    return plain_bytes(at, at + text.len);
}

/* Bytes of the UTF-8 sequence at `at`, or 0 when it is malformed. */
static size_t utf8_sequence(const unsigned char *at, const unsigned char *end)
{
    size_t left = (size_t)(end - at);
    unsigned char lead = at[0];
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead < 0xe0)
        return left >= 2 && (at[1] & 0xc0) == 0x80 ? 2 : 0;
    if (lead >= 0xe0 && lead < 0xf0) {
        if (left < 3 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80)
            return 0;
        bool overlong = lead == 0xe0 && at[1] < 0xa0;
        bool surrogate = lead == 0xed && at[1] >= 0xa0;
        return overlong || surrogate ? 0 : 3;
    }
    if (lead < 0xf0 || lead > 0xf4 || left < 4)
        return 0;
    if ((at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80 || (at[3] & 0xc0) != 0x80)
        return 0;
    bool overlong = lead == 0xf0 && at[1] < 0x90;
    bool beyond = lead == 0xf4 && at[1] >= 0x90;
    return overlong || beyond ? 0 : 4;
}

/* Even of nothing: no offset may be added to a null pointer. */
static const unsigned char *bytes_of(struct span text)
{
    return (const unsigned char *)(text.data ? text.data : "");
}

bool utf8_valid(struct span text)
{
    const unsigned char *at = bytes_of(text);
    const unsigned char *end = at + text.len;
    for (;;) {
        at += plain_bytes(at, end);
        if (at == end)
            return true;
        size_t step = utf8_sequence(at, end);
        if (step == 0)
            return false;
        at += step;
    }
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

static bool take(struct scan *scan, unsigned char byte)
{
    if (scan->at == scan->end || *scan->at != byte)
        return false;
    scan->at++;
    return true;
}

static bool take_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return false;
    scan->at += len;
    return true;
}

static bool take_digits(struct scan *scan)
{
    const unsigned char *start = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > start;
}

static bool take_number(struct scan *scan)
{
    take(scan, '-');
    if (!take(scan, '0') && !take_digits(scan))
        return false;
    if (take(scan, '.') && !take_digits(scan))
        return false;
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            take(scan, '-');
        return take_digits(scan);
    }
    return true;
}

/* The four digits behind "\u", or -1. */
static int take_hex4(struct scan *scan)
{
    int code = 0;
    if (scan->end - scan->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char byte = *scan->at++;
        int digit = byte >= '0' && byte <= '9'                     ? byte - '0'
                    : (byte | 0x20) >= 'a' && (byte | 0x20) <= 'f' ? (byte | 0x20) - 'a' + 10
                                                                   : -1;
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* Surrogates must come as a pair, or a client's strict parser would refuse the whole frame. */
static bool take_unicode_escape(struct scan *scan)
{
    int code = take_hex4(scan);
    if (code < 0 || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    if (code < 0xd800 || code > 0xdbff)
        return true;
    if (!take(scan, '\\') || !take(scan, 'u'))
        return false;
    int low = take_hex4(scan);
    return low >= 0xdc00 && low <= 0xdfff;
}

static bool take_escape(struct scan *scan)
{
    if (scan->at == scan->end)
        return false;
    switch (*scan->at++) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return true;
    case 'u': return take_unicode_escape(scan);
    default: return false;
    }
}

static bool take_string(struct scan *scan)
{
    if (!take(scan, '"'))
        return false;
    for (;;) {
        scan->at += plain_bytes(scan->at, scan->end);
        if (scan->at == scan->end)
            return false;
        unsigned char byte = *scan->at;
        if (byte == '"') {
            scan->at++;
            return true;
        }
        if (byte < 0x20)
            return false;
        if (byte == '\\') {
            scan->at++;
            if (!take_escape(scan))
                return false;
            continue;
        }
        size_t step = utf8_sequence(scan->at, scan->end);
        if (step == 0)
            return false;
        scan->at += step;
    }
}

static bool take_scalar(struct scan *scan)
{
    if (scan->at == scan->end)
        return false;
    switch (*scan->at) {
    case '"': return take_string(scan);
    case 't': return take_word(scan, "true");
    case 'f': return take_word(scan, "false");
    case 'n': return take_word(scan, "null");
    default: return take_number(scan);
    }
}

/* `"name" :` of an object's member. */
static bool take_name(struct scan *scan)
{
    skip_space(scan);
    if (!take_string(scan))
        return false;
    skip_space(scan);
    return take(scan, ':');
}

/*
 * One bit of `objects` an open container, the innermost lowest: depth is bounded, so the stack is
 * a word. Opens containers until a scalar or an empty container has been taken.
 */
static bool take_open(struct scan *scan, uint64_t *objects, unsigned *depth, bool *ret_closed)
{
    for (;;) {
        skip_space(scan);
        bool object = scan->at < scan->end && *scan->at == '{';
        if (!object && !(scan->at < scan->end && *scan->at == '[')) {
            *ret_closed = false;
            return take_scalar(scan);
        }
        if (++*depth > JSON_DEPTH_MAX)
            return false;
        *objects = *objects << 1 | object;
        scan->at++;
        skip_space(scan);
        if (scan->at < scan->end && *scan->at == (object ? '}' : ']')) {
            *ret_closed = true;
            return true;
        }
        if (object && !take_name(scan))
            return false;
    }
}

static bool take_value(struct scan *scan)
{
    uint64_t objects = 0;
    unsigned depth = 0;
    for (;;) {
        bool empty;
        if (!take_open(scan, &objects, &depth, &empty))
            return false;
        for (;;) {
            if (depth == 0)
                return true;
            skip_space(scan);
            bool object = objects & 1;
            if (!empty && take(scan, ',')) {
                if (object && !take_name(scan))
                    return false;
                break;
            }
            if (!take(scan, object ? '}' : ']'))
                return false;
            empty = false;
            objects >>= 1;
            depth--;
        }
    }
}

bool json_scan_valid(struct span text)
{
    struct scan scan = {bytes_of(text), bytes_of(text) + text.len};
    if (!take_value(&scan))
        return false;
    skip_space(&scan);
    return scan.at == scan.end;
}

bool json_scan_valid_object(struct span text)
{
    struct scan scan = {bytes_of(text), bytes_of(text) + text.len};
    skip_space(&scan);
    return scan.at < scan.end && *scan.at == '{' && json_scan_valid(text);
}
