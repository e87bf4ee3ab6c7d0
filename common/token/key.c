/* SPDX-License-Identifier: Apache-2.0 */
#include "token/base64url.h"
#include "token/keys.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define KEY_FILE_MAX (64u << 10)
#define SECRET_MADE 32

int token_keys_new(struct token_keys **ret_keys)
{
    struct token_keys *keys = calloc(1, sizeof(*keys));
    if (!keys)
        return -ENOMEM;
    *ret_keys = keys;
    return 0;
}

void token_key_deinit(struct token_key *key)
{
    EVP_MAC_CTX_free(key->mac);
    EVP_PKEY_free(key->pkey);
}

void token_keys_free(struct token_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        token_key_deinit(&keys->keys[i]);
    free(keys);
}

int token_keys_add_secret(struct token_keys *keys, const struct token_secret *secret)
{
    if (secret->len < TOKEN_SECRET_MIN || secret->len > TOKEN_SECRET_MAX)
        return -EINVAL;
    if (keys->count == TOKEN_KEYS_MAX)
        return -ENOSPC;
    struct token_key key = {.algorithm = TOKEN_HS256};
    int rc = token_mac_new(&key.mac, secret);
    if (!rc)
        keys->keys[keys->count++] = key;
    return rc;
}

static EVP_PKEY *read_public_key(struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return key;
}

static EVP_PKEY *read_certificate(struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    BIO_free(bio);
    return key;
}

const char *token_algorithm_name(enum token_algorithm algorithm)
{
    static const char *const names[TOKEN_ALGORITHMS] = {[TOKEN_HS256] = "HS256",
        [TOKEN_RS256] = "RS256",
        [TOKEN_ES256] = "ES256",
        [TOKEN_EDDSA] = "EdDSA"};
    return names[algorithm];
}

static bool is_p256(EVP_PKEY *pkey)
{
    char group[32];
    return EVP_PKEY_is_a(pkey, "EC") &&
           EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

int token_algorithm_of(EVP_PKEY *pkey, enum token_algorithm *ret_algorithm)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (EVP_PKEY_is_a(pkey, "RSA") && bits >= TOKEN_RSA_BITS_MIN && bits <= TOKEN_RSA_BITS_MAX)
        *ret_algorithm = TOKEN_RS256;
    else if (is_p256(pkey))
        *ret_algorithm = TOKEN_ES256;
    else if (EVP_PKEY_is_a(pkey, "ED25519"))
        *ret_algorithm = TOKEN_EDDSA;
    else
        return -EINVAL;
    return 0;
}

int token_keys_add_pem(struct token_keys *keys, struct span pem)
{
    if (keys->count == TOKEN_KEYS_MAX)
        return -ENOSPC;
    if (pem.len > KEY_FILE_MAX)
        return -EINVAL;
    EVP_PKEY *pkey = read_public_key(pem);
    if (!pkey)
        pkey = read_certificate(pem);
    enum token_algorithm algorithm = TOKEN_ALGORITHMS;
    if (!pkey || token_algorithm_of(pkey, &algorithm)) {
        EVP_PKEY_free(pkey);
        return -EINVAL;
    }
    keys->keys[keys->count++] = (struct token_key){.algorithm = algorithm, .pkey = pkey};
    return 0;
}

int token_read_file(struct buffer *out, int fd, size_t max)
{
    for (;;) {
        char chunk[4096];
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return buffer_error(out);
        buffer_append(out, chunk, (size_t)got);
        OPENSSL_cleanse(chunk, sizeof(chunk));
        if (out->len > max)
            return -EINVAL;
    }
}

int token_keys_add_pem_file(struct token_keys *keys, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    _cleanup_(buffer_deinit) struct buffer pem = BUFFER_INIT;
    int rc = token_read_file(&pem, fd, KEY_FILE_MAX);
    return rc ? rc : token_keys_add_pem(keys, buffer_span(&pem));
}

static struct span trim(struct span text)
{
    while (text.len && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    while (text.len && strchr(" \t\r\n", text.data[0])) {
        text.data++;
        text.len--;
    }
    return text;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static int hex_decode(struct buffer *out, struct span text)
{
    if (text.len % 2)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_digit(text.data[i]);
        int low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        buffer_append_char(out, (char)(high << 4 | low));
    }
    return buffer_error(out);
}

/* Hexadecimal goes first: every line of it would pass for base 64 as well. */
static int parse_secret(struct token_secret *ret_secret, struct span line)
{
    _cleanup_(buffer_deinit) struct buffer bytes = BUFFER_INIT;
    int rc = hex_decode(&bytes, line);
    if (rc) {
        buffer_clear(&bytes);
        while (line.len && line.data[line.len - 1] == '=')
            line.len--;
        rc = base64url_decode(&bytes, line);
    }
    if (!rc && (bytes.len < TOKEN_SECRET_MIN || bytes.len > TOKEN_SECRET_MAX))
        rc = -EINVAL;
    if (!rc) {
        memcpy(ret_secret->bytes, bytes.data, bytes.len);
        ret_secret->len = bytes.len;
    }
    OPENSSL_cleanse(bytes.data, bytes.len);
    return rc;
}

int token_key_load(struct token_secret *ret_secret, const char *path)
{
    struct stat info;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info))
        return -errno;
    if (info.st_mode & (S_IRWXO | S_IWGRP))
        return -EPERM;
    _cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
    int rc = token_read_file(&text, fd, KEY_FILE_MAX);
    if (!rc)
        rc = parse_secret(ret_secret, trim(buffer_span(&text)));
    OPENSSL_cleanse(text.data, text.len);
    return rc;
}

static int write_whole(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, text, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        text += put;
        len -= (size_t)put;
    }
    return fsync(fd) ? -errno : 0;
}

static int write_secret(int fd)
{
    unsigned char bytes[SECRET_MADE];
    char line[2 * SECRET_MADE + 2];
    random_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(line + 2 * i, 3, "%02x", bytes[i]);
    line[sizeof(line) - 2] = '\n';
    int rc = write_whole(fd, line, sizeof(line) - 1);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    OPENSSL_cleanse(line, sizeof(line));
    return rc;
}

/* The name appears with its content, or not at all: link(2) refuses when somebody was faster. */
static int make_secret(const char *path)
{
    char draft[PATHS_MAX];
    if (snprintf(draft, sizeof(draft), "%s.%d.new", path, (int)getpid()) >= (int)sizeof(draft))
        return -ENAMETOOLONG;
    unlink(draft);
    _cleanup_close_ int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int rc = write_secret(fd);
    if (!rc && link(draft, path) && errno != EEXIST)
        rc = -errno;
    unlink(draft);
    return rc;
}

int token_key_load_or_create(struct token_secret *ret_secret, const char *path)
{
    int rc = token_key_load(ret_secret, path);
    if (rc != -ENOENT)
        return rc;
    rc = make_secret(path);
    return rc ? rc : token_key_load(ret_secret, path);
}
