/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "gateway.h"

/*
 * Whether a request may become a connection: checked from what costs least and tells least to what
 * costs most. The caller has looked at its form before (400). What is left, in order: its origin
 * (403), whether there is a broker and no draining (503), its token (401), whether its user's
 * broker is there (503), limits (429).
 */
struct admitted {
    struct token_claims claims;
    struct address address; /* the client's, if proxies are to be believed */
};

/* False, with the refusal set. Nothing is counted yet, so a refusal leaves no trace. */
bool admission_check(struct admitted *ret_admitted, struct http_refusal *ret_refusal,
    struct gateway *gateway, const struct http_exchange *exchange,
    const struct http_request *request);
/* The session of who was admitted, which counts from now on. False, with the refusal set. */
bool admission_start(struct session **ret_session, struct http_refusal *ret_refusal,
    struct gateway *gateway, const struct admitted *admitted, const struct handshake *handshake);

/* Part of its form: 400 with more threads than may be in a filter. */
bool admission_check_filter(
    struct http_refusal *ret_refusal, struct gateway *gateway, const struct handshake *handshake);

/* Single steps of it, for requests that become no connection. */
bool admission_check_ready(struct http_refusal *ret_refusal, const struct gateway *gateway);
bool admission_check_broker(
    struct http_refusal *ret_refusal, const struct gateway *gateway, const char *user);
bool admission_check_token(struct token_claims *ret_claims, struct http_refusal *ret_refusal,
    struct gateway *gateway, const struct http_request *request);
/* An administrator's token: 401 without any, 403 with a user's. */
bool admission_check_admin(
    struct http_refusal *ret_refusal, struct gateway *gateway, const struct http_request *request);

/* A refusal that another time may not be one: 429 `rate_limited`, else `unavailable`. */
bool admission_refuse_for_now(
    struct http_refusal *ret_refusal, int status, unsigned retry_after, const char *why);
#define ADMISSION_RETRY_SOON 1

/* As the configuration has them. -EINVAL after saying on the log what is wrong. */
int admission_read_lists(struct address_lists *ret_lists, const struct config *config);
/* Once a second. */
void admission_tick(struct gateway *gateway, uint64_t now_ms);
