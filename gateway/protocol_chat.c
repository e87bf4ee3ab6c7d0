/* SPDX-License-Identifier: Apache-2.0 */
/* chat.send: a message, and what is to become of it. */
#include "protocol_fields.h"

#include "wire/message.h"

static bool check_parts(const json_t *parts, struct protocol_error *error)
{
    size_t i;
    json_t *part;
    json_array_foreach(parts, i, part)
    {
        struct span type = protocol_text(json_object_get(part, "type"));
        if (!type.len)
            return protocol_refuse(error, "content", "has a part that is no object with a type");
        if (span_is(type, "text") && !json_is_string(json_object_get(part, "text")))
            return protocol_refuse(error, "content", "has a part of type text without text");
    }
    if (!protocol_nests_within(parts, PROTOCOL_CONTENT_DEPTH))
        return protocol_refuse(error, "content", "is nested too deeply");
    return true;
}

static bool check_content(const json_t *content, struct protocol_error *error)
{
    if (json_is_string(content))
        return json_string_length(content) > 0 ||
               protocol_refuse(error, "content", "must not be empty");
    if (!json_is_array(content))
        return protocol_refuse(error, "content", "must be a string or an array of parts");
    if (json_array_size(content) == 0)
        return protocol_refuse(error, "content", "must not be empty");
    return check_parts(content, error);
}

static bool read_content(
    struct buffer *ret_content, const json_t *params, struct protocol_error *error)
{
    const json_t *content = json_object_get(params, "content");
    return check_content(content, error) &&
           protocol_write_json(ret_content, content, "content", WIRE_CONTENT_MAX, error);
}

bool protocol_decode_chat_send(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    return protocol_read_identifier(&request->thread_id, params, "thread_id", error) &&
           protocol_read_identifier(&request->message_id, params, "message_id", error) &&
           protocol_read_optional_identifier(&request->agent, params, "agent", error) &&
           protocol_read_optional_identifier(&request->retry_of, params, "retry_of", error) &&
           protocol_read_choice(
               &request->on_busy, params, "on_busy", "enqueue|reject|interrupt", error) &&
           protocol_read_choice(
               &request->on_disconnect, params, "on_disconnect", "continue|cancel", error) &&
           read_content(&request->content, params, error);
}
