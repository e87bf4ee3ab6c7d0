/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way in: which request gets which answer, and which becomes a session.
 */
#include "admission.h"
#include "session_list.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void respond(struct http_exchange *exchange, struct http_response *response)
{
    http_exchange_respond(exchange, response);
    http_response_deinit(response);
}

static void respond_refusal(struct http_exchange *exchange, const struct http_refusal *refusal)
{
    struct http_response response;
    http_response_refuse(&response, refusal);
    respond(exchange, &response);
}

/* ---- connections */

typedef bool parse_form(struct handshake *ret_handshake, struct http_refusal *ret_refusal,
    const struct http_request *request);

/* The session of a request that may become a connection, or NULL when it was answered. */
static struct session *admit(struct gateway *gateway, struct http_exchange *exchange,
    const struct http_request *request, parse_form *parse)
{
    struct http_refusal refusal;
    struct handshake handshake;
    struct admitted admitted;
    struct session *session = NULL;
    if (!parse(&handshake, &refusal, request) ||
        !admission_check_filter(&refusal, gateway, &handshake) ||
        !admission_check(&admitted, &refusal, gateway, exchange, request) ||
        !admission_start(&session, &refusal, gateway, &admitted, &handshake)) {
        gateway->counters.handshakes_refused++;
        respond_refusal(exchange, &refusal);
        return NULL;
    }
    return session;
}

static void start_session(struct gateway *gateway, struct http_exchange *exchange,
    const struct http_request *request, struct session *session)
{
    struct ws_connection *connection;
    char key[32];
    snprintf(key, sizeof(key), "%.*s", SPAN_ARG(request->websocket_key));
    int fd = http_exchange_take_socket(exchange);
    const struct ws_upgrade upgrade = {.fd = fd,
        .key = span_of_string(key),
        .binary = session->format == FRAME_MSGPACK,
        .owner = session};
    if (ws_server_adopt(&connection, gateway->sockets, &upgrade) < 0)
        session_free(session);
    else
        session_start(session, ws_connection_carrier(connection));
}

static void handle_handshake(
    struct gateway *gateway, struct http_exchange *exchange, const struct http_request *request)
{
    struct session *session = admit(gateway, exchange, request, handshake_parse);
    if (!session)
        return;
    gateway->counters.handshakes_accepted++;
    start_session(gateway, exchange, request, session);
}

static void handle_events(
    struct gateway *gateway, struct http_exchange *exchange, const struct http_request *request)
{
    struct carrier *carrier;
    struct session *session = admit(gateway, exchange, request, handshake_parse_events);
    if (!session)
        return;
    gateway->counters.event_streams_accepted++;
    int fd = http_exchange_take_socket(exchange);
    if (http_streams_adopt(&carrier, gateway->streams, fd, session) < 0)
        session_free(session);
    else
        session_start(session, carrier);
}

/* ---- /health/websocket: the token check, the broker, and back */

struct probe {
    struct link_call call;
    struct http_exchange *exchange;
};

static void probe_done(struct link_call *call, const struct wire_message *answer)
{
    struct probe *probe = CONTAINER_OF(call, struct probe, call);
    struct http_response response;
    if (answer && answer->kind == WIRE_REPLY && !answer->reply.code.len)
        http_response_health(&response, 200, "ok", NULL);
    else
        http_response_health(&response, 503, "failed", "the broker does not answer");
    respond(probe->exchange, &response);
    free(probe);
}

void front_handle_gone(void *context, void *owner)
{
    (void)context;
    struct probe *probe = owner;
    broker_link_cancel(&probe->call);
    free(probe);
}

static void handle_probe(
    struct gateway *gateway, struct http_exchange *exchange, const struct http_request *request)
{
    struct http_refusal refusal;
    struct token_claims claims;
    struct wire_message message = {.kind = WIRE_PING};
    if (!admission_check_token(&claims, &refusal, gateway, request) ||
        !admission_check_ready(&refusal, gateway) ||
        !admission_check_broker(&refusal, gateway, claims.user)) {
        respond_refusal(exchange, &refusal);
        return;
    }
    struct probe *probe = calloc(1, sizeof(*probe));
    if (probe) {
        probe->exchange = exchange;
        probe->call.done = probe_done;
    }
    struct broker_link *link = brokers_link_of(gateway->brokers, claims.user);
    if (!probe || broker_link_call(link, &probe->call, &message) < 0) {
        struct http_response response;
        http_response_health(&response, 503, "failed", "the broker cannot be asked");
        free(probe);
        respond(exchange, &response);
        return;
    }
    http_exchange_hold(exchange, probe);
}

