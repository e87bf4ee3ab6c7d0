/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol_fields.h"

struct span protocol_text(const json_t *value)
{
    return span_of(json_string_value(value), json_string_length(value));
}

bool protocol_refuse(struct protocol_error *error, const char *name, const char *why)
{
    protocol_error_set(error, "invalid_argument", "params.%s %s", name, why);
    return false;
}

bool protocol_read_identifier(
    struct span *ret_id, const json_t *params, const char *name, struct protocol_error *error)
{
    const json_t *value = json_object_get(params, name);
    if (!json_is_string(value))
        return protocol_refuse(error, name, "must be a string");
    if (!identifier_valid(protocol_text(value)))
        return protocol_refuse(
            error, name, "must be 1 to 127 printable ASCII characters without space, \" and \\");
    *ret_id = protocol_text(value);
    return true;
}

bool protocol_read_optional_identifier(
    struct span *ret_id, const json_t *params, const char *name, struct protocol_error *error)
{
    return !json_object_get(params, name) || protocol_read_identifier(ret_id, params, name, error);
}

bool protocol_read_choice(struct span *ret_choice, const json_t *params, const char *name,
    const char *choices, struct protocol_error *error)
{
    const json_t *value = json_object_get(params, name);
    if (!value)
        return true;
    struct span text = protocol_text(value);
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

bool protocol_nests_within(const json_t *value, unsigned depth)
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
        if (!protocol_nests_within(item, depth - 1))
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, item)
    {
        if (!protocol_nests_within(item, depth - 1))
            return false;
    }
    return true;
}

static int append_json(const char *text, size_t len, void *out)
{
    buffer_append(out, text, len);
    return buffer_error(out);
}

bool protocol_write_json(struct buffer *ret_text, const json_t *value, const char *name, size_t max,
    struct protocol_error *error)
{
    if (json_dump_callback(value, append_json, ret_text, JSON_ENCODE_ANY | JSON_COMPACT)) {
        protocol_error_set(error, "internal", "out of memory");
        return false;
    }
    if (ret_text->len > max) {
        protocol_error_set(error, "payload_too_large",
            "params.%s has %zu bytes as JSON; the limit is %zu", name, ret_text->len, max);
        return false;
    }
    return true;
}
