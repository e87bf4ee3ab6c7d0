/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"
#include "tokens.h"

#include "base/cleanup.h"
#include "ring/files.h"
#include "ring/locks.h"
#include "token/token.h"
#include "wire/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void check_folder(struct checks *checks, const char *name, const char *path)
{
    char why[FOLDERS_WHY_SIZE];
    if (access(path, F_OK) < 0 && errno == ENOENT)
        checks_add(checks, CHECK_OK, name, NULL, "%s: will be made at the first start", path);
    else if (folders_check(path, why) < 0)
        checks_add(checks, CHECK_FAIL, name,
            "make it this user's own (chown, chmod 700), or choose another", "%s", why);
    else
        checks_add(checks, CHECK_OK, name, NULL, "%s: ours, and nobody else writes it", path);
}

void check_folders(struct checks *checks)
{
    check_folder(checks, "run-directory", checks->folders.run_dir);
    check_folder(checks, "data-directory", checks->folders.data_dir);
}

/* Whether a broker owns the arena, by its lock; -errno when there is none. */
static int arena_owned(const char *arena)
{
    char path[PATHS_MAX];
    int rc = paths_join(path, arena, FILE_LOCK);
    if (rc)
        return rc;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : lock_is_held(fd, LOCK_OWNER, 1);
}

void check_arena(struct checks *checks)
{
    char arena[PATHS_MAX];
    if (paths_arena_dir(arena, checks->config->node_name) < 0)
        return;
    int owned = arena_owned(arena);
    if (owned == -ENOENT)
        checks_add(checks, CHECK_OK, "arena", NULL, "%s: none yet", arena);
    else if (owned < 0)
        checks_add(checks, CHECK_FAIL, "arena", "is it another user's? choose another node.name",
            "%s: %s", arena, strerror(-owned));
    else if (owned == 0)
        checks_add(checks, CHECK_WARN, "arena",
            "nothing to do: the next start takes over what is in it",
            "%s: no broker owns it; its node is gone", arena);
    else
        checks_add(checks, CHECK_OK, "arena", NULL, "%s: owned by a broker that lives", arena);
}

static void count_stale(void *context, const char *path)
{
    checks_add(context, CHECK_WARN, "sockets", "nothing to do: `ringside up` removes it",
        "%s: left by a process that is gone", path);
}

void check_sockets(struct checks *checks)
{
    int pid = 0;
    unsigned stale = folders_each_stale(checks->folders.run_dir, count_stale, checks);
    if (folders_locked(&checks->folders, &pid))
        checks_add(checks, CHECK_OK, "node", NULL, "`ringside up` runs here, pid %d", pid);
    else
        checks_add(checks, CHECK_OK, "node", NULL, "no `ringside up` runs here");
    if (!stale)
        checks_add(checks, CHECK_OK, "sockets", NULL, "none left behind");
}

static void check_secret(struct checks *checks)
{
    char path[2 * PATHS_MAX];
    struct token_secret secret;
    if (tokens_key_path(path, sizeof(path), checks->config) < 0)
        return;
    int rc = token_key_load(&secret, path);
    explicit_bzero(&secret, sizeof(secret));
    if (rc == -ENOENT && !checks->config->gateway_token_key_file[0])
        checks_add(checks, CHECK_OK, "key", NULL, "%s: will be made at the first start", path);
    else if (rc == -EPERM)
        checks_add(checks, CHECK_FAIL, "key", "chmod 600 it, and make a new one if it leaked",
            "%s: others than its owner may use it", path);
    else if (rc == -EINVAL)
        checks_add(checks, CHECK_FAIL, "key", "remove it: a new one is made at the next start",
            "%s: holds no key", path);
    else if (rc)
        checks_add(checks, CHECK_FAIL, "key", "correct gateway.token_key_file, or its permissions",
            "%s: %s", path, strerror(-rc));
    else
        checks_add(checks, CHECK_OK, "key", NULL, "%s: there, and private", path);
}

static void check_public_key(struct checks *checks, struct token_keys *keys, const char *path)
{
    int rc = token_keys_add_pem_file(keys, path);
    if (rc)
        checks_add(checks, CHECK_FAIL, "key", "correct gateway.token_pem_file", "%s: %s", path,
            rc == -EINVAL ? "holds no RSA key of 2048 to 8192 bits, no P-256 and no Ed25519 key"
                          : strerror(-rc));
    else
        checks_add(checks, CHECK_OK, "key", NULL, "%s: a public key", path);
}

static void check_key_set(struct checks *checks, struct token_keys *keys, const char *path)
{
    struct token_jwks_report report;
    int rc = token_keys_add_jwks_file(keys, path, &report);
    if (rc == -EPERM)
        checks_add(checks, CHECK_FAIL, "key", "chmod 600 it",
            "%s: holds a secret, and others than its owner may use it", path);
    else if (rc)
        checks_add(checks, CHECK_FAIL, "key", "correct it, or gateway.token_jwks_file", "%s: %s",
            path, report.problem[0] ? report.problem : strerror(-rc));
    else
        checks_add(checks, CHECK_OK, "key", NULL, "%s: %zu keys, %zu more are for something else",
            path, report.taken, report.passed_over);
}

void check_keys(struct checks *checks)
{
    struct token_keys *keys;
    const struct config *config = checks->config;
    check_secret(checks);
    if (token_keys_new(&keys) < 0)
        return;
    if (*config->gateway_token_pem_file)
        check_public_key(checks, keys, config->gateway_token_pem_file);
    if (*config->gateway_token_jwks_file)
        check_key_set(checks, keys, config->gateway_token_jwks_file);
    token_keys_free(keys);
}
