/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include "base/identifier.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "members.h"

bool valid_optional_json(const char *json)
{
    return !json || json_scan_valid(span_of_string(json));
}

bool valid_text(const char *text)
{
    return text && utf8_valid(span_of_string(text));
}

static void begin(struct buffer *data)
{
    buffer_clear(data);
    buffer_append_char(data, '{');
}

static int end(struct buffer *data)
{
    buffer_append_char(data, '}');
    return buffer_error(data) ? RS_E_NO_MEMORY : RS_OK;
}

static void member(struct buffer *data, const char *name, const char *text)
{
    json_append_member(data, name, span_of_string(text));
}

static void optional_text(struct buffer *data, const char *name, const char *text)
{
    if (text)
        member(data, name, text);
}

static void optional_json(struct buffer *data, const char *name, const char *json)
{
    if (json)
        json_append_member_raw(data, name, span_of_string(json));
}

int payload_started(struct buffer *ret_data, const struct rs_run_context *context)
{
    begin(ret_data);
    member(ret_data, "agent", context->agent);
    optional_json(ret_data, "input", context->input_json);
    optional_text(ret_data, "parent_run_id", context->parent_run_id);
    return end(ret_data);
}

int payload_text(struct buffer *ret_data, const char *name, const char *text)
{
    if (!valid_text(text))
        return RS_E_INVALID;
    begin(ret_data);
    member(ret_data, name, text);
    return end(ret_data);
}

int payload_delta(struct buffer *ret_data, struct span text, bool final, bool truncated)
{
    begin(ret_data);
    json_append_member(ret_data, "delta", text);
    if (final)
        json_append_member_bool(ret_data, "final", true);
    if (truncated)
        json_append_member_bool(ret_data, "truncated", true);
    return end(ret_data);
}

/* What json_append_string makes of a byte. */
static size_t escaped_size(unsigned char byte)
{
    if (byte == '"' || byte == '\\' || byte == '\n' || byte == '\r' || byte == '\t')
        return 2;
    return byte < 0x20 ? 6 : 1;
}

size_t payload_text_fit(struct span text, size_t budget)
{
    size_t used = 0;
    size_t whole = 0; /* behind the last character known to be complete */
    for (size_t i = 0; i < text.len;) {
        unsigned char byte = (unsigned char)text.data[i];
        size_t plain = byte & 0x80 ? 0 : json_plain_length(span_of(text.data + i, text.len - i));
        if (plain > budget - used)
            return i + (budget - used);
        if ((byte & 0xc0) != 0x80)
            whole = i;
        used += plain ? plain : escaped_size(byte);
        if (used > budget)
            return whole;
        i += plain ? plain : 1;
    }
    return text.len;
}

int payload_tool_executing(struct buffer *ret_data, struct span name_json, const char *args_json)
{
    if (!valid_optional_json(args_json))
        return RS_E_INVALID;
    begin(ret_data);
    json_append_member_raw(ret_data, "tool_name", name_json);
    optional_json(ret_data, "args", args_json ? args_json : "{}");
    return end(ret_data);
}

int payload_progress(struct buffer *ret_data, const char *progress_json)
{
    if (!progress_json || !valid_optional_json(progress_json))
        return RS_E_INVALID;
    begin(ret_data);
    optional_json(ret_data, "progress", progress_json);
    return end(ret_data);
}

static void append_error(struct buffer *data, const char *code, const char *message)
{
    json_append_name(data, "error");
    buffer_append_char(data, '{');
    member(data, "code", code);
    member(data, "message", message);
    buffer_append_char(data, '}');
}

static bool tool_ending_valid(const struct tool_ending *ending)
{
    if ((unsigned)ending->status > RS_TOOL_LOST)
        return false;
    if (ending->status == RS_TOOL_OK)
        return !ending->code && !ending->message && valid_optional_json(ending->result_json);
    return !ending->result_json && ending->code && identifier_valid(span_of_string(ending->code)) &&
           valid_text(ending->message);
}

int payload_tool_completed(struct buffer *ret_data, const struct tool_ending *ending)
{
    if (!tool_ending_valid(ending))
        return RS_E_INVALID;
    begin(ret_data);
    json_append_member_raw(ret_data, "tool_name", ending->name_json);
    member(ret_data, "status", tool_statuses[ending->status]);
    if (ending->status == RS_TOOL_OK)
        optional_json(ret_data, "result", ending->result_json);
    else
        append_error(ret_data, ending->code, ending->message);
    json_append_member_uint(ret_data, "duration_ms", ending->duration_ms);
    return end(ret_data);
}

int payload_completed(struct buffer *ret_data, enum rs_outcome outcome, const char *result_json,
    const char *usage_json)
{
    if ((unsigned)outcome > RS_INTERRUPT || !valid_optional_json(result_json) ||
        !valid_optional_json(usage_json))
        return RS_E_INVALID;
    begin(ret_data);
    member(ret_data, "outcome", outcomes[outcome]);
    optional_json(ret_data, "result", result_json);
    optional_json(ret_data, "usage", usage_json);
    return end(ret_data);
}

int payload_error(
    struct buffer *ret_data, const char *code, const char *message, bool fatal, bool retryable)
{
    if (!code || !identifier_valid(span_of_string(code)) || !valid_text(message))
        return RS_E_INVALID;
    begin(ret_data);
    member(ret_data, "code", code);
    member(ret_data, "message", message);
    json_append_member_bool(ret_data, "fatal", fatal);
    json_append_member_bool(ret_data, "retryable", retryable);
    return end(ret_data);
}

int payload_interrupt(struct buffer *ret_data, const struct interrupt *interrupt)
{
    if (!interrupt->id || !identifier_valid(span_of_string(interrupt->id)) ||
        (interrupt->reason && !valid_text(interrupt->reason)) ||
        !valid_optional_json(interrupt->payload_json))
        return RS_E_INVALID;
    begin(ret_data);
    member(ret_data, "interrupt_id", interrupt->id);
    optional_text(ret_data, "reason", interrupt->reason);
    optional_json(ret_data, "payload", interrupt->payload_json);
    if (interrupt->expires_at)
        json_append_member_uint(ret_data, "expires_at", interrupt->expires_at);
    return end(ret_data);
}
