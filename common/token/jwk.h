/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "token/keys.h"

#include <jansson.h>

/* What one key of a set is to us. */
enum jwk_verdict {
    JWK_TAKEN,
    JWK_PASSED_OVER, /* for another use, algorithm or curve, or of a kind we do not know */
    JWK_REFUSED,     /* for us, and cannot be used */
};

/*
 * Reads one JWK (RFC 7517, 7518, 8037). `ret_key` is written when it is taken, and its pkey is the
 * caller's then; `ret_why` (static) when it is refused.
 */
enum jwk_verdict jwk_read(struct token_key *ret_key, const json_t *jwk, const char **ret_why);
