/* SPDX-License-Identifier: Apache-2.0 */
#include "event/frame.h"

#include "base/json.h"

static void append_optional(struct buffer *out, const char *name, struct span text)
{
    if (text.len)
        json_append_member(out, name, text);
}

void event_frame_append(struct buffer *out, const struct event *event, uint64_t prev)
{
    buffer_append_string(out, "{\"type\":\"");
    buffer_append_string(out, event_type_name(event->type));
    buffer_append_string(out, "\",\"seq\":");
    buffer_append_uint(out, event->seq);
    buffer_append_string(out, ",\"prev\":");
    buffer_append_uint(out, prev);
    if (event->first_seq)
        json_append_member_uint(out, "first_seq", event->first_seq);
    json_append_member_uint(out, "timestamp", event->timestamp);
    append_optional(out, "thread_id", event->thread_id);
    append_optional(out, "run_id", event->run_id);
    append_optional(out, "request_id", event->request_id);
    append_optional(out, "agent", event->agent);
    append_optional(out, "message_id", event->message_id);
    append_optional(out, "tool_call_id", event->tool_call_id);
    if (event->flags & EVENT_FLAG_SYNTHETIC)
        json_append_member_bool(out, "synthetic", true);
    json_append_member_raw(out, "data", event->data.len ? event->data : SPAN_LITERAL("{}"));
    buffer_append_char(out, '}');
}
