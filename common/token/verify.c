/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order matters: size, form, algorithm, key, signature, and only then what the claims say.
 * Nothing of the claims is looked at before a key has vouched for them, so that an attacker learns
 * nothing from the answers and reaches no more code than base64 and one JSON header.
 */
#include "token/base64url.h"
#include "token/keys.h"

#include "base/cleanup.h"

#include <errno.h>
#include <math.h>

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>

#define ES256_HALF 32
#define ADMIN_CLAIM_NAME_MAX 128

static const struct {
    const char *code;
    const char *text;
} verdicts[TOKEN_VERDICT_COUNT] = {
    [TOKEN_VALID] = {"", "the token is valid"},
    [TOKEN_TOO_LARGE] = {"unauthenticated", "the token is too long"},
    [TOKEN_MALFORMED] = {"unauthenticated", "the token is not a JWT"},
    [TOKEN_ALGORITHM] = {"unauthenticated", "the token's algorithm is not accepted here"},
    [TOKEN_UNKNOWN_KEY] = {"unauthenticated", "the token's key (kid) is not known here"},
    [TOKEN_SIGNATURE] = {"unauthenticated", "the token's signature is wrong"},
    [TOKEN_NO_EXPIRY] = {"unauthenticated", "the token has no exp"},
    [TOKEN_EXPIRED] = {"token_expired", "the token has expired"},
    [TOKEN_NOT_YET] = {"unauthenticated", "the token is not valid yet (nbf)"},
    [TOKEN_ISSUER] = {"unauthenticated", "the token's iss is not accepted here"},
    [TOKEN_AUDIENCE] = {"unauthenticated", "the token's aud is not this service"},
    [TOKEN_SUBJECT] = {"unauthenticated", "the token's sub is missing or no valid user"},
};

const char *token_verdict_code(enum token_verdict verdict)
{
    return verdicts[verdict].code;
}

const char *token_verdict_text(enum token_verdict verdict)
{
    return verdicts[verdict].text;
}

/* The three parts, still in base64url; `signed_text` is what the signature covers. */
struct parts {
    struct span header;
    struct span claims;
    struct span signature;
    struct span signed_text;
};

static bool split(struct parts *ret, struct span token)
{
    const char *end = token.data + token.len;
    const char *first = memchr(token.data, '.', token.len);
    if (!first)
        return false;
    const char *second = memchr(first + 1, '.', (size_t)(end - first - 1));
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    ret->header = span_of(token.data, (size_t)(first - token.data));
    ret->claims = span_of(first + 1, (size_t)(second - first - 1));
    ret->signature = span_of(second + 1, (size_t)(end - second - 1));
    ret->signed_text = span_of(token.data, (size_t)(second - token.data));
    return true;
}

static void json_release(json_t **json)
{
    json_decref(*json);
}

static json_t *decode_object(struct span part)
{
    _cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
    if (base64url_decode(&text, part))
        return NULL;
    json_t *json = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

/* TOKEN_ALGORITHMS unless the header names one of ours and has no critical extension. */
static enum token_algorithm algorithm_of(const json_t *header)
{
    const char *name = json_string_value(json_object_get(header, "alg"));
    enum token_algorithm algorithm = TOKEN_HS256;
    if (!name || json_object_get(header, "crit"))
        return TOKEN_ALGORITHMS;
    while (algorithm < TOKEN_ALGORITHMS && strcmp(name, token_algorithm_name(algorithm)) != 0)
        algorithm++;
    return algorithm;
}

static bool mac_matches(const struct token_key *key, struct span text, struct span signature)
{
    unsigned char mac[TOKEN_MAC_SIZE];
    return signature.len == TOKEN_MAC_SIZE && token_mac(mac, key->mac, text) == 0 &&
           CRYPTO_memcmp(mac, signature.data, TOKEN_MAC_SIZE) == 0;
}

/* `digest` is NULL where the algorithm brings its own. */
static bool public_key_agrees(
    EVP_PKEY *key, const EVP_MD *digest, struct span text, struct span signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool agrees = context && EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
                  EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.len,
                      (const unsigned char *)text.data, text.len) == 1;
    EVP_MD_CTX_free(context);
    return agrees;
}

/* A JWT carries r and s as they are; the library wants them in DER. */
static bool ecdsa_agrees(EVP_PKEY *key, struct span text, struct span signature)
{
    if (signature.len != 2 * (size_t)ES256_HALF)
        return false;
    const unsigned char *raw = (const unsigned char *)signature.data;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, ES256_HALF, NULL);
    BIGNUM *s = BN_bin2bn(raw + ES256_HALF, ES256_HALF, NULL);
    unsigned char *der = NULL;
    bool agrees = false;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* the pair's now */
        int len = i2d_ECDSA_SIG(pair, &der);
        agrees = len > 0 && public_key_agrees(key, EVP_sha256(), text, span_of(der, (size_t)len));
    }
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return agrees;
}

static bool key_agrees(const struct token_key *key, struct span text, struct span signature)
{
    switch (key->algorithm) {
    case TOKEN_HS256: return mac_matches(key, text, signature);
    case TOKEN_RS256: return public_key_agrees(key->pkey, EVP_sha256(), text, signature);
    case TOKEN_ES256: return ecdsa_agrees(key->pkey, text, signature);
    case TOKEN_EDDSA: return public_key_agrees(key->pkey, NULL, text, signature);
    case TOKEN_ALGORITHMS: break;
    }
    return false;
}

