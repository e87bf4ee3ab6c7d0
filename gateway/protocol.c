/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "wire/message.h"

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
    *request = (struct protocol_request){0};
}

static struct span text_of(const json_t *value)
{
    return span_of(json_string_value(value), json_string_length(value));
}

/* ---- reading members; each returns false with the error set */

static bool refuse(struct protocol_error *error, const char *name, const char *why)
{
    protocol_error_set(error, "invalid_argument", "params.%s %s", name, why);
    return false;
}

static bool read_identifier(
    struct span *ret_id, const json_t *params, const char *name, struct protocol_error *error)
{
    const json_t *value = json_object_get(params, name);
    if (!json_is_string(value))
        return refuse(error, name, "must be a string");
    if (!identifier_valid(text_of(value)))
        return refuse(
            error, name, "must be 1 to 127 printable ASCII characters without space, \" and \\");
    *ret_id = text_of(value);
    return true;
}

static bool read_optional_identifier(
    struct span *ret_id, const json_t *params, const char *name, struct protocol_error *error)
{
    return !json_object_get(params, name) || read_identifier(ret_id, params, name, error);
}

/* `choices` is "one|two|three". */
static bool read_choice(struct span *ret_choice, const json_t *params, const char *name,
    const char *choices, struct protocol_error *error)
{
    const json_t *value = json_object_get(params, name);
    if (!value)
        return true;
    struct span text = text_of(value);
    for (const char *at = choices; text.len && at; at = strchr(at, '|')) {
        at += *at == '|';
        if (span_equal(text, span_of(at, strcspn(at, "|")))) {
            *ret_choice = text;
            return true;
        }
    }
    protocol_error_set(error, "invalid_argument", "params.%s must be one of %s", name, choices);
    return false;
}

/* ---- content */

static bool nests_within(const json_t *value, unsigned depth)
{
    const char *name;
    json_t *item;
    size_t i;
    if (!json_is_array(value) && !json_is_object(value))
        return true;
    if (depth == 0)
        return false;
    json_array_foreach(value, i, item)
    {
        if (!nests_within(item, depth - 1))
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, item)
    {
        if (!nests_within(item, depth - 1))
            return false;
    }
    return true;
}

static bool check_parts(const json_t *parts, struct protocol_error *error)
{
    size_t i;
    json_t *part;
    json_array_foreach(parts, i, part)
    {
        struct span type = text_of(json_object_get(part, "type"));
        if (!type.len)
            return refuse(error, "content", "has a part that is no object with a type");
        if (span_is(type, "text") && !json_is_string(json_object_get(part, "text")))
            return refuse(error, "content", "has a part of type text without text");
    }
    if (!nests_within(parts, PROTOCOL_CONTENT_DEPTH))
        return refuse(error, "content", "is nested too deeply");
    return true;
}

static bool check_content(const json_t *content, struct protocol_error *error)
{
    if (json_is_string(content))
        return json_string_length(content) > 0 || refuse(error, "content", "must not be empty");
    if (!json_is_array(content))
        return refuse(error, "content", "must be a string or an array of parts");
    if (json_array_size(content) == 0)
        return refuse(error, "content", "must not be empty");
    return check_parts(content, error);
}

static int append_json(const char *text, size_t len, void *out)
{
    buffer_append(out, text, len);
    return buffer_error(out);
}

static bool read_content(
    struct buffer *ret_content, const json_t *params, struct protocol_error *error)
{
    const json_t *content = json_object_get(params, "content");
    if (!check_content(content, error))
        return false;
    if (json_dump_callback(content, append_json, ret_content, JSON_ENCODE_ANY | JSON_COMPACT)) {
        protocol_error_set(error, "internal", "out of memory");
        return false;
    }
    if (ret_content->len > WIRE_CONTENT_MAX) {
        protocol_error_set(error, "payload_too_large",
            "params.content has %zu bytes as JSON; the limit is %u", ret_content->len,
            WIRE_CONTENT_MAX);
        return false;
    }
    return true;
}

/* ---- methods */

typedef bool decode_params(
    struct protocol_request *request, const json_t *params, struct protocol_error *error);

static bool decode_chat_send(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    return read_identifier(&request->thread_id, params, "thread_id", error) &&
           read_identifier(&request->message_id, params, "message_id", error) &&
           read_optional_identifier(&request->agent, params, "agent", error) &&
           read_optional_identifier(&request->retry_of, params, "retry_of", error) &&
           read_choice(&request->on_busy, params, "on_busy", "enqueue|reject|interrupt", error) &&
           read_choice(
               &request->on_disconnect, params, "on_disconnect", "continue|cancel", error) &&
           read_content(&request->content, params, error);
}

static bool decode_run_cancel(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    const json_t *reason = json_object_get(params, "reason");
    if (reason && (!json_is_string(reason) || json_string_length(reason) > PROTOCOL_REASON_MAX))
        return refuse(error, "reason", "must be a string of at most 1024 bytes");
    request->reason = text_of(reason);
    if (!read_optional_identifier(&request->run_id, params, "run_id", error) ||
        !read_optional_identifier(&request->thread_id, params, "thread_id", error))
        return false;
    if (!request->run_id.len && !request->thread_id.len)
        return refuse(error, "run_id", "or params.thread_id must be given");
    return true;
}

static bool decode_ack(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    const json_t *seq = json_object_get(params, "seq");
    if (!json_is_integer(seq) || json_integer_value(seq) < 0)
        return refuse(error, "seq", "must be a whole number, 0 or more");
    request->seq = (uint64_t)json_integer_value(seq);
    return true;
}

static bool decode_auth_refresh(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    const json_t *token = json_object_get(params, "token");
    if (!json_is_string(token) || json_string_length(token) == 0)
        return refuse(error, "token", "must be a string");
    request->token = text_of(token);
    return true;
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
    decode_params *decode;
} methods[METHOD_COUNT] = {
    [METHOD_CHAT_SEND] = {"chat.send", decode_chat_send},
    [METHOD_RUN_CANCEL] = {"run.cancel", decode_run_cancel},
    [METHOD_ACK] = {"ack", decode_ack},
    [METHOD_AUTH_REFRESH] = {"auth.refresh", decode_auth_refresh},
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
    json_append_string(ret_id, text_of(id));
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
        if (!span_is(text_of(method), methods[i].name))
            continue;
        request->method = (enum protocol_method)i;
        return methods[i].decode(request, params, error) ? PROTOCOL_DECODED : PROTOCOL_REFUSED;
    }
    struct span name = text_of(method);
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
