/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

/*
 * Looking at eight bytes at a time. A test of a word gives the high bit of each byte that passes,
 * the first byte in memory lowest; the lowest bit set is exact, those above it may be there because
 * of a borrow from below. So ask whether any passes, or which is the first.
 */
#define WORD_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define WORD_HIGH_BITS WORD_EACH(0x80)

/* The eight bytes from `at` on. */
static inline uint64_t word_load(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

/* Bytes below `bound`, which is at most 0x80. */
static inline uint64_t word_below(uint64_t word, unsigned char bound)
{
    return (word - WORD_EACH(bound)) & ~word & WORD_HIGH_BITS;
}

static inline uint64_t word_equal(uint64_t word, unsigned char byte)
{
    return word_below(word ^ WORD_EACH(byte), 1);
}

/* Bytes of 0x80 and above: not ASCII. */
static inline uint64_t word_high(uint64_t word)
{
    return word & WORD_HIGH_BITS;
}

/* Where the first byte is that passed a test; `passed` is not 0. */
static inline size_t word_first(uint64_t passed)
{
    return (size_t)__builtin_ctzll(passed) / 8;
}
