/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"
#include "token/token.h"

/* Who may come in: the node's keys and the configured policy. Loop thread only. */
struct auth;

/*
 * `config` is borrowed; what it says of the policy counts at any time, what it says of keys when
 * they are read. Says on the log what is wrong; -errno.
 */
int auth_new(struct auth **ret_auth, const struct config *config);
void auth_free(struct auth *auth);
/* Reads the keys again, as `next` says; when that fails the old ones stay. */
int auth_reload(struct auth *auth, const struct config *next);
enum token_verdict auth_verify(
    struct token_claims *ret_claims, const struct auth *auth, struct span token);

/* Seconds since the Unix epoch, as everywhere with tokens. */

/* Whether it is time to warn of a token's expiry. */
bool auth_expiring(const struct config *config, uint64_t expires_at, uint64_t now);
/* When a connection whose token expires is closed: not before it would be refused anew. */
uint64_t auth_closes_at(const struct config *config, uint64_t expires_at);
