/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include <errno.h>

/* The header's length, or 0 while it is not all there. */
static size_t measure(const unsigned char *at, size_t len, uint64_t *ret_payload)
{
    unsigned wide;
    if (len < 2)
        return 0;
    *ret_payload = at[1] & 0x7f;
    wide = *ret_payload == 126 ? 2 : *ret_payload == 127 ? 8 : 0;
    if (len < 2 + wide)
        return 0;
    if (wide)
        *ret_payload = 0;
    for (unsigned i = 0; i < wide; i++)
        *ret_payload = *ret_payload << 8 | at[2 + i];
    return 2 + wide;
}

int frames_next(struct ws_frame *ret_frame, struct span bytes, size_t *at)
{
    const unsigned char *begin = (const unsigned char *)bytes.data + *at;
    uint64_t payload;
    size_t left = bytes.len - *at, header = measure(begin, left, &payload);
    if (header == 0)
        return 0;
    if ((begin[0] & 0xf0) != 0x80 || begin[1] & 0x80)
        return -EPROTO;
    if (left - header < payload)
        return 0;
    ret_frame->kind = begin[0] & 0xf;
    ret_frame->payload = span_of(begin + header, payload);
    *at += header + payload;
    return 1;
}

void frames_append(struct buffer *out, enum frame_kind kind, struct span payload)
{
    size_t len = payload.len;
    buffer_append_char(out, (char)(0x80 | kind));
    if (len < 126) {
        buffer_append_char(out, (char)(0x80 | len));
    } else {
        buffer_append_char(out, (char)(0x80 | 126));
        buffer_append_char(out, (char)(len >> 8));
        buffer_append_char(out, (char)len);
    }
    buffer_append(out, "\0\0\0\0", 4);
    buffer_append_span(out, payload);
}
