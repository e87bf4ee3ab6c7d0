/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol.h"

/*
 * The frames that belong to a connection, as JSON text: welcome, gap, caught_up, going_away and
 * replies. Each appends one object to `out`; errors are the buffer's. Pure.
 */
struct control_limits {
    uint64_t max_frame;   /* bytes of one message */
    uint64_t max_content; /* bytes of a chat.send's content */
    uint64_t max_messages_per_second;
    uint64_t max_pending_requests;
    uint64_t max_filter_threads;
};

struct control_welcome {
    const char *connection_id;
    const char *user_id;
    struct span epoch;
    uint64_t head;
    uint64_t oldest;
    struct span runs; /* JSON array; empty: none */
    uint64_t heartbeat_ms;
    struct control_limits limits;
    const char *resume;
};

/* The result of a subscribe: what a welcome says of the stream. */
struct control_subscribed {
    struct span epoch;
    uint64_t head;
    uint64_t oldest;
    struct span runs; /* as above */
    const char *resume;
};

void control_append_subscribed(struct buffer *out, const struct control_subscribed *subscribed);
/* {"epoch","head","oldest"}: with a refused cursor. */
void control_append_bounds(struct buffer *out, struct span epoch, uint64_t head, uint64_t oldest);
void control_append_welcome(struct buffer *out, const struct control_welcome *welcome);
void control_append_gap(struct buffer *out, uint64_t from, uint64_t to, const char *reason);
/* `body`: a JSON object, what the broker says of one run. */
void control_append_snapshot(struct buffer *out, struct span body);
void control_append_caught_up(struct buffer *out, uint64_t seq);
/* Milliseconds since the Unix epoch. */
void control_append_token_expiring(struct buffer *out, uint64_t expires_at, uint64_t closes_at);

struct control_going_away {
    const char *reason;
    uint64_t reconnect_after_ms;
    const char *epoch;
    uint64_t seq;
};

/* For a carrier that has no close codes of its own. */
void control_append_close(struct buffer *out, int code, const char *reason);
void control_append_going_away(struct buffer *out, const struct control_going_away *going_away);

/* `id` and `result` are JSON. */
void control_append_result(struct buffer *out, struct span id, struct span result);
/* `data`: JSON, or empty. */
void control_append_error(
    struct buffer *out, struct span id, const struct protocol_error *error, struct span data);
/* {"error":{"code","message","retryable"}}: the body of a refused HTTP request. */
void control_append_http_error(struct buffer *out, const struct protocol_error *error);
