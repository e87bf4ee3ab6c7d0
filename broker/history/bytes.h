/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Little-endian integers at any address: everything this store writes about itself is made of
 * these. */
static inline void put_u16(char *at, uint16_t number)
{
    number = htole16(number);
    memcpy(at, &number, sizeof(number));
}

static inline void put_u32(char *at, uint32_t number)
{
    number = htole32(number);
    memcpy(at, &number, sizeof(number));
}

static inline void put_u64(char *at, uint64_t number)
{
    number = htole64(number);
    memcpy(at, &number, sizeof(number));
}

static inline uint16_t get_u16(const char *at)
{
    uint16_t number;
    memcpy(&number, at, sizeof(number));
    return le16toh(number);
}

static inline uint32_t get_u32(const char *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof(number));
    return le32toh(number);
}

static inline uint64_t get_u64(const char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof(number));
    return le64toh(number);
}
