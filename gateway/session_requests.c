/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client asks: each message is counted against the rate first, then decoded, then answered
 * here or handed to the broker. A request that waits for the broker belongs to its session and is
 * forgotten with it; what the broker does with it then is not undone (a run goes on without its
 * client).
 */
#include "session_private.h"
#include "transcode.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>

/* ---- replies */

void session_reply(struct session *session, struct span id, struct span result)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    if (!id.len)
        return;
    control_append_result(&json, id, result);
    session_send_text(session, &json);
}

void session_refuse(
    struct session *session, struct span id, const struct protocol_error *error, struct span data)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    session->host->counters->requests_failed++;
    if (!id.len)
        return;
    control_append_error(&json, id, error, data);
    session_send_text(session, &json);
}

static void refuse(
    struct session *session, struct span id, const char *code, const char *why, bool retryable)
{
    struct protocol_error error;
    protocol_error_set(&error, code, "%s", why);
    error.retryable = retryable;
    session_refuse(session, id, &error, SPAN_EMPTY);
}

void session_refuse_unavailable(struct session *session, struct span id)
{
    refuse(session, id, "unavailable", "the broker cannot be reached; try again", true);
}

/* ---- requests that wait for the broker */

void session_request_free(struct session_request *request)
{
    broker_link_cancel(&request->call);
    buffer_deinit(&request->id);
    free(request->subscribe);
    free(request);
}

void session_request_take(struct session_request *request)
{
    list_remove(&request->link);
    request->session->request_count--;
}

void session_cancel_requests(struct session *session)
{
    LIST_FOR_EACH(struct session_request, request, &session->requests, link)
    {
        session_request_take(request);
        session_request_free(request);
    }
}

void session_pass_reply(struct session *session, struct span id, const struct wire_reply *reply)
{
    struct protocol_error error;
    if (!reply->code.len) {
        session_reply(session, id, reply->result);
        return;
    }
    protocol_error_set(&error, "", "%.*s", SPAN_ARG(reply->message));
    snprintf(error.code, sizeof(error.code), "%.*s", SPAN_ARG(reply->code));
    error.retryable = reply->retryable != 0;
    bool has_data = reply->result.len && !span_is(reply->result, "{}");
    session_refuse(session, id, &error, has_data ? reply->result : SPAN_EMPTY);
}

/* The reply may overflow the outbox and close the session, hence the order. */
static void request_done(struct link_call *call, const struct wire_message *answer)
{
    struct session_request *request = CONTAINER_OF(call, struct session_request, call);
    session_request_take(request);
    if (answer && answer->kind == WIRE_REPLY)
        session_pass_reply(request->session, buffer_span(&request->id), &answer->reply);
    else
        session_refuse_unavailable(request->session, buffer_span(&request->id));
    session_request_free(request);
}

void session_forward(struct session *session, struct protocol_request *decoded,
    struct wire_message *message,
    void (*done)(struct link_call *call, const struct wire_message *answer))
{
    struct span id = buffer_span(&decoded->id);
    if (session->request_count >= session->host->config->gateway_max_pending_requests) {
        session->host->counters->requests_over_pending++;
        refuse(session, id, "rate_limited", "too many requests of this connection wait", true);
        return;
    }
    struct session_request *request = calloc(1, sizeof(*request));
    if (!request) {
        refuse(session, id, "internal", "out of memory", true);
        return;
    }
    request->session = session;
    request->call.done = done;
    list_init(&request->link);
    if (broker_link_call(session->link, &request->call, message) < 0) {
        session_request_free(request);
        session_refuse_unavailable(session, id);
        return;
    }
    request->id = decoded->id;
    decoded->id = BUFFER_INIT;
    request->subscribe = STEAL_POINTER(decoded->subscribe);
    list_append(&session->requests, &request->link);
    session->request_count++;
    session->host->counters->requests_forwarded++;
}

/* ---- methods */

static void do_chat_send(struct session *session, struct protocol_request *request)
{
    struct wire_message message = {.kind = WIRE_CHAT_SEND,
        .chat_send = {.user = span_of_string(session->user),
            .thread_id = request->thread_id,
            .message_id = request->message_id,
            .content = buffer_span(&request->content),
            .agent = request->agent,
            .on_busy = request->on_busy,
            .on_disconnect = request->on_disconnect,
            .retry_of = request->retry_of}};
    session_forward(session, request, &message, request_done);
}

static void do_run_cancel(struct session *session, struct protocol_request *request)
{
    struct wire_message message = {.kind = WIRE_RUN_CANCEL,
        .run_cancel = {.user = span_of_string(session->user),
            .run_id = request->run_id,
            .thread_id = request->thread_id,
            .reason = request->reason}};
    session_forward(session, request, &message, request_done);
}

static void do_runs_list(struct session *session, struct protocol_request *request)
{
    struct wire_message message = {.kind = WIRE_RUNS_LIST,
        .runs_list = {.user = span_of_string(session->user),
            .thread_id = request->thread_id,
            .state = request->state,
            .after = request->after,
            .limit = request->limit}};
    session_forward(session, request, &message, request_done);
}

