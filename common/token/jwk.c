/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key set comes from an identity provider, which has keys for more than our tokens in it. So
 * what a key says of itself is asked first (kind, use, key_ops, alg, curve), and whatever is for
 * something else is passed over. Only then are its numbers read, and a key that was meant for us
 * and is broken, too weak or private is an error: passing it over would lock out whoever has
 * tokens of it, without a word.
 */
#include "token/jwk.h"

#include "base/cleanup.h"
#include "token/base64url.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>

#define COORDINATE_SIZE 32
#define POINT_SIZE (1 + 2 * COORDINATE_SIZE)
#define POINT_UNCOMPRESSED 4
#define EXPONENT_SIZE_MAX 8
#define EXPONENT_MIN 3

/* ---- what a key says of itself */

static const struct kind {
    const char *kty;
    const char *crv; /* NULL: the kind has none */
    enum token_algorithm algorithm;
} kinds[] = {
    {"RSA", NULL, TOKEN_RS256},
    {"EC", "P-256", TOKEN_ES256},
    {"OKP", "Ed25519", TOKEN_EDDSA},
    {"oct", NULL, TOKEN_HS256},
};

static const char *text_of(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name));
}

/* A member that is absent says nothing; one that is no text says something we cannot grant. */
static bool says(const json_t *jwk, const char *name, const char *wanted)
{
    const char *text = text_of(jwk, name);
    return !json_object_get(jwk, name) || (text && strcmp(text, wanted) == 0);
}

static bool may_verify(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops");
    size_t i;
    json_t *operation;
    if (!operations)
        return true;
    json_array_foreach(operations, i, operation)
    {
        const char *text = json_string_value(operation);
        if (text && strcmp(text, "verify") == 0)
            return true;
    }
    return false;
}

static const struct kind *kind_of(const json_t *jwk)
{
    const char *kty = text_of(jwk, "kty");
    const char *crv = text_of(jwk, "crv");
    for (size_t i = 0; kty && i < ARRAY_SIZE(kinds); i++) {
        const struct kind *kind = &kinds[i];
        if (strcmp(kty, kind->kty) == 0 && (!kind->crv || (crv && strcmp(crv, kind->crv) == 0)))
            return kind;
    }
    return NULL;
}

static bool is_for_us(const json_t *jwk, const struct kind *kind)
{
    return says(jwk, "use", "sig") && may_verify(jwk) &&
           says(jwk, "alg", token_algorithm_name(kind->algorithm));
}

/* ---- numbers */

static bool decode(struct buffer *out, const json_t *jwk, const char *name)
{
    const char *text = text_of(jwk, name);
    return text && *text && base64url_decode(out, span_of_string(text)) == 0;
}

static EVP_PKEY *make_key(const char *kind, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    EVP_PKEY *pkey = NULL;
    if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return pkey;
}

static EVP_PKEY *make_rsa(const BIGNUM *modulus, const BIGNUM *exponent)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        pkey = make_key("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *read_rsa(const json_t *jwk, const char **ret_why)
{
    _cleanup_(buffer_deinit) struct buffer n = BUFFER_INIT;
    _cleanup_(buffer_deinit) struct buffer e = BUFFER_INIT;
    *ret_why = "an RSA key needs n and e, in base64url";
    if (!decode(&n, jwk, "n") || !decode(&e, jwk, "e"))
        return NULL;
    *ret_why = "an RSA key has 2048 to 8192 bits, and an odd exponent from 3 on of 8 bytes at most";
    if (n.len > TOKEN_RSA_BITS_MAX / 8 + 1 || e.len > EXPONENT_SIZE_MAX)
        return NULL;
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.data, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.data, (int)e.len, NULL);
    EVP_PKEY *pkey = NULL;
    if (modulus && exponent && BN_num_bits(modulus) >= TOKEN_RSA_BITS_MIN &&
        BN_num_bits(modulus) <= TOKEN_RSA_BITS_MAX && BN_is_odd(modulus) && BN_is_odd(exponent) &&
        BN_get_word(exponent) >= EXPONENT_MIN)
        pkey = make_rsa(modulus, exponent);
    BN_free(modulus);
    BN_free(exponent);
    return pkey;
}

