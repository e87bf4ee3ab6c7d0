/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * Looking at a block of bytes at once: sixteen where the processor has SSE2, as each x86-64 has,
 * and otherwise the eight of a word. A test gives a block that marks the bytes that pass; marks are
 * put together with `|`. Whether any byte is marked is exact, and so is which is the first; in the
 * words a mark above the first may be there because of a borrow from below.
 */
#if defined(__SSE2__) && !defined(BLOCK_OF_WORDS)

#include <emmintrin.h>

#define BLOCK_SIZE 16

typedef __m128i block;

static inline block block_load(const void *at)
{
    return _mm_loadu_si128(at);
}

/* Bytes below `bound`, and all that are not ASCII. */
static inline block block_outside(block bytes, char bound)
{
    return _mm_cmplt_epi8(bytes, _mm_set1_epi8(bound)); /* compared as signed */
}

static inline block block_equal(block bytes, char byte)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte));
}

static inline bool block_any(block marks)
{
    return _mm_movemask_epi8(marks) != 0;
}

/* Where the first marked byte is; BLOCK_SIZE when none is. */
static inline size_t block_first(block marks)
{
    return (size_t)__builtin_ctz((unsigned)_mm_movemask_epi8(marks) | 1u << BLOCK_SIZE);
}

#else

#include <endian.h>

#define BLOCK_SIZE 8
#define BLOCK_EACH(byte) (UINT64_C(0x0101010101010101) * (unsigned char)(byte))
#define BLOCK_HIGH_BITS BLOCK_EACH(0x80)

typedef uint64_t block;

static inline block block_load(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return le64toh(word); /* the first byte lowest */
}

/* Bytes below `bound`, and all that are not ASCII. */
static inline block block_outside(block bytes, char bound)
{
    return ((bytes - BLOCK_EACH(bound)) | bytes) & BLOCK_HIGH_BITS;
}

static inline block block_equal(block bytes, char byte)
{
    uint64_t other = bytes ^ BLOCK_EACH(byte);
    return (other - BLOCK_EACH(1)) & ~other & BLOCK_HIGH_BITS;
}

static inline bool block_any(block marks)
{
    return marks != 0;
}

/* Where the first marked byte is; BLOCK_SIZE when none is. */
static inline size_t block_first(block marks)
{
    return marks ? (size_t)__builtin_ctzll(marks) / 8 : BLOCK_SIZE;
}

#endif

/* Fewer bytes than a block has, and `filler` behind them. */
static inline block block_load_part(const void *at, size_t len, char filler)
{
    char bytes[BLOCK_SIZE];
    memset(bytes, filler, sizeof(bytes));
    if (len)
        memcpy(bytes, at, len);
    return block_load(bytes);
}
