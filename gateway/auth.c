/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"

#include <errno.h>
#include <stdio.h>

struct auth {
    const struct config *config; /* borrowed */
    struct token_policy policy;
    struct token_keys *keys;
};

static int load_secret(struct token_secret *ret_secret, const struct config *config)
{
    char path[PATHS_MAX];
    char folder[PATHS_MAX];
    int rc = 0;
    if (*config->gateway_token_key_file) {
        snprintf(path, sizeof(path), "%s", config->gateway_token_key_file);
        rc = token_key_load(ret_secret, path);
    } else {
        rc = paths_data_dir(folder, config->node_data_dir);
        if (!rc)
            rc = paths_make_dir(folder);
        if (!rc)
            rc = paths_join(path, folder, TOKEN_KEY_FILE);
        if (!rc)
            rc = token_key_load_or_create(ret_secret, path);
        else
            snprintf(path, sizeof(path), "%s", config->node_data_dir);
    }
    if (rc)
        log_error("auth", "token key %s: %s", path,
            rc == -EPERM    ? "others may read or change it; make it 0600"
            : rc == -EINVAL ? "it must hold 32 bytes or more in hexadecimal or base64url"
                            : strerror(-rc));
    return rc;
}

static int load_pem(struct token_keys *keys, const char *path)
{
    if (!*path)
        return 0;
    int rc = token_keys_add_pem_file(keys, path);
    if (rc)
        log_error("auth", "public key %s: %s", path,
            rc == -EINVAL ? "it must be RSA of 2048 bits or more, or P-256" : strerror(-rc));
    return rc;
}

static void keys_freep(struct token_keys **keys)
{
    token_keys_free(*keys);
}

int auth_reload(struct auth *auth)
{
    struct token_secret secret;
    _cleanup_(keys_freep) struct token_keys *keys = NULL;
    int rc = load_secret(&secret, auth->config);
    if (!rc)
        rc = token_keys_new(&keys);
    if (!rc)
        rc = token_keys_add_secret(keys, &secret);
    if (!rc)
        rc = load_pem(keys, auth->config->gateway_token_pem_file);
    explicit_bzero(&secret, sizeof(secret));
    if (rc)
        return rc;
    token_keys_free(auth->keys);
    auth->keys = STEAL_POINTER(keys);
    return 0;
}

int auth_new(struct auth **ret_auth, const struct config *config)
{
    struct auth *auth = calloc(1, sizeof(*auth));
    if (!auth)
        return -ENOMEM;
    auth->config = config;
    auth->policy = (struct token_policy){
        .issuer = config->gateway_token_issuer,
        .audience = config->gateway_token_audience,
        .skew = config->gateway_token_skew / 1000,
    };
    int rc = auth_reload(auth);
    if (rc) {
        auth_free(auth);
        return rc;
    }
    *ret_auth = auth;
    return 0;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    token_keys_free(auth->keys);
    free(auth);
}

enum token_verdict auth_verify(
    struct token_claims *ret_claims, const struct auth *auth, struct span token)
{
    return token_verify(ret_claims, auth->keys, &auth->policy, token, clock_wall_ms() / 1000);
}

bool auth_expired(const struct auth *auth, uint64_t expires_at, uint64_t now)
{
    return now >= expires_at + auth->policy.skew;
}