static EVP_PKEY *read_ec(const json_t *jwk, const char **ret_why)
{
    _cleanup_(buffer_deinit) struct buffer point = BUFFER_INIT;
    *ret_why = "a P-256 key needs x and y, 32 bytes each in base64url, of a point on the curve";
    buffer_append_char(&point, POINT_UNCOMPRESSED);
    if (!decode(&point, jwk, "x") || point.len != 1 + COORDINATE_SIZE ||
        !decode(&point, jwk, "y") || point.len != POINT_SIZE)
        return NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
            1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) ==
            1)
        pkey = make_key("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *read_ed25519(const json_t *jwk, const char **ret_why)
{
    _cleanup_(buffer_deinit) struct buffer x = BUFFER_INIT;
    *ret_why = "an Ed25519 key needs x, 32 bytes in base64url";
    if (!decode(&x, jwk, "x") || x.len != COORDINATE_SIZE)
        return NULL;
    return EVP_PKEY_new_raw_public_key(
        EVP_PKEY_ED25519, NULL, (const unsigned char *)x.data, x.len);
}

static bool read_secret(struct token_key *key, const json_t *jwk, const char **ret_why)
{
    _cleanup_(buffer_deinit) struct buffer bytes = BUFFER_INIT;
    struct token_secret secret;
    *ret_why = "a secret needs k, 32 to 512 bytes in base64url";
    bool fits =
        decode(&bytes, jwk, "k") && bytes.len >= TOKEN_SECRET_MIN && bytes.len <= TOKEN_SECRET_MAX;
    if (fits) {
        memcpy(secret.bytes, bytes.data, bytes.len);
        secret.len = bytes.len;
        fits = token_mac_new(&key->mac, &secret) == 0;
        OPENSSL_cleanse(&secret, sizeof(secret));
    }
    OPENSSL_cleanse(bytes.data, bytes.len);
    return fits;
}

/* ---- a key */

static bool read_name(char ret_kid[IDENTIFIER_SIZE], const json_t *jwk)
{
    const json_t *kid = json_object_get(jwk, "kid");
    struct span name = span_of(json_string_value(kid), json_string_length(kid));
    ret_kid[0] = '\0';
    if (!kid)
        return true;
    if (!identifier_valid(name))
        return false;
    memcpy(ret_kid, name.data, name.len);
    ret_kid[name.len] = '\0';
    return true;
}

static bool read_numbers(struct token_key *key, const json_t *jwk, const char **ret_why)
{
    if (key->algorithm == TOKEN_HS256)
        return read_secret(key, jwk, ret_why);
    if (json_object_get(jwk, "d")) {
        *ret_why = "it is a private key; only its public half belongs here";
        return false;
    }
    switch (key->algorithm) {
    case TOKEN_RS256: key->pkey = read_rsa(jwk, ret_why); break;
    case TOKEN_ES256: key->pkey = read_ec(jwk, ret_why); break;
    default: key->pkey = read_ed25519(jwk, ret_why);
    }
    return key->pkey != NULL;
}

enum jwk_verdict jwk_read(struct token_key *ret_key, const json_t *jwk, const char **ret_why)
{
    *ret_why = "it is not an object";
    if (!json_is_object(jwk))
        return JWK_REFUSED;
    const struct kind *kind = kind_of(jwk);
    if (!kind || !is_for_us(jwk, kind))
        return JWK_PASSED_OVER;
    struct token_key key = {.algorithm = kind->algorithm};
    *ret_why = "its kid is not 1 to 127 printable ASCII characters without space, \" and \\";
    bool good = read_name(key.kid, jwk) && read_numbers(&key, jwk, ret_why);
    if (good)
        *ret_key = key;
    return good ? JWK_TAKEN : JWK_REFUSED;
}
