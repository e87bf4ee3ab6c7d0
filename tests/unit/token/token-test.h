/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "token/base64url.h"
#include "token/token.h"
#include "unit.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

/* Tokens as anybody could forge them: any header, any claims, signed with any key. */
#define NOW 1800000000u
#define GOOD "\"sub\":\"alice\",\"exp\":1800000600"
#define TEST_SECRET "0123456789abcdef0123456789abcdef"

size_t public_pem(EVP_PKEY *key, char *pem, size_t size);
/* Header and claims (the members of the object); the caller appends a signature. */
struct buffer unsigned_token(const char *header, const char *claims);
void append_public_signature(struct buffer *token, EVP_PKEY *key);
void append_mac(struct buffer *token, struct span key);
