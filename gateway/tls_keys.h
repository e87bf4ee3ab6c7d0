/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"

struct ssl_ctx_st;

/*
 * The certificate chain and private key that new TLS connections get, and what they may agree on:
 * TLS 1.2 with forward secrecy and authenticated encryption, or 1.3; ALPN http/1.1. Connections
 * keep what they began with.
 */
struct tls_keys;

/* Whether the configuration asks for TLS. */
bool tls_keys_wanted(const struct config *config);
/* -errno after saying on the log what is wrong. */
int tls_keys_new(struct tls_keys **ret_keys, const struct config *config);
void tls_keys_free(struct tls_keys *keys);
/*
 * Reads the files that `config` names into *ret_next, to be used with tls_keys_use or given back
 * with tls_keys_drop. NULL when the configuration asks for no TLS.
 */
int tls_keys_read(struct ssl_ctx_st **ret_next, const struct config *config);
void tls_keys_use(struct tls_keys *keys, struct ssl_ctx_st *next);
void tls_keys_drop(struct ssl_ctx_st *next);
/* Borrowed. */
struct ssl_ctx_st *tls_keys_current(const struct tls_keys *keys);
