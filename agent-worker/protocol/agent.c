/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/agent.h"

#include "protocol/thread_history.h"
#include "json/view.h"

#include "base/cleanup.h"
#include "base/json.h"

#define CODE_FALLBACK "agent_failed"
#define LIMIT_FALLBACK 20

static int bad_params(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return RPC_E_PARAMS;
}

/* An identifier that may be absent, which leaves "". */
static bool optional_identifier(char ret_id[IDENTIFIER_SIZE], struct span value)
{
    ret_id[0] = '\0';
    return value.len == 0 || json_identifier(ret_id, value);
}

static bool optional_bool(bool *ret_value, struct span value)
{
    enum json_kind kind = json_kind(value);
    *ret_value = span_is(value, "true");
    return kind == JSON_ABSENT || kind == JSON_BOOL;
}

/* ---- event */

/* The types an agent may emit itself; the others are made here, from what it asks for. */
static bool type_is_the_agents(const char *type)
{
    static const char *const types[] = {"agent_thinking", "partial_result", "error_event"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (strcmp(type, types[i]) == 0)
            return true;
    }
    return false;
}

static int parse_event_data(struct agent_event *event, struct span data, const char **ret_reason)
{
    struct span fatal;
    struct span final;
    const struct json_wanted wanted[] = {
        {"delta", &event->delta}, {"fatal", &fatal}, {"final", &final}};
    event->data = data.len ? data : SPAN_LITERAL("{}");
    if (!json_members(event->data, wanted, ARRAY_SIZE(wanted)))
        return bad_params(ret_reason, "data must be an object");
    if (json_kind(event->delta) != JSON_STRING)
        event->delta = SPAN_EMPTY;
    event->final = span_is(final, "true");
    if (strcmp(event->type, "error_event") == 0 && fatal.len && !span_is(fatal, "false"))
        return bad_params(ret_reason, "an error_event that ends the run is run/failed");
    return 0;
}

static int parse_event(struct agent_event *event, struct span params, const char **ret_reason)
{
    struct span type;
    struct span message_id;
    struct span tool_call_id;
    struct span data;
    struct span name;
    const struct json_wanted wanted[] = {{"type", &type}, {"message_id", &message_id},
        {"tool_call_id", &tool_call_id}, {"data", &data}};
    json_members(params, wanted, ARRAY_SIZE(wanted));
    if (!json_plain_string(&name, type) || name.len >= sizeof(event->type))
        return bad_params(ret_reason, "type must be the name of an event type");
    memcpy(event->type, name.data, name.len);
    event->type[name.len] = '\0';
    if (!type_is_the_agents(event->type))
        return bad_params(ret_reason, "type must be agent_thinking, partial_result or error_event");
    if (!optional_identifier(event->message_id, message_id))
        return bad_params(ret_reason, "message_id must be an identifier");
    if (!optional_identifier(event->tool_call_id, tool_call_id))
        return bad_params(ret_reason, "tool_call_id must be an identifier");
    return parse_event_data(event, data, ret_reason);
}

/* ---- the other methods */

static int parse_tool_call(
    struct agent_tool_call *call, struct span params, const char **ret_reason)
{
    struct span id;
    struct span name;
    const struct json_wanted wanted[] = {
        {"tool_call_id", &id}, {"name", &name}, {"args", &call->args}};
    json_members(params, wanted, ARRAY_SIZE(wanted));
    if (!optional_identifier(call->tool_call_id, id))
        return bad_params(ret_reason, "tool_call_id must be an identifier");
    if (!json_identifier(call->name, name))
        return bad_params(ret_reason, "name must be the name of a tool");
    if (call->args.len == 0)
        call->args = SPAN_LITERAL("{}");
    if (json_kind(call->args) != JSON_OBJECT)
        return bad_params(ret_reason, "args must be an object");
    return 0;
}

