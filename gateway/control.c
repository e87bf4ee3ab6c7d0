/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include "base/json.h"

#define PROTOCOL_NAME "ringside.v1"

static void append_limits(struct buffer *out, const struct control_limits *limits)
{
    json_append_name(out, "limits");
    buffer_append_char(out, '{');
    json_append_member_uint(out, "max_frame", limits->max_frame);
    json_append_member_uint(out, "max_content", limits->max_content);
    json_append_member_uint(out, "max_messages_per_second", limits->max_messages_per_second);
    json_append_member_uint(out, "max_pending_requests", limits->max_pending_requests);
    json_append_member_uint(out, "max_filter_threads", limits->max_filter_threads);
    buffer_append_char(out, '}');
}

static void begin(struct buffer *out, const char *type)
{
    buffer_append_char(out, '{');
    json_append_member(out, "type", span_of_string(type));
}

static void append_bounds(struct buffer *out, struct span epoch, uint64_t head, uint64_t oldest)
{
    json_append_member(out, "epoch", epoch);
    json_append_member_uint(out, "head", head);
    json_append_member_uint(out, "oldest", oldest);
}

static void append_runs(struct buffer *out, struct span runs)
{
    json_append_member_raw(out, "runs", runs.len ? runs : SPAN_LITERAL("[]"));
}

void control_append_bounds(struct buffer *out, struct span epoch, uint64_t head, uint64_t oldest)
{
    buffer_append_char(out, '{');
    append_bounds(out, epoch, head, oldest);
    buffer_append_char(out, '}');
}

void control_append_subscribed(struct buffer *out, const struct control_subscribed *subscribed)
{
    buffer_append_char(out, '{');
    append_bounds(out, subscribed->epoch, subscribed->head, subscribed->oldest);
    append_runs(out, subscribed->runs);
    json_append_member(out, "resume", span_of_string(subscribed->resume));
    buffer_append_char(out, '}');
}

void control_append_welcome(struct buffer *out, const struct control_welcome *welcome)
{
    begin(out, "welcome");
    json_append_member(out, "protocol", SPAN_LITERAL(PROTOCOL_NAME));
    json_append_member(out, "connection_id", span_of_string(welcome->connection_id));
    json_append_member(out, "user_id", span_of_string(welcome->user_id));
    append_bounds(out, welcome->epoch, welcome->head, welcome->oldest);
    append_runs(out, welcome->runs);
    json_append_member_uint(out, "heartbeat_ms", welcome->heartbeat_ms);
    append_limits(out, &welcome->limits);
    json_append_member(out, "resume", span_of_string(welcome->resume));
    buffer_append_char(out, '}');
}

void control_append_gap(struct buffer *out, uint64_t from, uint64_t to, const char *reason)
{
    begin(out, "gap");
    json_append_member_uint(out, "from", from);
    json_append_member_uint(out, "to", to);
    json_append_member(out, "reason", span_of_string(reason));
    buffer_append_char(out, '}');
}

void control_append_snapshot(struct buffer *out, struct span body)
{
    begin(out, "snapshot");
    buffer_append_char(out, ',');
    buffer_append(out, body.data + 1, body.len - 1);
}

void control_append_caught_up(struct buffer *out, uint64_t seq)
{
    begin(out, "caught_up");
    json_append_member_uint(out, "seq", seq);
    buffer_append_char(out, '}');
}

void control_append_token_expiring(struct buffer *out, uint64_t expires_at, uint64_t closes_at)
{
    begin(out, "token_expiring");
    json_append_member_uint(out, "expires_at", expires_at);
    json_append_member_uint(out, "closes_at", closes_at);
    buffer_append_char(out, '}');
}

void control_append_going_away(struct buffer *out, const struct control_going_away *going_away)
{
    begin(out, "going_away");
    json_append_member(out, "reason", span_of_string(going_away->reason));
    json_append_member_uint(out, "reconnect_after_ms", going_away->reconnect_after_ms);
    json_append_name(out, "cursor");
    buffer_printf(out, "\"%s.%llu\"}", going_away->epoch, (unsigned long long)going_away->seq);
}

void control_append_close(struct buffer *out, int code, const char *reason)
{
    begin(out, "close");
    json_append_member_uint(out, "code", (uint64_t)code);
    json_append_member(out, "reason", span_of_string(reason));
    buffer_append_char(out, '}');
}

void control_append_result(struct buffer *out, struct span id, struct span result)
{
    buffer_append_char(out, '{');
    json_append_member_raw(out, "id", id);
    json_append_member_raw(out, "result", result.len ? result : SPAN_LITERAL("{}"));
    buffer_append_char(out, '}');
}

static void append_error(struct buffer *out, const struct protocol_error *error, struct span data)
{
    json_append_name(out, "error");
    buffer_append_char(out, '{');
    json_append_member(out, "code", span_of_string(error->code));
    json_append_member(out, "message", span_of_string(error->message));
    json_append_member_bool(out, "retryable", error->retryable);
    if (data.len)
        json_append_member_raw(out, "data", data);
    buffer_append_char(out, '}');
}

void control_append_error(
    struct buffer *out, struct span id, const struct protocol_error *error, struct span data)
{
    buffer_append_char(out, '{');
    json_append_member_raw(out, "id", id);
    append_error(out, error, data);
    buffer_append_char(out, '}');
}

void control_append_http_error(struct buffer *out, const struct protocol_error *error)
{
    buffer_append_char(out, '{');
    append_error(out, error, SPAN_EMPTY);
    buffer_append_char(out, '}');
}
