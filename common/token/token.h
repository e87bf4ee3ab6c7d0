/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "base/identifier.h"

#include <stdint.h>

/*
 * Signed tokens (JWT, compact form): who is this, and until when? A key has exactly one algorithm,
 * given by what kind of key it is and never by the token: a secret means HS256, an RSA public key
 * RS256, a P-256 public key ES256, an Ed25519 public key EdDSA. A token whose header names an
 * algorithm that no key has is refused before anything is computed.
 *
 * Times are seconds since the Unix epoch. Nothing here logs, and no message carries token bytes.
 */

/* Longer tokens are refused unread. */
#define TOKEN_SIZE_MAX 8192
/* The node's own key, in its data directory. */
#define TOKEN_KEY_FILE "token.key"
#define TOKEN_SECRET_MIN 32
#define TOKEN_SECRET_MAX 512

struct token_secret {
    unsigned char bytes[TOKEN_SECRET_MAX];
    size_t len;
};

struct token_claims {
    char user[IDENTIFIER_SIZE]; /* `sub` */
    uint64_t expires_at;        /* `exp` */
    bool admin;                 /* has the claim of administrators */
};

/* What a token must satisfy beside its signature; empty or NULL strings: not checked. */
struct token_policy {
    const char *issuer;
    const char *audience;
    const char *admin_claim; /* "name=value" of administrators' tokens; empty: there are none */
    uint64_t skew;           /* seconds that clocks may differ */
};

enum token_verdict {
    TOKEN_VALID,
    TOKEN_TOO_LARGE,
    TOKEN_MALFORMED,   /* not three parts of base64url around JSON objects */
    TOKEN_ALGORITHM,   /* "none", unknown, or not that of the key */
    TOKEN_UNKNOWN_KEY, /* keys have names (kid), and none has the token's */
    TOKEN_SIGNATURE,
    TOKEN_NO_EXPIRY,
    TOKEN_EXPIRED,
    TOKEN_NOT_YET, /* nbf lies ahead */
    TOKEN_ISSUER,
    TOKEN_AUDIENCE,
    TOKEN_SUBJECT, /* `sub` is missing or no identifier */
    TOKEN_VERDICT_COUNT,
};

/* The protocol's error code ("unauthenticated" or "token_expired") and a sentence. Static. */
const char *token_verdict_code(enum token_verdict verdict);
const char *token_verdict_text(enum token_verdict verdict);

/* A set of keys; any of them may have signed. */
struct token_keys;

int token_keys_new(struct token_keys **ret_keys);
void token_keys_free(struct token_keys *keys);
/* -EINVAL when the secret is shorter than TOKEN_SECRET_MIN; -ENOSPC when the set is full. */
int token_keys_add_secret(struct token_keys *keys, const struct token_secret *secret);
/* An RSA (2048 to 8192 bits), P-256 or Ed25519 public key or certificate; -EINVAL: none of these.
 */
int token_keys_add_pem(struct token_keys *keys, struct span pem);
int token_keys_add_pem_file(struct token_keys *keys, const char *path);

/* What came of a key set (jwks.c). */
struct token_jwks_report {
    size_t taken;
    size_t passed_over; /* keys for something else than tokens of ours */
    bool has_secret;    /* one of those taken is a secret */
    char problem[200];  /* for people, when the set was refused */
};

/*
 * The keys of a JWKS (RFC 7517). Those for another use or algorithm are passed over; one that is
 * for us and cannot be used refuses the whole set, named in the report: -EINVAL, and -ENOSPC when
 * there are too many. `keys` is to be freed then.
 */
int token_keys_add_jwks(
    struct token_keys *keys, struct span text, struct token_jwks_report *ret_report);
/* The same of a file; -EPERM when it has a secret that others may read, -errno. */
int token_keys_add_jwks_file(
    struct token_keys *keys, const char *path, struct token_jwks_report *ret_report);

/* `ret_claims` is written when the token is valid. */
enum token_verdict token_verify(struct token_claims *ret_claims, const struct token_keys *keys,
    const struct token_policy *policy, struct span token, uint64_t now);

struct token_grant {
    const char *user;
    const char *issuer;   /* "" or NULL: no iss */
    const char *audience; /* "" or NULL: no aud */
    struct span more;     /* further claims: members of a JSON object; empty: none */
    uint64_t now;
    uint64_t lifetime; /* seconds */
};

/* Appends an HS256 token. -EINVAL when the user is no identifier. */
int token_sign(
    struct buffer *out, const struct token_secret *secret, const struct token_grant *grant);

/*
 * Reads a secret: one line of hexadecimal or base64url that stands for TOKEN_SECRET_MIN bytes or
 * more. -EPERM when others may read or write the file, -EINVAL when it holds no such line, -errno.
 */
int token_key_load(struct token_secret *ret_secret, const char *path);
/*
 * The same, and makes the file (0600, random) when it is missing. Whoever of several processes
 * comes first makes it; all read the same key.
 */
int token_key_load_or_create(struct token_secret *ret_secret, const char *path);
