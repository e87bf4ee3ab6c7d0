/* SPDX-License-Identifier: Apache-2.0 */
#include "token-test.h"

#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

size_t public_pem(EVP_PKEY *key, char *pem, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    int len = BIO_read(bio, pem, (int)size);
    BIO_free(bio);
    assert_true(len > 0);
    return (size_t)len;
}

/* ---- forging: any header, any claims, signed with any key */

static void append_raw_ecdsa(struct buffer *out, const unsigned char *der, size_t len)
{
    unsigned char raw[64];
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    assert_non_null(pair);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32);
    ECDSA_SIG_free(pair);
    base64url_append(out, span_of(raw, sizeof(raw)));
}

void append_public_signature(struct buffer *token, EVP_PKEY *key)
{
    unsigned char signature[512];
    size_t len = sizeof(signature);
    const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, digest, NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(context, signature, &len, (const unsigned char *)token->data, token->len),
        1);
    EVP_MD_CTX_free(context);
    buffer_append_char(token, '.');
    if (EVP_PKEY_is_a(key, "EC"))
        append_raw_ecdsa(token, signature, len);
    else
        base64url_append(token, span_of(signature, len));
}

void append_mac(struct buffer *token, struct span key)
{
    unsigned char mac[32];
    unsigned int len = sizeof(mac);
    HMAC(EVP_sha256(), key.data, (int)key.len, (const unsigned char *)token->data, token->len, mac,
        &len);
    buffer_append_char(token, '.');
    base64url_append(token, span_of(mac, len));
}

struct buffer unsigned_token(const char *header, const char *claims)
{
    struct buffer token = BUFFER_INIT;
    struct buffer object = BUFFER_INIT;
    buffer_printf(&object, "{%s}", claims);
    base64url_append(&token, span_of_string(header));
    buffer_append_char(&token, '.');
    base64url_append(&token, buffer_span(&object));
    buffer_deinit(&object);
    return token;
}