static int parse_interrupt(
    struct agent_interrupt *interrupt, struct span params, const char **ret_reason)
{
    struct span id;
    struct span expires_at;
    const struct json_wanted wanted[] = {{"interrupt_id", &id}, {"reason", &interrupt->reason},
        {"payload", &interrupt->payload}, {"expires_at", &expires_at}};
    json_members(params, wanted, ARRAY_SIZE(wanted));
    if (!optional_identifier(interrupt->interrupt_id, id))
        return bad_params(ret_reason, "interrupt_id must be an identifier");
    if (json_kind(interrupt->reason) != JSON_STRING)
        return bad_params(ret_reason, "reason must be a string");
    if (json_kind(interrupt->payload) == JSON_NULL)
        interrupt->payload = SPAN_EMPTY;
    if (expires_at.len &&
        (!json_uint(&interrupt->expires_at, expires_at) || !interrupt->expires_at))
        return bad_params(ret_reason, "expires_at must be milliseconds since the Unix epoch");
    return 0;
}

static int parse_messages(
    struct agent_messages *messages, struct span params, const char **ret_reason)
{
    struct span limit;
    const struct json_wanted wanted[] = {{"limit", &limit}};
    json_members(params, wanted, ARRAY_SIZE(wanted));
    messages->limit = LIMIT_FALLBACK;
    if (limit.len && (!json_uint(&messages->limit, limit) || !messages->limit ||
                         messages->limit > THREAD_HISTORY_LIMIT))
        return bad_params(ret_reason, "limit must be a number from 1 to 1000");
    return 0;
}

static bool parse_outcome(enum agent_outcome *ret_outcome, struct span value)
{
    if (value.len == 0 || span_is(value, "\"success\""))
        *ret_outcome = AGENT_OUTCOME_SUCCESS;
    else if (span_is(value, "\"cancelled\""))
        *ret_outcome = AGENT_OUTCOME_CANCELLED;
    else
        return false;
    return true;
}

static int parse_finished(
    struct agent_finished *finished, struct span params, const char **ret_reason)
{
    struct span outcome;
    const struct json_wanted wanted[] = {
        {"result", &finished->result}, {"usage", &finished->usage}, {"outcome", &outcome}};
    json_members(params, wanted, ARRAY_SIZE(wanted));
    if (!parse_outcome(&finished->outcome, outcome))
        return bad_params(ret_reason, "outcome must be success or cancelled");
    if (json_kind(finished->result) == JSON_NULL)
        finished->result = SPAN_EMPTY;
    if (finished->usage.len && json_kind(finished->usage) != JSON_OBJECT)
        return bad_params(ret_reason, "usage must be an object");
    return 0;
}

static int parse_failed(struct agent_failed *failed, struct span params, const char **ret_reason)
{
    struct span code;
    struct span retryable;
    const struct json_wanted wanted[] = {{"code", &code}, {"message", &failed->message},
        {"usage", &failed->usage}, {"retryable", &retryable}};
    json_members(params, wanted, ARRAY_SIZE(wanted));
    if (!optional_identifier(failed->code, code))
        return bad_params(ret_reason, "code must be an identifier");
    if (failed->code[0] == '\0')
        memcpy(failed->code, CODE_FALLBACK, sizeof(CODE_FALLBACK));
    if (failed->message.len && json_kind(failed->message) != JSON_STRING)
        return bad_params(ret_reason, "message must be a string");
    if (failed->usage.len && json_kind(failed->usage) != JSON_OBJECT)
        return bad_params(ret_reason, "usage must be an object");
    if (!optional_bool(&failed->retryable, retryable))
        return bad_params(ret_reason, "retryable must be true or false");
    return 0;
}

int agent_message_parse(
    struct agent_message *ret_message, const struct rpc_message *rpc, const char **ret_reason)
{
    struct agent_message *message = ret_message;
    struct span params = rpc->params.len ? rpc->params : SPAN_LITERAL("{}");
    bool object = json_kind(params) == JSON_OBJECT;
    *message = (struct agent_message){0};
    if (strcmp(rpc->method, "event") == 0)
        message->kind = AGENT_MESSAGE_EVENT;
    else if (strcmp(rpc->method, "tool/call") == 0)
        message->kind = AGENT_MESSAGE_TOOL_CALL;
    else if (strcmp(rpc->method, "interrupt/request") == 0)
        message->kind = AGENT_MESSAGE_INTERRUPT;
    else if (strcmp(rpc->method, "thread/messages") == 0)
        message->kind = AGENT_MESSAGE_MESSAGES;
    else if (strcmp(rpc->method, "run/finished") == 0)
        message->kind = AGENT_MESSAGE_FINISHED;
    else if (strcmp(rpc->method, "run/failed") == 0)
        message->kind = AGENT_MESSAGE_FAILED;
    else
        return RPC_E_UNKNOWN_METHOD;
    if (!object)
        return bad_params(ret_reason, "params must be an object");
    switch (message->kind) {
    case AGENT_MESSAGE_EVENT: return parse_event(&message->event, params, ret_reason);
    case AGENT_MESSAGE_TOOL_CALL: return parse_tool_call(&message->tool_call, params, ret_reason);
    case AGENT_MESSAGE_INTERRUPT: return parse_interrupt(&message->interrupt, params, ret_reason);
    case AGENT_MESSAGE_MESSAGES: return parse_messages(&message->messages, params, ret_reason);
    case AGENT_MESSAGE_FINISHED: return parse_finished(&message->finished, params, ret_reason);
    case AGENT_MESSAGE_FAILED: return parse_failed(&message->failed, params, ret_reason);
    }
    return RPC_E_UNKNOWN_METHOD;
}

