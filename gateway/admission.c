/* SPDX-License-Identifier: Apache-2.0 */
#include "admission.h"

#define RETRY_CROWDED 10

bool admission_refuse_for_now(
    struct http_refusal *ret_refusal, int status, unsigned retry_after, const char *why)
{
    const char *code = status == 429 ? "rate_limited" : "unavailable";
    http_refusal_set(ret_refusal, status, code, "%s", why);
    ret_refusal->error.retryable = true;
    ret_refusal->retry_after = retry_after;
    return false;
}

bool admission_check_ready(struct http_refusal *ret_refusal, const struct gateway *gateway)
{
    if (gateway->draining)
        return admission_refuse_for_now(
            ret_refusal, 503, ADMISSION_RETRY_SOON, "this gateway is draining");
    if (!broker_link_ready(gateway->link))
        return admission_refuse_for_now(
            ret_refusal, 503, ADMISSION_RETRY_SOON, "the broker cannot be reached");
    return true;
}

bool admission_check_token(struct token_claims *ret_claims, struct http_refusal *ret_refusal,
    const struct gateway *gateway, const struct http_request *request)
{
    struct span token = handshake_token(request);
    if (!token.len) {
        http_refusal_set(ret_refusal, 401, "unauthenticated", "a bearer token is needed");
        return false;
    }
    enum token_verdict verdict = auth_verify(ret_claims, gateway->auth, token);
    if (verdict == TOKEN_VALID)
        return true;
    http_refusal_set(
        ret_refusal, 401, token_verdict_code(verdict), "%s", token_verdict_text(verdict));
    return false;
}

bool admission_check_admin(struct http_refusal *ret_refusal, const struct gateway *gateway,
    const struct http_request *request)
{
    struct token_claims claims;
    if (!admission_check_token(&claims, ret_refusal, gateway, request))
        return false;
    if (claims.admin)
        return true;
    http_refusal_set(ret_refusal, 403, "permission_denied", "this is for administrators");
    return false;
}

static bool check_limits(
    struct http_refusal *refusal, const struct gateway *gateway, const char *user)
{
    const struct config *config = gateway->config;
    if (gateway->counters.connections >= config->gateway_max_connections)
        return admission_refuse_for_now(refusal, 429, RETRY_CROWDED, "this gateway is full");
    if (fanout_user_sessions(&gateway->fanout, user) >= config->gateway_max_connections_per_user)
        return admission_refuse_for_now(
            refusal, 429, RETRY_CROWDED, "this user has too many connections");
    return true;
}

bool admission_check(struct token_claims *ret_claims, struct http_refusal *ret_refusal,
    const struct gateway *gateway, const struct http_request *request)
{
    if (!handshake_origin_allowed(request, gateway->config->gateway_allowed_origins)) {
        http_refusal_set(
            ret_refusal, 403, "permission_denied", "pages of this origin may not connect");
        return false;
    }
    return admission_check_ready(ret_refusal, gateway) &&
           admission_check_token(ret_claims, ret_refusal, gateway, request) &&
           check_limits(ret_refusal, gateway, ret_claims->user);
}
