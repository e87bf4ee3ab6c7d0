/* SPDX-License-Identifier: Apache-2.0 */
#include "admission.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

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

bool admission_check_filter(
    struct http_refusal *ret_refusal, struct gateway *gateway, const struct handshake *handshake)
{
    if (handshake->threads_asked <= gateway->config->gateway_max_filter_threads)
        return true;
    gateway->counters.refused_filter++;
    http_refusal_set(
        ret_refusal, 400, "invalid_argument", "there are too many threads in the filter");
    return false;
}

bool admission_check_ready(struct http_refusal *ret_refusal, const struct gateway *gateway)
{
    if (gateway->draining)
        return admission_refuse_for_now(
            ret_refusal, 503, ADMISSION_RETRY_SOON, "this gateway is draining");
    if (!brokers_any_ready(gateway->brokers))
        return admission_refuse_for_now(
            ret_refusal, 503, ADMISSION_RETRY_SOON, "no broker can be reached");
    return true;
}

bool admission_check_broker(
    struct http_refusal *ret_refusal, const struct gateway *gateway, const char *user)
{
    if (broker_link_ready(brokers_link_of(gateway->brokers, user)))
        return true;
    return admission_refuse_for_now(
        ret_refusal, 503, ADMISSION_RETRY_SOON, "the user's broker cannot be reached");
}

bool admission_check_token(struct token_claims *ret_claims, struct http_refusal *ret_refusal,
    struct gateway *gateway, const struct http_request *request)
{
    struct span token = handshake_token(request);
    if (!token.len) {
        gateway->counters.refused_token++;
        http_refusal_set(ret_refusal, 401, "unauthenticated", "a bearer token is needed");
        return false;
    }
    enum token_verdict verdict = auth_verify(ret_claims, gateway->auth, token);
    if (verdict == TOKEN_VALID)
        return true;
    gateway->counters.refused_token++;
    http_refusal_set(
        ret_refusal, 401, token_verdict_code(verdict), "%s", token_verdict_text(verdict));
    return false;
}

bool admission_check_admin(
    struct http_refusal *ret_refusal, struct gateway *gateway, const struct http_request *request)
{
    struct token_claims claims;
    if (!admission_check_token(&claims, ret_refusal, gateway, request))
        return false;
    if (claims.admin)
        return true;
    http_refusal_set(ret_refusal, 403, "permission_denied", "this is for administrators");
    return false;
}

/* ---- limits */

static struct quota_limits user_limits(const struct config *config)
{
    return (struct quota_limits){.at_once = config->gateway_max_connections_per_user,
        .per_second = config->gateway_connection_rate_per_user};
}

static struct quota_limits address_limits(
    const struct gateway *gateway, const struct address *address)
{
    const struct config *config = gateway->config;
    if (networks_have(&gateway->lists.unlimited, address))
        return (struct quota_limits){0, 0};
    return (struct quota_limits){.at_once = config->gateway_max_connections_per_address,
        .per_second = config->gateway_connection_rate_per_address};
}

/* How a quota refuses, and where that is counted. */
struct refusals {
    const char *crowded;
    const char *hasty;
    uint64_t *crowded_count;
    uint64_t *hasty_count;
};

static bool check_quota(struct http_refusal *refusal, const struct quotas *quotas, struct span name,
    const struct quota_limits *limits, const struct refusals *refusals)
{
    uint64_t wait_ms;
    switch (quotas_check(quotas, name, limits, clock_monotonic_ms(), &wait_ms)) {
    case QUOTA_FINE: return true;
    case QUOTA_CROWDED:
        ++*refusals->crowded_count;
        return admission_refuse_for_now(refusal, 429, RETRY_CROWDED, refusals->crowded);
    case QUOTA_HASTY: break;
    }
    ++*refusals->hasty_count;
    return admission_refuse_for_now(
        refusal, 429, (unsigned)((wait_ms + 999) / 1000), refusals->hasty);
}

static bool check_user(
    struct http_refusal *refusal, struct gateway *gateway, const struct admitted *admitted)
{
    const struct refusals refusals = {
        .crowded = "this user has too many connections",
        .hasty = "this user connects too often",
        .crowded_count = &gateway->counters.refused_user_connections,
        .hasty_count = &gateway->counters.refused_user_rate,
    };
    const struct quota_limits limits = user_limits(gateway->config);
    return check_quota(
        refusal, &gateway->users, span_of_string(admitted->claims.user), &limits, &refusals);
}

