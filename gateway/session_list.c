/* SPDX-License-Identifier: Apache-2.0 */
#include "session_list.h"

#include "session_private.h"

#include "base/json.h"

static const char *format_name(enum frame_format format)
{
    switch (format) {
    case FRAME_MSGPACK: return "msgpack";
    case FRAME_SSE: return "sse";
    default: return "json";
    }
}

static const char *state_name(const struct session *session)
{
    if (session->state == SESSION_OPENING)
        return "opening";
    if (session->state == SESSION_CLOSING)
        return "closing";
    return session->view.replaying ? "replaying" : "live";
}

static void append_one(struct buffer *out, const struct session *session, uint64_t now_ms)
{
    char address[ADDRESS_TEXT_SIZE];
    address_format(address, &session->address);
    buffer_append_char(out, '{');
    json_append_member(out, "connection_id", span_of_string(session->id));
    json_append_member(out, "user_id", span_of_string(session->user));
    json_append_member(out, "address", span_of_string(address));
    json_append_member(out, "format", span_of_string(format_name(session->format)));
    json_append_member(out, "state", span_of_string(state_name(session)));
    json_append_member_uint(out, "age_ms", now_ms - session->started_at);
    json_append_member_uint(out, "silent_ms", now_ms - session->heard_at);
    json_append_member_uint(out, "expires_at", session->expires_at * 1000);
    json_append_member_uint(out, "position", session->view.position);
    json_append_member_uint(out, "acked", session->acked);
    json_append_member_uint(out, "waiting_bytes", session_waiting(session));
    json_append_member_uint(out, "pending_requests", session->request_count);
    json_append_member_uint(out, "filter_threads", session->filter ? session->filter->count : 0);
    buffer_append_char(out, '}');
}

void session_list_append(
    struct buffer *out, const struct list_link *sessions, struct span user, uint64_t now_ms)
{
    uint64_t total = 0;
    buffer_append_string(out, "{\"connections\":[");
    LIST_FOR_EACH(struct session, session, sessions, host_link)
    {
        if (user.len && !span_is(user, session->user))
            continue;
        if (total++ >= SESSION_LIST_MAX)
            continue;
        if (total > 1)
            buffer_append_char(out, ',');
        append_one(out, session, now_ms);
    }
    buffer_append_char(out, ']');
    json_append_member_uint(out, "total", total);
    buffer_append_char(out, '}');
}