/* What of a token's header decides about its key. */
struct choice {
    enum token_algorithm algorithm;
    const char *kid; /* NULL: any key of the algorithm may have signed */
};

static enum token_verdict try_keys(const struct token_keys *keys, const struct choice *choice,
    struct span text, struct span signature)
{
    enum token_verdict verdict = choice->kid ? TOKEN_UNKNOWN_KEY : TOKEN_ALGORITHM;
    for (size_t i = 0; i < keys->count; i++) {
        const struct token_key *key = &keys->keys[i];
        if (choice->kid && strcmp(key->kid, choice->kid) != 0)
            continue;
        if (key->algorithm != choice->algorithm) {
            verdict = choice->kid ? TOKEN_ALGORITHM : verdict;
            continue;
        }
        if (key_agrees(key, text, signature))
            return TOKEN_VALID;
        verdict = TOKEN_SIGNATURE;
    }
    return verdict;
}

/* Where no key has a name, the names that tokens give theirs mean nothing here. */
static enum token_verdict check_signature(const struct token_keys *keys, const struct parts *parts)
{
    _cleanup_(json_release) json_t *header = decode_object(parts->header);
    _cleanup_(buffer_deinit) struct buffer signature = BUFFER_INIT;
    const json_t *kid = json_object_get(header, "kid");
    if (!header || (kid && !json_is_string(kid)) || base64url_decode(&signature, parts->signature))
        return TOKEN_MALFORMED;
    const struct choice choice = {
        .algorithm = algorithm_of(header),
        .kid = keys->named ? json_string_value(kid) : NULL,
    };
    if (choice.algorithm == TOKEN_ALGORITHMS)
        return TOKEN_ALGORITHM;
    return try_keys(keys, &choice, parts->signed_text, buffer_span(&signature));
}

/* A NumericDate may have a fraction; negative and absurd ones are not dates. */
static bool read_date(const json_t *claims, const char *name, uint64_t *ret_seconds)
{
    const json_t *value = json_object_get(claims, name);
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !isfinite(seconds) || seconds < 0 || seconds > 1e12)
        return false;
    *ret_seconds = (uint64_t)seconds;
    return true;
}

static enum token_verdict check_times(
    uint64_t *ret_expires_at, const json_t *claims, uint64_t skew, uint64_t now)
{
    uint64_t expires_at;
    uint64_t not_before;
    if (!read_date(claims, "exp", &expires_at))
        return TOKEN_NO_EXPIRY;
    if (now >= expires_at + skew)
        return TOKEN_EXPIRED;
    if (json_object_get(claims, "nbf") &&
        (!read_date(claims, "nbf", &not_before) || not_before > now + skew))
        return TOKEN_NOT_YET;
    *ret_expires_at = expires_at;
    return TOKEN_VALID;
}

static bool names(const json_t *value, const char *wanted)
{
    const char *text = json_string_value(value);
    return text && strcmp(text, wanted) == 0;
}

/* A claim that is one name or a list of them. */
static bool claim_has(const json_t *claim, const char *wanted)
{
    size_t i;
    json_t *item;
    json_array_foreach(claim, i, item)
    {
        if (names(item, wanted))
            return true;
    }
    return names(claim, wanted);
}

/* `wanted` is "name=value"; the claim has the value, or is true where "true" is wanted. */
static bool is_admin(const json_t *claims, const char *wanted)
{
    char name[ADMIN_CLAIM_NAME_MAX];
    const char *equals = wanted ? strchr(wanted, '=') : NULL;
    size_t len = equals ? (size_t)(equals - wanted) : 0;
    if (!len || len >= sizeof(name))
        return false;
    memcpy(name, wanted, len);
    name[len] = '\0';
    const json_t *claim = json_object_get(claims, name);
    return claim_has(claim, equals + 1) || (json_is_true(claim) && strcmp(equals + 1, "true") == 0);
}

static enum token_verdict check_claims(struct token_claims *ret_claims, const json_t *claims,
    const struct token_policy *policy, uint64_t now)
{
    uint64_t expires_at = 0;
    enum token_verdict verdict = check_times(&expires_at, claims, policy->skew, now);
    if (verdict)
        return verdict;
    if (policy->issuer && *policy->issuer && !names(json_object_get(claims, "iss"), policy->issuer))
        return TOKEN_ISSUER;
    if (policy->audience && *policy->audience &&
        !claim_has(json_object_get(claims, "aud"), policy->audience))
        return TOKEN_AUDIENCE;
    const json_t *subject = json_object_get(claims, "sub");
    struct span user = span_of(json_string_value(subject), json_string_length(subject));
    if (!identifier_valid(user))
        return TOKEN_SUBJECT;
    memcpy(ret_claims->user, user.data, user.len);
    ret_claims->user[user.len] = '\0';
    ret_claims->expires_at = expires_at;
    ret_claims->admin = is_admin(claims, policy->admin_claim);
    return TOKEN_VALID;
}

enum token_verdict token_verify(struct token_claims *ret_claims, const struct token_keys *keys,
    const struct token_policy *policy, struct span token, uint64_t now)
{
    struct parts parts;
    if (token.len > TOKEN_SIZE_MAX)
        return TOKEN_TOO_LARGE;
    if (!token.len || !split(&parts, token))
        return TOKEN_MALFORMED;
    enum token_verdict verdict = check_signature(keys, &parts);
    if (verdict)
        return verdict;
    _cleanup_(json_release) json_t *claims = decode_object(parts.claims);
    if (!claims)
        return TOKEN_MALFORMED;
    return check_claims(ret_claims, claims, policy, now);
}
