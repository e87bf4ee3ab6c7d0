/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/paths.h"
#include "token/token.h"

#include <errno.h>
#include <stdio.h>

#include <jansson.h>

int tokens_key_path(char *ret_path, size_t size, const struct config *config)
{
    char data_dir[PATHS_MAX];
    int len;
    if (config->gateway_token_key_file[0]) {
        len = snprintf(ret_path, size, "%s", config->gateway_token_key_file);
    } else {
        int rc = paths_data_dir(data_dir, config->node_data_dir);
        if (rc)
            return rc;
        len = snprintf(ret_path, size, "%s/%s", data_dir, TOKEN_KEY_FILE);
    }
    return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

/* A key that was configured must be there; the node's own is made at first use. */
static int load_key(struct token_secret *ret_secret, const struct config *config, const char *path)
{
    char data_dir[PATHS_MAX];
    if (config->gateway_token_key_file[0])
        return token_key_load(ret_secret, path);
    int rc = paths_data_dir(data_dir, config->node_data_dir);
    if (rc == 0)
        rc = paths_make_dir(data_dir);
    return rc ? rc : token_key_load_or_create(ret_secret, path);
}

static const char *reason_of(int rc)
{
    switch (rc) {
    case -EPERM: return "others than its owner may use it; make it private: chmod 600";
    case -EINVAL: return "it holds no key (hexadecimal or base64url for 32 bytes or more)";
    case -ENAMETOOLONG: return "the path is too long";
    default: return strerror(-rc);
    }
}

/* ---- further claims */

static void json_release(json_t **json)
{
    json_decref(*json);
}

static int refuse(char ret_why[TOKENS_WHY_SIZE], const char *why)
{
    snprintf(ret_why, TOKENS_WHY_SIZE, "%s", why);
    return -EINVAL;
}

static bool names_our_own(const json_t *claims)
{
    static const char *const own[] = {"sub", "iss", "aud", "iat", "exp"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        if (json_object_get(claims, own[i]))
            return true;
    }
    return false;
}

static int add_admin(json_t *claims, const char *claim, char ret_why[TOKENS_WHY_SIZE])
{
    char name[TOKENS_WHY_SIZE];
    const char *equals = strchr(claim, '=');
    size_t len = equals ? (size_t)(equals - claim) : 0;
    if (!len || len >= sizeof(name))
        return refuse(ret_why, "this node has no administrators: set gateway.token_admin_claim");
    memcpy(name, claim, len);
    name[len] = '\0';
    return json_object_set_new(claims, name, json_string(equals + 1)) < 0 ? -ENOMEM : 0;
}

/* The members of the object alone, as token_sign takes them. */
static int append_members(struct buffer *out, const json_t *claims)
{
    _cleanup_free_ char *text = json_dumps(claims, JSON_COMPACT);
    if (!text)
        return -ENOMEM;
    buffer_append(out, text + 1, strlen(text) - 2);
    return buffer_error(out);
}

static int append_more(struct buffer *out, const struct config *config,
    const struct tokens_wanted *wanted, char ret_why[TOKENS_WHY_SIZE])
{
    _cleanup_(json_release) json_t *claims =
        json_loads(wanted->claims ? wanted->claims : "{}", JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(claims))
        return refuse(ret_why, "--claims is not a JSON object");
    if (names_our_own(claims))
        return refuse(ret_why, "--claims: sub, iss, aud, iat and exp are given otherwise");
    int rc = wanted->admin ? add_admin(claims, config->gateway_token_admin_claim, ret_why) : 0;
    return rc ? rc : append_members(out, claims);
}

/* ---- tokens */

static int sign(struct buffer *out, const struct token_secret *secret, const struct config *config,
    const struct tokens_wanted *wanted, char ret_why[TOKENS_WHY_SIZE])
{
    _cleanup_(buffer_deinit) struct buffer more = BUFFER_INIT;
    snprintf(ret_why, TOKENS_WHY_SIZE, "no token could be made");
    int rc = append_more(&more, config, wanted, ret_why);
    if (rc)
        return rc;
    const struct token_grant grant = {
        .user = wanted->user,
        .issuer = config->gateway_token_issuer,
        .audience = config->gateway_token_audience,
        .more = buffer_span(&more),
        .now = clock_wall_ms() / 1000,
        .lifetime = wanted->lifetime,
    };
    return token_sign(out, secret, &grant);
}

int tokens_make(struct buffer *out, const struct config *config, const struct tokens_wanted *wanted,
    char ret_why[TOKENS_WHY_SIZE])
{
    char path[2 * PATHS_MAX] = "";
    struct token_secret secret;
    int rc = tokens_key_path(path, sizeof(path), config);
    if (rc == 0)
        rc = load_key(&secret, config, path);
    if (rc) {
        snprintf(
            ret_why, TOKENS_WHY_SIZE, "the key %.500s cannot be used: %s", path, reason_of(rc));
        return rc;
    }
    rc = sign(out, &secret, config, wanted, ret_why);
    explicit_bzero(&secret, sizeof(secret));
    return rc;
}
