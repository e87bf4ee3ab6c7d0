/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens.h"

#include "base/clock.h"
#include "base/paths.h"
#include "token/token.h"

#include <errno.h>

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

int tokens_make(struct buffer *out, const struct config *config, const char *user,
    uint64_t lifetime, char ret_why[TOKENS_WHY_SIZE])
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
    const struct token_grant grant = {
        .user = user,
        .issuer = config->gateway_token_issuer,
        .audience = config->gateway_token_audience,
        .now = clock_wall_ms() / 1000,
        .lifetime = lifetime,
    };
    rc = token_sign(out, &secret, &grant);
    explicit_bzero(&secret, sizeof(secret));
    if (rc)
        snprintf(ret_why, TOKENS_WHY_SIZE, "no token could be made: %s", strerror(-rc));
    return rc;
}
