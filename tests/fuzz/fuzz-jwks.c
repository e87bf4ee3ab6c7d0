/* SPDX-License-Identifier: Apache-2.0 */
/* Key sets: whatever is taken in is a key that can be used, and whatever is refused says why. */
#include "fuzz.h"

#include "token/keys.h"

static void check_key(const struct token_key *key)
{
    enum token_algorithm algorithm = TOKEN_ALGORITHMS;
    FUZZ_CHECK(!key->kid[0] || identifier_valid(span_of_string(key->kid)));
    if (key->algorithm == TOKEN_HS256)
        FUZZ_CHECK(key->mac != NULL && key->pkey == NULL);
    else
        FUZZ_CHECK(token_algorithm_of(key->pkey, &algorithm) == 0 && algorithm == key->algorithm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_keys *keys = NULL;
    struct token_jwks_report report;
    FUZZ_CHECK(token_keys_new(&keys) == 0);
    int rc = token_keys_add_jwks(keys, span_of(data, size), &report);
    FUZZ_CHECK(rc == 0 ? keys->count > 0 && keys->count == report.taken : report.problem[0]);
    for (size_t i = 0; i < keys->count; i++)
        check_key(&keys->keys[i]);
    token_keys_free(keys);
    return 0;
}
