/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "token/token.h"

#include <openssl/evp.h>

#define TOKEN_KEYS_MAX 64
#define TOKEN_RSA_BITS_MIN 2048
#define TOKEN_RSA_BITS_MAX 8192

enum token_algorithm {
    TOKEN_HS256,
    TOKEN_RS256,
    TOKEN_ES256,
    TOKEN_EDDSA,
    TOKEN_ALGORITHMS,
};

struct token_key {
    enum token_algorithm algorithm;
    char kid[IDENTIFIER_SIZE]; /* empty: none */
    EVP_MAC_CTX *mac;          /* TOKEN_HS256: keyed with the secret */
    EVP_PKEY *pkey;            /* the others */
};

struct token_keys {
    struct token_key keys[TOKEN_KEYS_MAX];
    size_t count;
    bool named; /* at least one has a kid */
};

/* "HS256", … as `alg` says it. Static. */
const char *token_algorithm_name(enum token_algorithm algorithm);
/* Which algorithm a public key is for. -EINVAL when it is for none of ours, or too weak. */
int token_algorithm_of(EVP_PKEY *pkey, enum token_algorithm *ret_algorithm);
/* Appends a file of at most `max` bytes; -EINVAL when it is longer, -errno. */
int token_read_file(struct buffer *out, int fd, size_t max);

#define TOKEN_MAC_SIZE 32

/*
 * HMAC-SHA-256, keyed once for many messages: to find the algorithm and to hash the key costs more
 * than a token's text. -EIO when the library fails.
 */
int token_mac_new(EVP_MAC_CTX **ret_mac, const struct token_secret *secret);
int token_mac(unsigned char ret_code[TOKEN_MAC_SIZE], EVP_MAC_CTX *mac, struct span message);
/* What the key has; NULL is fine. */
void token_key_deinit(struct token_key *key);
