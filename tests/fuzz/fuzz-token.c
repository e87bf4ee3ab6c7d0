/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: none that was not signed with the key may ever be found valid. */
#include "fuzz.h"

#include "token/token.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct token_keys *keys;
    if (!keys) {
        struct token_secret secret = {.len = TOKEN_SECRET_MIN};
        memset(secret.bytes, 0x5a, sizeof(secret.bytes));
        FUZZ_CHECK(token_keys_new(&keys) == 0 && token_keys_add_secret(keys, &secret) == 0);
    }
    struct token_claims claims;
    const struct token_policy policy = {.issuer = "", .audience = ""};
    enum token_verdict verdict = token_verify(&claims, keys, &policy, span_of(data, size), 1000);
    FUZZ_CHECK(verdict != TOKEN_VALID && verdict < TOKEN_VERDICT_COUNT);
    return 0;
}
