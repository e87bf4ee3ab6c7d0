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
