/* SPDX-License-Identifier: Apache-2.0 */
#include "token/jwk.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#define JWKS_SIZE_MAX (256u << 10)

static void json_release(json_t **json)
{
    json_decref(*json);
}

__attribute__((format(printf, 2, 3))) static int refuse(
    struct token_jwks_report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->problem, sizeof(report->problem), format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static bool name_taken(const struct token_keys *keys, const char *kid)
{
    for (size_t i = 0; *kid && i < keys->count; i++) {
        if (strcmp(keys->keys[i].kid, kid) == 0)
            return true;
    }
    return false;
}

static int keep(struct token_keys *keys, const struct token_key *key, size_t number,
    struct token_jwks_report *report)
{
    if (keys->count == TOKEN_KEYS_MAX) {
        refuse(report, "it has more than %d keys", TOKEN_KEYS_MAX);
        return -ENOSPC;
    }
    if (name_taken(keys, key->kid))
        return refuse(report, "key %zu: there are two keys with the kid %.100s", number, key->kid);
    keys->keys[keys->count++] = *key;
    keys->named |= key->kid[0] != '\0';
    report->has_secret |= key->algorithm == TOKEN_HS256;
    report->taken++;
    return 0;
}

/* `number` counts from 1, for people. */
static int add_key(
    struct token_keys *keys, const json_t *jwk, size_t number, struct token_jwks_report *report)
{
    struct token_key key;
    const char *why;
    switch (jwk_read(&key, jwk, &why)) {
    case JWK_TAKEN: break;
    case JWK_PASSED_OVER: report->passed_over++; return 0;
    case JWK_REFUSED: return refuse(report, "key %zu: %s", number, why);
    }
    int rc = keep(keys, &key, number, report);
    if (rc)
        token_key_deinit(&key);
    return rc;
}

int token_keys_add_jwks(
    struct token_keys *keys, struct span text, struct token_jwks_report *ret_report)
{
    json_error_t error;
    size_t i;
    json_t *jwk;
    int rc = 0;
    *ret_report = (struct token_jwks_report){0};
    _cleanup_(json_release) json_t *set =
        json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &error);
    if (!set)
        return refuse(ret_report, "line %d is no JSON", error.line);
    const json_t *list = json_object_get(set, "keys");
    if (!json_is_array(list))
        return refuse(ret_report, "it is not an object with an array `keys`");
    json_array_foreach(list, i, jwk)
    {
        rc = add_key(keys, jwk, i + 1, ret_report);
        if (rc)
            return rc;
    }
    if (!ret_report->taken)
        return refuse(ret_report, "none of its %zu keys is for tokens that are accepted here",
            ret_report->passed_over);
    return 0;
}

int token_keys_add_jwks_file(
    struct token_keys *keys, const char *path, struct token_jwks_report *ret_report)
{
    struct stat info;
    *ret_report = (struct token_jwks_report){0};
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info))
        return -errno;
    _cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
    int rc = token_read_file(&text, fd, JWKS_SIZE_MAX);
    if (rc == -EINVAL)
        return refuse(ret_report, "it is larger than %u KiB", JWKS_SIZE_MAX >> 10);
    if (!rc)
        rc = token_keys_add_jwks(keys, buffer_span(&text), ret_report);
    OPENSSL_cleanse(text.data, text.len);
    if (!rc && ret_report->has_secret && (info.st_mode & (S_IRWXO | S_IWGRP)))
        rc = -EPERM;
    return rc;
}
