/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"

#define TOKENS_WHY_SIZE 768

/* The path of the key that the node's gateways check tokens with. -ENAMETOOLONG. */
int tokens_key_path(char *ret_path, size_t size, const struct config *config);
struct tokens_wanted {
    const char *user;
    uint64_t lifetime;  /* seconds */
    bool admin;         /* with the claim of gateway.token_admin_claim */
    const char *claims; /* further claims, a JSON object; NULL: none */
};

/*
 * Appends a token, good from now on, with the issuer and audience that the configuration asks for.
 * Makes the node's key when it is missing. On an error, `ret_why` is a sentence for people.
 */
int tokens_make(struct buffer *out, const struct config *config, const struct tokens_wanted *wanted,
    char ret_why[TOKENS_WHY_SIZE]);
