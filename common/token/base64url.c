/* SPDX-License-Identifier: Apache-2.0 */
#include "token/base64url.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_append(struct buffer *out, struct span bytes)
{
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.data[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            buffer_append_char(out, alphabet[bits >> held & 63]);
        }
    }
    if (held)
        buffer_append_char(out, alphabet[bits << (6 - held) & 63]);
}

static int digit_of(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    if (byte == '-')
        return 62;
    return byte == '_' ? 63 : -1;
}

int base64url_decode(struct buffer *out, struct span text)
{
    uint32_t bits = 0;
    unsigned held = 0;
    if (text.len % 4 == 1)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            buffer_append_char(out, (char)(bits >> held & 255));
        }
    }
    if (bits & ((1u << held) - 1))
        return -EINVAL;
    return buffer_error(out);
}
