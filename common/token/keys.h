/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "token/token.h"

#include <openssl/evp.h>

#define TOKEN_KEYS_MAX 8

enum token_algorithm {
    TOKEN_HS256,
    TOKEN_RS256,
    TOKEN_ES256,
    TOKEN_ALGORITHMS,
};

struct token_key {
    enum token_algorithm algorithm;
    struct token_secret secret; /* TOKEN_HS256 */
    EVP_PKEY *pkey;             /* the others */
};

struct token_keys {
    struct token_key keys[TOKEN_KEYS_MAX];
    size_t count;
};

#define TOKEN_MAC_SIZE 32

/* HMAC-SHA-256. -EIO when the library fails. */
int token_mac(
    unsigned char ret_mac[TOKEN_MAC_SIZE], const struct token_secret *secret, struct span message);
