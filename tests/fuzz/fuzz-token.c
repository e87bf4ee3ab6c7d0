/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: none that was not signed with a key may ever be found valid. Keys of every kind. */
#include "fuzz.h"

#include "token/token.h"

#include <string.h>

/* Public halves of keys that nobody has the other halves of any more. */
static const char set[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"7F1tt8He6Z-gHiky78jQYWWTsqM2"
    "JFr4237mWRTXVyJcxMUrWVHCbkn9gqtRZWiUfSJnd5xCbmt9oub3ErYoPzLgbUSZClwQsTI_qIVyq1"
    "pAorL7c7xyO-8AVJqBGncJbSaPuvrKSKxdJNn3_aMqigS4QPQ0Ao03pqtdDRalTyNHg-U6mzPBuufj"
    "iWPUrBpxIGOOzY-Vch4zSltyYscnoSgf5zIhn3CZCGYg-C1u59HoEs1EjGdStayyUTaRGMCcpT_0Ux"
    "2fU16YDaf-oXm7M2LGnam6DmLCcVPsht1_DFnytt8MMAeN-exsJjYTqHE12dAZyKNrB-Ikr1o14pJk"
    "6Q\",\"e\":\"AQAB\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"5"
    "FsSQl35EQWcxrPAVwAyRsz0SqeV7QYjOBI5ONLthrE\",\"y\":\"aTkQ7-W10UTff18QH7ynwyMzG"
    "tQ8p08FTqC_1zO5V9E\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"d\",\"x\""
    ":\"kl5MUqR6SZkVWWkMzodtltDUGLFgkX29PTuGn_HfDK8\"}]}";

static struct token_keys *make_keys(void)
{
    struct token_keys *keys = NULL;
    struct token_jwks_report report;
    struct token_secret secret = {.len = TOKEN_SECRET_MIN};
    memset(secret.bytes, 0x5a, sizeof(secret.bytes));
    FUZZ_CHECK(token_keys_new(&keys) == 0 && token_keys_add_secret(keys, &secret) == 0);
    FUZZ_CHECK(token_keys_add_jwks(keys, span_of_string(set), &report) == 0 && report.taken == 3);
    return keys;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct token_keys *keys;
    if (!keys)
        keys = make_keys();
    struct token_claims claims;
    const struct token_policy policy = {.issuer = "", .audience = ""};
    enum token_verdict verdict = token_verify(&claims, keys, &policy, span_of(data, size), 1000);
    FUZZ_CHECK(verdict != TOKEN_VALID && verdict < TOKEN_VERDICT_COUNT);
    return 0;
}
