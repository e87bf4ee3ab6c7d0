/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <endian.h>

/*
 * Flat MessagePack: arrays whose elements are unsigned integers, strings and binaries, which is
 * all that travels between our processes. msgpack-c writes them. Reading is done in place, since
 * the general decoder allocates what a hostile count asks for before it sees that the bytes are
 * missing; this reader allocates nothing and refuses everything that is not flat.
 */
void pack_array(struct buffer *out, uint32_t count);
void pack_uint(struct buffer *out, uint64_t number);
void pack_str(struct buffer *out, struct span text);
void pack_bin(struct buffer *out, struct span bytes);

/* A place in the bytes being read. Each read returns false, and moves nowhere, on any mismatch. */
struct pack_reader {
    const unsigned char *at;
    const unsigned char *end;
};

/* Here, so that a decoder is a few compares a field. Spans point into the bytes read. */
static inline struct pack_reader pack_reader_of(struct span bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    return (struct pack_reader){at, at + bytes.len};
}

/* The big-endian number of 1, 2, 4 or 8 bytes behind the marker; the reader stays where it is. */
static inline bool pack_number_behind(
    const struct pack_reader *reader, size_t size, uint64_t *ret_number)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    if ((size_t)(reader->end - reader->at) < 1 + size)
        return false;
    switch (size) {
    case 1: *ret_number = reader->at[1]; return true;
    case 2:
        memcpy(&two, reader->at + 1, sizeof(two));
        *ret_number = be16toh(two);
        return true;
    case 4:
        memcpy(&four, reader->at + 1, sizeof(four));
        *ret_number = be32toh(four);
        return true;
    default:
        memcpy(&eight, reader->at + 1, sizeof(eight));
        *ret_number = be64toh(eight);
        return true;
    }
}

static inline bool pack_read_array(struct pack_reader *reader, uint32_t *ret_count)
{
    if (reader->at == reader->end)
        return false;
    uint64_t count;
    if ((*reader->at & 0xf0) == 0x90) {
        *ret_count = *reader->at++ & 0x0f;
        return true;
    }
    if (*reader->at != 0xdc || !pack_number_behind(reader, 2, &count))
        return false;
    reader->at += 3;
    *ret_count = (uint32_t)count;
    return true;
}

static inline bool pack_read_uint(struct pack_reader *reader, uint64_t *ret_number)
{
    if (reader->at == reader->end)
        return false;
    if (*reader->at < 0x80) {
        *ret_number = *reader->at++;
        return true;
    }
    if (*reader->at < 0xcc || *reader->at > 0xcf)
        return false;
    size_t size = (size_t)1 << (*reader->at - 0xcc);
    if (!pack_number_behind(reader, size, ret_number))
        return false;
    reader->at += 1 + size;
    return true;
}

/* The `len` bytes that follow a header of `header` bytes. */
static inline bool pack_take_bytes(
    struct pack_reader *reader, size_t header, uint64_t len, struct span *ret)
{
    if (len > (uint64_t)(reader->end - reader->at) - header)
        return false;
    *ret = span_of(reader->at + header, (size_t)len);
    reader->at += header + len;
    return true;
}

/* Markers `first`, first+1, first+2 carry lengths of 1, 2 and 4 bytes. */
static inline bool pack_take_sized(
    struct pack_reader *reader, unsigned char first, struct span *ret)
{
    if (reader->at == reader->end || *reader->at < first || *reader->at > first + 2)
        return false;
    size_t size = (size_t)1 << (*reader->at - first);
    uint64_t len;
    return pack_number_behind(reader, size, &len) && pack_take_bytes(reader, 1 + size, len, ret);
}

static inline bool pack_read_str(struct pack_reader *reader, struct span *ret_text)
{
    if (reader->at < reader->end && (*reader->at & 0xe0) == 0xa0)
        return pack_take_bytes(reader, 1, *reader->at & 0x1f, ret_text);
    return pack_take_sized(reader, 0xd9, ret_text);
}

static inline bool pack_read_bin(struct pack_reader *reader, struct span *ret_bytes)
{
    return pack_take_sized(reader, 0xc4, ret_bytes);
}
