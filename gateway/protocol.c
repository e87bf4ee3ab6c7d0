/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol_fields.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>

void protocol_error_set(struct protocol_error *error, const char *code, const char *format, ...)
{
    va_list arguments;
    snprintf(error->code, sizeof(error->code), "%s", code);
    error->retryable = false;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
}

void protocol_request_deinit(struct protocol_request *request)
{
    json_decref(request->json);
    buffer_deinit(&request->id);
    buffer_deinit(&request->content);
    free(request->subscribe);
    *request = (struct protocol_request){0};
}

static bool decode_ping(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    (void)request;
    (void)params;
    (void)error;
    return true;
}

static const struct {
    const char *name;
    protocol_decode_params *decode;
} methods[METHOD_COUNT] = {
    [METHOD_CHAT_SEND] = {"chat.send", protocol_decode_chat_send},
    [METHOD_RUN_CANCEL] = {"run.cancel", protocol_decode_run_cancel},
    [METHOD_RUNS_LIST] = {"runs.list", protocol_decode_runs_list},
    [METHOD_RUN_GET] = {"run.get", protocol_decode_run_get},
    [METHOD_INTERRUPT_RESPOND] = {"interrupt.respond", protocol_decode_interrupt_respond},
    [METHOD_SUBSCRIBE] = {"subscribe", protocol_decode_subscribe},
    [METHOD_ACK] = {"ack", protocol_decode_ack},
    [METHOD_AUTH_REFRESH] = {"auth.refresh", protocol_decode_auth_refresh},
    [METHOD_PING] = {"ping", decode_ping},
};

/* ---- the envelope */

/* A string or a whole number, repeated as it came; false when it is neither. */
static bool read_id(struct buffer *ret_id, const json_t *id)
{
    if (!id)
        return true;
    if (json_is_integer(id)) {
        buffer_printf(ret_id, "%lld", (long long)json_integer_value(id));
        return !buffer_error(ret_id);
    }
    if (!json_is_string(id) || json_string_length(id) > PROTOCOL_ID_MAX)
        return false;
    json_append_string(ret_id, protocol_text(id));
    return !buffer_error(ret_id);
}

static enum protocol_verdict violation(struct protocol_error *error, const char *why)
{
    protocol_error_set(error, "invalid_argument", "%s", why);
    return PROTOCOL_VIOLATION;
}

static enum protocol_verdict decode_method(
    struct protocol_request *request, const json_t *method, struct protocol_error *error)
{
    const json_t *params = json_object_get(request->json, "params");
    if (params && !json_is_object(params)) {
        protocol_error_set(error, "invalid_argument", "params must be an object");
        return PROTOCOL_REFUSED;
    }
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (!span_is(protocol_text(method), methods[i].name))
            continue;
        request->method = (enum protocol_method)i;
        return methods[i].decode(request, params, error) ? PROTOCOL_DECODED : PROTOCOL_REFUSED;
    }
    struct span name = protocol_text(method);
    if (!identifier_valid(name))
        name = SPAN_LITERAL("of this name");
    protocol_error_set(error, "unknown_method", "there is no method %.*s", SPAN_ARG(name));
    return PROTOCOL_REFUSED;
}

enum protocol_verdict protocol_decode(
    struct protocol_request *ret_request, struct protocol_error *ret_error, struct span text)
{
    *ret_request = (struct protocol_request){0};
    json_t *json = json_loadb(
        text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    ret_request->json = json;
    if (!json)
        return violation(ret_error, "a frame must be one JSON object");
    if (!json_is_object(json))
        return violation(ret_error, "a frame must be a JSON object");
    if (!read_id(&ret_request->id, json_object_get(json, "id")))
        return violation(ret_error, "id must be a string of at most 127 bytes or a whole number");
    const json_t *method = json_object_get(json, "method");
    if (json_is_string(method))
        return decode_method(ret_request, method, ret_error);
    if (!ret_request->id.len)
        return violation(ret_error, "a frame must have a method");
    protocol_error_set(ret_error, "invalid_argument", "method must be a string");
    return PROTOCOL_REFUSED;
}