static bool check_address(
    struct http_refusal *refusal, struct gateway *gateway, const struct admitted *admitted)
{
    const struct refusals refusals = {
        .crowded = "this address has too many connections",
        .hasty = "this address connects too often",
        .crowded_count = &gateway->counters.refused_address_connections,
        .hasty_count = &gateway->counters.refused_address_rate,
    };
    char room[ADDRESS_HOLDER_SIZE];
    const struct quota_limits limits = address_limits(gateway, &admitted->address);
    return check_quota(
        refusal, &gateway->addresses, address_holder(room, &admitted->address), &limits, &refusals);
}

static bool check_limits(
    struct http_refusal *refusal, struct gateway *gateway, const struct admitted *admitted)
{
    if (gateway->counters.connections >= gateway->config->gateway_max_connections) {
        gateway->counters.refused_full++;
        return admission_refuse_for_now(refusal, 429, RETRY_CROWDED, "this gateway is full");
    }
    return check_address(refusal, gateway, admitted) && check_user(refusal, gateway, admitted);
}

/* ---- the whole of it */

static bool check_origin(
    struct http_refusal *refusal, struct gateway *gateway, const struct http_request *request)
{
    if (handshake_origin_allowed(request, gateway->config->gateway_allowed_origins))
        return true;
    gateway->counters.refused_origin++;
    http_refusal_set(refusal, 403, "permission_denied", "pages of this origin may not connect");
    return false;
}

static struct address client_of(const struct gateway *gateway, const struct http_exchange *exchange,
    const struct http_request *request)
{
    bool plain = strcmp(gateway->config->gateway_proxy_header, "x-forwarded-for") == 0;
    struct address peer = http_exchange_peer(exchange);
    return forwarded_client(
        &gateway->lists.proxies, &peer, request, plain ? FORWARDED_X : FORWARDED_RFC7239);
}

bool admission_check(struct admitted *ret_admitted, struct http_refusal *ret_refusal,
    struct gateway *gateway, const struct http_exchange *exchange,
    const struct http_request *request)
{
    ret_admitted->address = client_of(gateway, exchange, request);
    return check_origin(ret_refusal, gateway, request) &&
           admission_check_ready(ret_refusal, gateway) &&
           admission_check_token(&ret_admitted->claims, ret_refusal, gateway, request) &&
           admission_check_broker(ret_refusal, gateway, ret_admitted->claims.user) &&
           check_limits(ret_refusal, gateway, ret_admitted);
}

static int take_places(
    struct quota_ticket *ticket, struct gateway *gateway, const struct admitted *admitted)
{
    char room[ADDRESS_HOLDER_SIZE];
    uint64_t now_ms = clock_monotonic_ms();
    const struct quota_limits of_user = user_limits(gateway->config);
    const struct quota_limits of_address = address_limits(gateway, &admitted->address);
    int rc = quotas_enter(
        &ticket->user, &gateway->users, span_of_string(admitted->claims.user), &of_user, now_ms);
    if (!rc)
        rc = quotas_enter(&ticket->address, &gateway->addresses,
            address_holder(room, &admitted->address), &of_address, now_ms);
    return rc;
}

bool admission_start(struct session **ret_session, struct http_refusal *ret_refusal,
    struct gateway *gateway, const struct admitted *admitted, const struct handshake *handshake)
{
    struct session *session = NULL;
    int rc = session_new(&session, &gateway->host, &admitted->claims, handshake);
    if (!rc)
        rc = take_places(&session->ticket, gateway, admitted);
    if (!rc) {
        session->address = admitted->address;
        *ret_session = session;
        return true;
    }
    session_free(session);
    return admission_refuse_for_now(ret_refusal, 503, ADMISSION_RETRY_SOON, "out of memory");
}

/* ---- configuration and time */

static bool read_list(struct networks *ret_networks, const char *key, const char *list)
{
    struct span wrong;
    if (networks_parse(ret_networks, list, &wrong))
        return true;
    log_error("gateway",
        "gateway.%s: \"%.*s\": an address, or a network as 192.0.2.0/24, at most %d of them", key,
        SPAN_ARG(wrong), NETWORKS_MAX);
    return false;
}

int admission_read_lists(struct address_lists *ret_lists, const struct config *config)
{
    struct address_lists lists;
    if (!read_list(&lists.proxies, "trusted_proxies", config->gateway_trusted_proxies) ||
        !read_list(&lists.unlimited, "unlimited_addresses", config->gateway_unlimited_addresses))
        return -EINVAL;
    *ret_lists = lists;
    return 0;
}

void admission_tick(struct gateway *gateway, uint64_t now_ms)
{
    const struct config *config = gateway->config;
    const struct quota_limits of_user = user_limits(config);
    const struct quota_limits of_address = {.at_once = config->gateway_max_connections_per_address,
        .per_second = config->gateway_connection_rate_per_address};
    quotas_tick(&gateway->users, &of_user, now_ms);
    quotas_tick(&gateway->addresses, &of_address, now_ms);
}
