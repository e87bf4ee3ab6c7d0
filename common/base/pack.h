/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

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

struct pack_reader pack_reader_of(struct span bytes);
bool pack_read_array(struct pack_reader *reader, uint32_t *ret_count);
bool pack_read_uint(struct pack_reader *reader, uint64_t *ret_number);
/* The span points into the bytes read. */
bool pack_read_str(struct pack_reader *reader, struct span *ret_text);
bool pack_read_bin(struct pack_reader *reader, struct span *ret_bytes);
