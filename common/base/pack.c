/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pack.h"

#include <msgpack.h>

static int buffer_writer(void *data, const char *bytes, size_t len)
{
    buffer_append(data, bytes, len);
    return 0;
}

static msgpack_packer packer_of(struct buffer *out)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, buffer_writer);
    return packer;
}

void pack_array(struct buffer *out, uint32_t count)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_array(&packer, count);
}

void pack_uint(struct buffer *out, uint64_t number)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_uint64(&packer, number);
}

void pack_str(struct buffer *out, struct span text)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_str(&packer, text.len);
    msgpack_pack_str_body(&packer, text.data, text.len);
}

void pack_bin(struct buffer *out, struct span bytes)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_bin(&packer, bytes.len);
    msgpack_pack_bin_body(&packer, bytes.data, bytes.len);
}

struct pack_reader pack_reader_of(struct span bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    return (struct pack_reader){at, at + bytes.len};
}

/* The big-endian number of `size` bytes behind the marker; the reader stays where it is. */
static bool number_behind(const struct pack_reader *reader, size_t size, uint64_t *ret_number)
{
    if ((size_t)(reader->end - reader->at) < 1 + size)
        return false;
    uint64_t number = 0;
    for (size_t i = 1; i <= size; i++)
        number = number << 8 | reader->at[i];
    *ret_number = number;
    return true;
}

bool pack_read_array(struct pack_reader *reader, uint32_t *ret_count)
{
    if (reader->at == reader->end)
        return false;
    uint64_t count;
    if ((*reader->at & 0xf0) == 0x90) {
        *ret_count = *reader->at++ & 0x0f;
        return true;
    }
    if (*reader->at != 0xdc || !number_behind(reader, 2, &count))
        return false;
    reader->at += 3;
    *ret_count = (uint32_t)count;
    return true;
}

bool pack_read_uint(struct pack_reader *reader, uint64_t *ret_number)
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
    if (!number_behind(reader, size, ret_number))
        return false;
    reader->at += 1 + size;
    return true;
}

/* The `len` bytes that follow a header of `header` bytes. */
static bool take_bytes(struct pack_reader *reader, size_t header, uint64_t len, struct span *ret)
{
    if (len > (uint64_t)(reader->end - reader->at) - header)
        return false;
    *ret = span_of(reader->at + header, (size_t)len);
    reader->at += header + len;
    return true;
}

/* Markers `first`, first+1, first+2 carry lengths of 1, 2 and 4 bytes. */
static bool take_sized(struct pack_reader *reader, unsigned char first, struct span *ret)
{
    if (reader->at == reader->end || *reader->at < first || *reader->at > first + 2)
        return false;
    size_t size = (size_t)1 << (*reader->at - first);
    uint64_t len;
    return number_behind(reader, size, &len) && take_bytes(reader, 1 + size, len, ret);
}

bool pack_read_str(struct pack_reader *reader, struct span *ret_text)
{
    if (reader->at < reader->end && (*reader->at & 0xe0) == 0xa0)
        return take_bytes(reader, 1, *reader->at & 0x1f, ret_text);
    return take_sized(reader, 0xd9, ret_text);
}

bool pack_read_bin(struct pack_reader *reader, struct span *ret_bytes)
{
    return take_sized(reader, 0xc4, ret_bytes);
}
