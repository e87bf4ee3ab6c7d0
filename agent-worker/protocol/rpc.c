/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/rpc.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_scan.h"

#include <errno.h>

static int malformed(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

static void copy_method(struct rpc_message *message, struct span method)
{
    struct buffer text = BUFFER_INIT;
    if (json_string(&text, method)) {
        size_t len = text.len < RPC_METHOD_SIZE ? text.len : RPC_METHOD_SIZE - 1;
        memcpy(message->method, len ? text.data : "", len);
        message->method[len] = '\0';
    }
    buffer_deinit(&text);
}

static int parse_call(struct rpc_message *message, struct span method, const char **ret_reason)
{
    enum json_kind params = json_kind(message->params);
    if (json_kind(method) != JSON_STRING)
        return malformed(ret_reason, "its method is not a string");
    if (params != JSON_ABSENT && params != JSON_OBJECT && params != JSON_ARRAY)
        return malformed(ret_reason, "its params are neither an object nor an array");
    copy_method(message, method);
    message->kind = message->id.len ? RPC_REQUEST : RPC_NOTIFICATION;
    return 0;
}

static int parse_answer(struct rpc_message *message, const char **ret_reason)
{
    if ((message->result.len == 0) == (message->error.len == 0))
        return malformed(ret_reason, "it has neither a method nor just one of result and error");
    if (message->id.len == 0)
        return malformed(ret_reason, "it is an answer without an id");
    if (message->error.len && json_kind(message->error) != JSON_OBJECT)
        return malformed(ret_reason, "its error is not an object");
    message->kind = message->error.len ? RPC_ERROR : RPC_RESULT;
    return 0;
}

int rpc_parse(struct rpc_message *ret_message, struct span line, const char **ret_reason)
{
    struct rpc_message message = {0};
    struct span version;
    struct span method;
    const struct json_wanted wanted[] = {
        {"jsonrpc", &version},
        {"id", &message.id},
        {"method", &method},
        {"params", &message.params},
        {"result", &message.result},
        {"error", &message.error},
    };
    line = json_trim(line);
    if (!json_scan_valid(line))
        return malformed(ret_reason, "it is not JSON");
    if (!json_members(line, wanted, ARRAY_SIZE(wanted)))
        return malformed(ret_reason, "it is not a JSON object");
    if (!span_is(version, "\"2.0\""))
        return malformed(ret_reason, "it does not say \"jsonrpc\":\"2.0\"");
    if (message.id.len && json_kind(message.id) != JSON_NUMBER &&
        json_kind(message.id) != JSON_STRING)
        return malformed(ret_reason, "its id is neither a number nor a string");
    int rc =
        method.len ? parse_call(&message, method, ret_reason) : parse_answer(&message, ret_reason);
    if (!rc)
        *ret_message = message;
    return rc;
}

uint64_t rpc_own_id(const struct rpc_message *message)
{
    uint64_t id = 0;
    return json_uint(&id, message->id) ? id : 0;
}

/* ---- writing */

static void begin(struct buffer *out)
{
    buffer_append_string(out, "{\"jsonrpc\":\"2.0\"");
}

static void append_call(struct buffer *out, const char *method, struct span params)
{
    json_append_member(out, "method", span_of_string(method));
    json_append_member_raw(out, "params", params);
    buffer_append_string(out, "}\n");
}

void rpc_append_request(struct buffer *out, uint64_t id, const char *method, struct span params)
{
    begin(out);
    json_append_member_uint(out, "id", id);
    append_call(out, method, params);
}

void rpc_append_notification(struct buffer *out, const char *method, struct span params)
{
    begin(out);
    append_call(out, method, params);
}

void rpc_append_result(struct buffer *out, struct span id, struct span result)
{
    begin(out);
    json_append_member_raw(out, "id", id);
    json_append_member_raw(out, "result", result);
    buffer_append_string(out, "}\n");
}

void rpc_append_error(struct buffer *out, struct span id, enum rpc_error code, struct span message)
{
    begin(out);
    json_append_member_raw(out, "id", id);
    buffer_printf(out, ",\"error\":{\"code\":%d", code);
    json_append_member(out, "message", message);
    buffer_append_string(out, "}}\n");
}