/* ---- the other addresses */

static void handle_live(
    struct gateway *gateway, struct http_exchange *exchange, const struct http_request *request)
{
    (void)gateway;
    (void)request;
    struct http_response response;
    http_response_health(&response, 200, "live", NULL);
    respond(exchange, &response);
}

static void handle_ready(
    struct gateway *gateway, struct http_exchange *exchange, const struct http_request *request)
{
    (void)request;
    struct http_response response;
    struct http_refusal refusal;
    _cleanup_(buffer_deinit) struct buffer away = BUFFER_INIT;
    buffer_append_string(&away, "cannot be reached: ");
    bool all = brokers_append_away(&away, gateway->brokers) == 0;
    buffer_append_char(&away, '\0');
    const char *reason = all || buffer_error(&away) ? NULL : away.data;
    if (admission_check_ready(&refusal, gateway))
        http_response_health(&response, 200, "ready", reason);
    else
        http_response_health(&response, 503, "not_ready", refusal.error.message);
    respond(exchange, &response);
}

static void handle_metrics(
    struct gateway *gateway, struct http_exchange *exchange, const struct http_request *request)
{
    struct buffer text = BUFFER_INIT;
    struct http_response response;
    struct http_refusal refusal;
    if (strcmp(gateway->config->gateway_metrics_access, "admin") == 0 &&
        !admission_check_admin(&refusal, gateway, request)) {
        respond_refusal(exchange, &refusal);
        return;
    }
    counters_append_metrics(&text, &gateway->counters);
    http_response_text(&response, METRICS_TYPE, &text);
    respond(exchange, &response);
}

/* The user named in `?user=`; false on a query that is broken. */
static bool wanted_user(char *room, struct span *ret_user, struct span query)
{
    struct span name;
    struct span value;
    int rc;
    *ret_user = SPAN_EMPTY;
    while ((rc = http_query_next(&query, room, &name, &value)) > 0) {
        if (span_is(name, "user")) {
            *ret_user = value;
            return identifier_valid(value);
        }
    }
    return rc == 0;
}

static void handle_connections(
    struct gateway *gateway, struct http_exchange *exchange, const struct http_request *request)
{
    char room[HTTP_HEAD_MAX];
    struct span user;
    struct buffer json = BUFFER_INIT;
    struct http_response response;
    struct http_refusal refusal;
    bool granted = admission_check_admin(&refusal, gateway, request);
    if (granted && !wanted_user(room, &user, request->query)) {
        http_refusal_set(&refusal, 400, "invalid_argument", "user is no identifier");
        granted = false;
    }
    if (!granted) {
        respond_refusal(exchange, &refusal);
        return;
    }
    session_list_append(&json, &gateway->host.sessions, user, clock_monotonic_ms());
    http_response_text(&response, "application/json", &json);
    respond(exchange, &response);
}

static void handle_page(
    struct gateway *gateway, struct http_exchange *exchange, const struct http_request *request)
{
    struct http_response response;
    http_response_page(&response, request, gateway->config->gateway_web_root);
    respond(exchange, &response);
}

void front_handle_request(
    void *context, struct http_exchange *exchange, const struct http_request *request)
{
    static const struct {
        const char *path;
        void (*handle)(struct gateway *gateway, struct http_exchange *exchange,
            const struct http_request *request);
    } routes[] = {
        {HANDSHAKE_PATH, handle_handshake},
        {HANDSHAKE_EVENTS_PATH, handle_events},
        {"/health/live", handle_live},
        {"/health/ready", handle_ready},
        {"/health/websocket", handle_probe},
        {"/metrics", handle_metrics},
        {"/admin/connections", handle_connections},
    };
    struct gateway *gateway = context;
    gateway->counters.http_requests++;
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (span_is(request->path, routes[i].path)) {
            routes[i].handle(gateway, exchange, request);
            return;
        }
    }
    handle_page(gateway, exchange, request);
}