static void do_run_get(struct session *session, struct protocol_request *request)
{
    struct wire_message message = {.kind = WIRE_RUN_GET,
        .run_get = {.user = span_of_string(session->user), .run_id = request->run_id}};
    session_forward(session, request, &message, request_done);
}

static void do_interrupt_respond(struct session *session, struct protocol_request *request)
{
    struct wire_message message = {.kind = WIRE_INTERRUPT_RESPOND,
        .interrupt_respond = {.user = span_of_string(session->user),
            .run_id = request->run_id,
            .interrupt_id = request->interrupt_id,
            .status = request->status,
            .payload = buffer_span(&request->content)}};
    session_forward(session, request, &message, request_done);
}

void session_send_ack(struct session *session)
{
    const struct wire_message message = {.kind = WIRE_ACK,
        .ack = {.user = span_of_string(session->user),
            .epoch = span_of_string(session->epoch),
            .seq = session->acked,
            .filtered = session->filter != NULL}};
    if (session_is_open(session) && session->acked > 0)
        broker_link_send(session->link, &message);
}

/* Only progress within what this connection was shown is passed on. */
static void do_ack(struct session *session, struct protocol_request *request)
{
    if (!session_is_open(session) || request->seq > session->view.position) {
        refuse(session, buffer_span(&request->id), "invalid_argument",
            "params.seq is beyond what was sent", false);
        return;
    }
    if (request->seq > session->acked) {
        session->acked = request->seq;
        session->host->counters->acks_forwarded++;
        session_send_ack(session); /* lost with the link: the next one, or the next link, says it */
    }
    session_reply(session, buffer_span(&request->id), SPAN_EMPTY);
}

static void do_auth_refresh(struct session *session, struct protocol_request *request)
{
    struct token_claims claims;
    struct span id = buffer_span(&request->id);
    enum token_verdict verdict = auth_verify(&claims, session->host->auth, request->token);
    if (verdict != TOKEN_VALID) {
        refuse(session, id, token_verdict_code(verdict), token_verdict_text(verdict), false);
        return;
    }
    if (strcmp(claims.user, session->user) != 0) {
        refuse(session, id, "permission_denied", "the token names another user", false);
        session_close(session, 4403, "the token names another user");
        return;
    }
    char result[64];
    session->expires_at = claims.expires_at;
    int len = snprintf(result, sizeof(result), "{\"expires_at\":%llu}",
        (unsigned long long)claims.expires_at * 1000);
    session_reply(session, id, span_of(result, (size_t)len));
}

static void do_ping(struct session *session, struct protocol_request *request)
{
    session_reply(session, buffer_span(&request->id), SPAN_EMPTY);
}

static void dispatch(struct session *session, struct protocol_request *request)
{
    static void (*const methods[METHOD_COUNT])(
        struct session * session, struct protocol_request * request) = {
        [METHOD_CHAT_SEND] = do_chat_send,
        [METHOD_RUN_CANCEL] = do_run_cancel,
        [METHOD_RUNS_LIST] = do_runs_list,
        [METHOD_RUN_GET] = do_run_get,
        [METHOD_INTERRUPT_RESPOND] = do_interrupt_respond,
        [METHOD_SUBSCRIBE] = session_handle_subscribe,
        [METHOD_ACK] = do_ack,
        [METHOD_AUTH_REFRESH] = do_auth_refresh,
        [METHOD_PING] = do_ping,
    };
    methods[request->method](session, request);
}

/* MessagePack is made JSON first, so that there is one decoder and one set of rules. */
static enum protocol_verdict decode(struct session *session, struct protocol_request *ret_request,
    struct protocol_error *ret_error, struct span message)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    if (session->format != FRAME_MSGPACK)
        return protocol_decode(ret_request, ret_error, message);
    if (transcode_to_json(&json, message) == 0)
        return protocol_decode(ret_request, ret_error, buffer_span(&json));
    *ret_request = (struct protocol_request){0};
    protocol_error_set(ret_error, "invalid_argument",
        "a frame must be one MessagePack map, of what JSON could say as well");
    return PROTOCOL_VIOLATION;
}

void session_handle_message(struct session *session, struct span message)
{
    struct protocol_request request;
    struct protocol_error error;
    struct counters *counters = session->host->counters;
    if (session->state == SESSION_CLOSING)
        return;
    counters->frames_received++;
    enum rate_verdict rate = rate_take(&session->rate, clock_monotonic_ms());
    if (rate == RATE_ABUSE) {
        session_close(session, 4429, "far too many messages");
        return;
    }
    enum protocol_verdict verdict = decode(session, &request, &error, message);
    struct span id = buffer_span(&request.id);
    counters->requests_rate_limited += rate == RATE_OVER;
    if (verdict == PROTOCOL_VIOLATION)
        session_close(session, 4400, error.message);
    else if (rate == RATE_OVER)
        refuse(session, id, "rate_limited", "too many messages a second; slow down", true);
    else if (verdict == PROTOCOL_REFUSED)
        session_refuse(session, id, &error, SPAN_EMPTY);
    else
        dispatch(session, &request);
    protocol_request_deinit(&request);
}
