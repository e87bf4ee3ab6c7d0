/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/request.h"

#include "base/json.h"
#include "base/json_member.h"

/* ---- messages */

static void begin_message(struct buffer *messages, const char *role)
{
    if (messages->len)
        buffer_append_char(messages, ',');
    buffer_append_char(messages, '{');
    json_append_member(messages, "role", span_of_string(role));
}

void llm_request_add_message(struct buffer *messages, const char *role, struct span content)
{
    begin_message(messages, role);
    json_append_name(messages, "content");
    json_append_one_line(messages, content);
    buffer_append_char(messages, '}');
}

static void append_call(struct buffer *messages, const struct llm_call *call)
{
    buffer_append_char(messages, '{');
    json_append_member(messages, "id", buffer_span(&call->id));
    json_append_member(messages, "type", SPAN_LITERAL("function"));
    json_append_name(messages, "function");
    buffer_append_char(messages, '{');
    json_append_member(messages, "name", buffer_span(&call->name));
    json_append_member(messages, "arguments", buffer_span(&call->arguments));
    buffer_append_string(messages, "}}");
}

void llm_request_add_answer(struct buffer *messages, const struct llm_turn *turn)
{
    begin_message(messages, "assistant");
    if (turn->text.len)
        json_append_member(messages, "content", buffer_span(&turn->text));
    else
        json_append_member_raw(messages, "content", SPAN_LITERAL("null"));
    if (turn->call_count) {
        json_append_name(messages, "tool_calls");
        buffer_append_char(messages, '[');
        for (size_t i = 0; i < turn->call_count; i++) {
            if (i)
                buffer_append_char(messages, ',');
            append_call(messages, &turn->calls[i]);
        }
        buffer_append_char(messages, ']');
    }
    buffer_append_char(messages, '}');
}

void llm_request_add_result(struct buffer *messages, struct span call_id, struct span text)
{
    begin_message(messages, "tool");
    json_append_member(messages, "tool_call_id", call_id);
    json_append_member(messages, "content", text);
    buffer_append_char(messages, '}');
}

/* ---- requests */

/* Those of `parameters` that `before` has not. */
static void append_parameters(struct buffer *out, struct span parameters, struct span before)
{
    struct json_member member;
    for (size_t at = 0; json_member_next(&member, parameters, &at);) {
        char name[128];
        if (member.name.len < sizeof(name)) {
            memcpy(name, member.name.data, member.name.len);
            name[member.name.len] = '\0';
            if (json_member_value(before, name).len)
                continue;
        }
        buffer_append_string(out, ",\"");
        buffer_append_span(out, member.name);
        buffer_append_string(out, "\":");
        json_append_one_line(out, member.value);
    }
}

void llm_request_append(struct buffer *out, const struct llm_settings *settings,
    const struct llm_provider *provider, const struct llm_tools *tools, struct span messages)
{
    buffer_append_char(out, '{');
    json_append_member_raw(out, "model", provider->model);
    json_append_name(out, "messages");
    buffer_append_char(out, '[');
    buffer_append_span(out, messages);
    buffer_append_char(out, ']');
    json_append_member_bool(out, "stream", true);
    if (provider->usage)
        json_append_member_raw(out, "stream_options", SPAN_LITERAL("{\"include_usage\":true}"));
    if (tools->count) {
        json_append_name(out, "tools");
        llm_tools_append(out, tools);
    }
    append_parameters(out, provider->parameters, SPAN_EMPTY);
    append_parameters(out, settings->parameters, provider->parameters);
    buffer_append_char(out, '}');
}
