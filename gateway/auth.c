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
    struct token_keys *keys;
};

/* ---- keys */

static int find_secret(char ret_path[PATHS_MAX], const struct config *config)
{
    char folder[PATHS_MAX];
    snprintf(ret_path, PATHS_MAX, "%s", config->node_data_dir);
    int rc = paths_data_dir(folder, config->node_data_dir);
    if (!rc)
        rc = paths_make_dir(folder);
    return rc ? rc : paths_join(ret_path, folder, TOKEN_KEY_FILE);
}

static int load_secret(struct token_secret *ret_secret, const struct config *config)
{
    char path[PATHS_MAX];
    int rc = 0;
    if (*config->gateway_token_key_file) {
        snprintf(path, sizeof(path), "%s", config->gateway_token_key_file);
        rc = token_key_load(ret_secret, path);
    } else {
        rc = find_secret(path, config);
        if (!rc)
            rc = token_key_load_or_create(ret_secret, path);
    }
    if (rc)
        log_error("auth", "token key %s: %s", path,
            rc == -EPERM    ? "others may read or change it; make it 0600"
            : rc == -EINVAL ? "it must hold 32 bytes or more in hexadecimal or base64url"
                            : strerror(-rc));
    return rc;
}

static int add_secret(struct token_keys *keys, const struct config *config)
{
    struct token_secret secret;
    int rc = load_secret(&secret, config);
    if (!rc)
        rc = token_keys_add_secret(keys, &secret);
    explicit_bzero(&secret, sizeof(secret));
    return rc;
}

static int add_pem(struct token_keys *keys, const char *path)
{
    if (!*path)
        return 0;
    int rc = token_keys_add_pem_file(keys, path);
    if (rc)
        log_error("auth", "public key %s: %s", path,
            rc == -EINVAL ? "it must be RSA of 2048 to 8192 bits, P-256 or Ed25519"
                          : strerror(-rc));
    return rc;
}

static int add_jwks(struct token_keys *keys, const char *path)
{
    struct token_jwks_report report;
    if (!*path)
        return 0;
    int rc = token_keys_add_jwks_file(keys, path, &report);
    if (!rc)
        log_info("auth", "key set %s: %zu keys, %zu more are for something else", path,
            report.taken, report.passed_over);
    else
        log_error("auth", "key set %s: %s", path,
            report.problem[0] ? report.problem
            : rc == -EPERM    ? "it holds a secret, and others may read or change it; make it 0600"
                              : strerror(-rc));
    return rc;
}

static void keys_freep(struct token_keys **keys)
{
    token_keys_free(*keys);
}

static int load_keys(struct token_keys **ret_keys, const struct config *config)
{
    _cleanup_(keys_freep) struct token_keys *keys = NULL;
    int rc = token_keys_new(&keys);
    if (!rc)
        rc = add_secret(keys, config);
    if (!rc)
        rc = add_pem(keys, config->gateway_token_pem_file);
    if (!rc)
        rc = add_jwks(keys, config->gateway_token_jwks_file);
    if (!rc)
        *ret_keys = STEAL_POINTER(keys);
    return rc;
}

/* ---- policy */

static int check_admin_claim(const char *claim)
{
    if (!*claim || (claim[0] != '=' && strchr(claim, '=')))
        return 0;
    log_error("auth", "gateway.token_admin_claim: \"%s\" is not NAME=VALUE", claim);
    return -EINVAL;
}

/* ---- life */

int auth_reload(struct auth *auth, const struct config *next)
{
    struct token_keys *keys;
    int rc = check_admin_claim(next->gateway_token_admin_claim);
    if (!rc)
        rc = load_keys(&keys, next);
    if (rc)
        return rc;
    token_keys_free(auth->keys);
    auth->keys = keys;
    return 0;
}

int auth_new(struct auth **ret_auth, const struct config *config)
{
    struct auth *auth = calloc(1, sizeof(*auth));
    if (!auth)
        return -ENOMEM;
    auth->config = config;
    int rc = auth_reload(auth, config);
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
    const struct token_policy policy = {
        .issuer = auth->config->gateway_token_issuer,
        .audience = auth->config->gateway_token_audience,
        .admin_claim = auth->config->gateway_token_admin_claim,
        .skew = auth->config->gateway_token_skew / 1000,
    };
    return token_verify(ret_claims, auth->keys, &policy, token, clock_wall_ms() / 1000);
}

bool auth_expiring(const struct config *config, uint64_t expires_at, uint64_t now)
{
    uint64_t warning = config->gateway_token_warning;
    return warning && now * 1000 + warning >= expires_at * 1000;
}

uint64_t auth_closes_at(const struct config *config, uint64_t expires_at)
{
    uint64_t skew = config->gateway_token_skew / 1000;
    uint64_t grace = config->gateway_token_grace / 1000;
    return expires_at + (grace > skew ? grace : skew);
}