/* ---- to the agent */

static void append_text(struct buffer *out, const char *name, const char *text)
{
    json_append_member(out, name, span_of_string(text));
}

void agent_append_initialize(
    struct buffer *out, uint64_t id, const struct agent_run *run, struct span tools)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    json_append_member_uint(&params, "protocol_version", AGENT_PROTOCOL_VERSION);
    append_text(&params, "run_id", run->run_id);
    append_text(&params, "agent", run->agent);
    json_append_member_raw(&params, "tools", tools);
    json_append_member_raw(&params, "settings", span_of_string(run->settings));
    buffer_append_char(&params, '}');
    rpc_append_request(out, id, "initialize", buffer_span(&params));
    out->broken |= params.broken;
    buffer_deinit(&params);
}

void agent_append_run_start(struct buffer *out, uint64_t id, const struct agent_run *run)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    append_text(&params, "run_id", run->run_id);
    append_text(&params, "thread_id", run->thread_id);
    append_text(&params, "request_id", run->request_id);
    append_text(&params, "user_id", run->user_id);
    if (run->message_id[0])
        append_text(&params, "message_id", run->message_id);
    json_append_name(&params, "input");
    buffer_append_char(&params, '{');
    json_append_name(&params, "content");
    json_append_one_line(&params, run->content);
    buffer_append_char(&params, '}');
    if (run->deadline)
        json_append_member_uint(&params, "deadline", run->deadline);
    buffer_append_char(&params, '}');
    rpc_append_request(out, id, "run/start", buffer_span(&params));
    out->broken |= params.broken;
    buffer_deinit(&params);
}

void agent_append_run_cancel(struct buffer *out, const char *run_id, struct span reason)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    append_text(&params, "run_id", run_id);
    json_append_member(&params, "reason", reason);
    buffer_append_char(&params, '}');
    rpc_append_notification(out, "run/cancel", buffer_span(&params));
    out->broken |= params.broken;
    buffer_deinit(&params);
}

void agent_append_shutdown(struct buffer *out)
{
    rpc_append_notification(out, "shutdown", SPAN_LITERAL("{}"));
}

void agent_append_tool_result(
    struct buffer *out, struct span id, const struct agent_tool_result *result)
{
    struct buffer body = BUFFER_INIT;
    bool ok = strcmp(result->status, "ok") == 0;
    buffer_append_char(&body, '{');
    append_text(&body, "status", result->status);
    json_append_name(&body, ok ? "result" : "error");
    json_append_one_line(&body, result->value);
    json_append_member_uint(&body, "duration_ms", result->duration_ms);
    buffer_append_char(&body, '}');
    rpc_append_result(out, id, buffer_span(&body));
    out->broken |= body.broken;
    buffer_deinit(&body);
}

void agent_append_interrupt_result(
    struct buffer *out, struct span id, const struct agent_interrupt_result *result)
{
    struct buffer body = BUFFER_INIT;
    buffer_append_char(&body, '{');
    append_text(&body, "interrupt_id", result->interrupt_id);
    append_text(&body, "status", result->status);
    if (result->payload.len)
        json_append_member_raw(&body, "payload", result->payload);
    buffer_append_char(&body, '}');
    rpc_append_result(out, id, buffer_span(&body));
    out->broken |= body.broken;
    buffer_deinit(&body);
}
