/* SPDX-License-Identifier: Apache-2.0 */
#include "token/base64url.h"
#include "token/keys.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>

#include <openssl/hmac.h>

int token_mac(
    unsigned char ret_mac[TOKEN_MAC_SIZE], const struct token_secret *secret, struct span message)
{
    unsigned int len = TOKEN_MAC_SIZE;
    const void *done = HMAC(EVP_sha256(), secret->bytes, (int)secret->len,
        (const unsigned char *)message.data, message.len, ret_mac, &len);
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

static int append_signed(
    struct buffer *token, const struct token_secret *secret, const struct token_grant *grant)
{
    unsigned char mac[TOKEN_MAC_SIZE];
    _cleanup_(buffer_deinit) struct buffer claims = BUFFER_INIT;
    append_claims(&claims, grant);
    base64url_append(token, SPAN_LITERAL("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
    buffer_append_char(token, '.');
    base64url_append(token, buffer_span(&claims));
    if (buffer_error(&claims) || buffer_error(token))
        return -ENOMEM;
    int rc = token_mac(mac, secret, buffer_span(token));
    if (rc)
        return rc;
    buffer_append_char(token, '.');
    base64url_append(token, span_of(mac, sizeof(mac)));
    return buffer_error(token);
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
