/* SPDX-License-Identifier: Apache-2.0 */
#include "token/base64url.h"
#include "token/keys.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

int token_mac_new(EVP_MAC_CTX **ret_mac, const struct token_secret *secret)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = algorithm ? EVP_MAC_CTX_new(algorithm) : NULL;
    EVP_MAC_free(algorithm); /* the context has it too */
    if (!mac || EVP_MAC_init(mac, secret->bytes, secret->len, params) != 1) {
        EVP_MAC_CTX_free(mac);
        return -EIO;
    }
    *ret_mac = mac;
    return 0;
}

int token_mac(unsigned char ret_code[TOKEN_MAC_SIZE], EVP_MAC_CTX *mac, struct span message)
{
    size_t len = 0;
    bool done = EVP_MAC_init(mac, NULL, 0, NULL) == 1 &&
                EVP_MAC_update(mac, (const unsigned char *)message.data, message.len) == 1 &&
                EVP_MAC_final(mac, ret_code, &len, TOKEN_MAC_SIZE) == 1;
    return done && len == TOKEN_MAC_SIZE ? 0 : -EIO;
}

static void append_claims(struct buffer *out, const struct token_grant *grant)
{
    buffer_append_char(out, '{');
    json_append_member(out, "sub", span_of_string(grant->user));
    if (grant->issuer && *grant->issuer)
        json_append_member(out, "iss", span_of_string(grant->issuer));
    if (grant->audience && *grant->audience)
        json_append_member(out, "aud", span_of_string(grant->audience));
    json_append_member_uint(out, "iat", grant->now);
    json_append_member_uint(out, "exp", grant->now + grant->lifetime);
    if (grant->more.len) {
        buffer_append_char(out, ',');
        buffer_append_span(out, grant->more);
    }
    buffer_append_char(out, '}');
}

static int append_mac(struct buffer *token, const struct token_secret *secret)
{
    unsigned char code[TOKEN_MAC_SIZE];
    EVP_MAC_CTX *mac;
    int rc = token_mac_new(&mac, secret);
    if (rc)
        return rc;
    rc = token_mac(code, mac, buffer_span(token));
    EVP_MAC_CTX_free(mac);
    if (rc)
        return rc;
    buffer_append_char(token, '.');
    base64url_append(token, span_of(code, sizeof(code)));
    return buffer_error(token);
}

static int append_signed(
    struct buffer *token, const struct token_secret *secret, const struct token_grant *grant)
{
    _cleanup_(buffer_deinit) struct buffer claims = BUFFER_INIT;
    append_claims(&claims, grant);
    base64url_append(token, SPAN_LITERAL("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
    buffer_append_char(token, '.');
    base64url_append(token, buffer_span(&claims));
    if (buffer_error(&claims) || buffer_error(token))
        return -ENOMEM;
    return append_mac(token, secret);
}

int token_sign(
    struct buffer *out, const struct token_secret *secret, const struct token_grant *grant)
{
    if (!identifier_valid(span_of_string(grant->user)) || secret->len < TOKEN_SECRET_MIN)
        return -EINVAL;
    _cleanup_(buffer_deinit) struct buffer token = BUFFER_INIT;
    int rc = append_signed(&token, secret, grant);
    if (rc)
        return rc;
    buffer_append_span(out, buffer_span(&token));
    return buffer_error(out);
}
