/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/protocol.h"

#include "json/same.h"
#include "json/view.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_member.h"

#define REVISION "2025-11-25"
#define WHY_MAX 1000

/* ---- what is sent */

void mcp_append_initialize(struct buffer *out, uint64_t id)
{
    rpc_append_request(out, id, "initialize",
        SPAN_LITERAL(
            "{\"protocolVersion\":\"" REVISION "\",\"capabilities\":{},"
            "\"clientInfo\":{\"name\":\"ringside\",\"version\":\"" RINGSIDE_VERSION "\"}}"));
}

void mcp_append_initialized(struct buffer *out)
{
    rpc_append_notification(out, "notifications/initialized", SPAN_LITERAL("{}"));
}

void mcp_append_list(struct buffer *out, uint64_t id, struct span cursor)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    if (cursor.len)
        json_append_member_raw(&params, "cursor", cursor);
    buffer_append_char(&params, '}');
    rpc_append_request(out, id, "tools/list", buffer_span(&params));
    out->broken |= params.broken;
    buffer_deinit(&params);
}

void mcp_append_call(struct buffer *out, uint64_t id, const char *name, struct span args)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    json_append_member(&params, "name", span_of_string(name));
    json_append_name(&params, "arguments");
    json_append_one_line(&params, args);
    json_append_name(&params, "_meta");
    buffer_append_char(&params, '{');
    json_append_member_uint(&params, "progressToken", id);
    buffer_append_string(&params, "}}");
    rpc_append_request(out, id, "tools/call", buffer_span(&params));
    out->broken |= params.broken;
    buffer_deinit(&params);
}

void mcp_append_cancelled(struct buffer *out, uint64_t id)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    json_append_member_uint(&params, "requestId", id);
    buffer_append_char(&params, '}');
    rpc_append_notification(out, "notifications/cancelled", buffer_span(&params));
    out->broken |= params.broken;
    buffer_deinit(&params);
}

/* ---- what is answered */

bool mcp_accepts(struct span result, const char **ret_reason)
{
    static const char *const revisions[] = {
        "\"2025-11-25\"", "\"2025-06-18\"", "\"2025-03-26\"", "\"2024-11-05\""};
    struct span revision;
    struct span capabilities;
    const struct json_wanted wanted[] = {
        {"protocolVersion", &revision}, {"capabilities", &capabilities}};
    bool known = false;
    if (!json_members(result, wanted, ARRAY_SIZE(wanted))) {
        *ret_reason = "its answer to initialize is not an object";
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(revisions); i++)
        known |= span_is(revision, revisions[i]);
    if (!known)
        *ret_reason = "it speaks no revision of the protocol that is known here";
    else if (json_kind(json_member_value(capabilities, "tools")) != JSON_OBJECT)
        *ret_reason = "it has no tools";
    else
        return true;
    return false;
}

bool mcp_parse_page(struct mcp_page *ret_page, struct span result)
{
    const struct json_wanted wanted[] = {
        {"tools", &ret_page->tools}, {"nextCursor", &ret_page->next_cursor}};
    if (!json_members(result, wanted, ARRAY_SIZE(wanted)))
        return false;
    if (json_kind(ret_page->next_cursor) != JSON_STRING)
        ret_page->next_cursor = SPAN_EMPTY;
    return json_kind(ret_page->tools) == JSON_ARRAY;
}

bool mcp_name_valid(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.data[i];
        if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                (byte >= '0' && byte <= '9') || byte == '_' || byte == '-'))
            return false;
    }
    return name.len > 0 && name.len < MCP_NAME_SIZE;
}

bool mcp_parse_tool(struct mcp_tool_view *ret_tool, struct span tool, const char **ret_reason)
{
    struct span quoted;
    struct span name;
    const struct json_wanted wanted[] = {{"name", &quoted}, {"description", &ret_tool->description},
        {"inputSchema", &ret_tool->input_schema}};
    if (!json_members(tool, wanted, ARRAY_SIZE(wanted)) || !json_plain_string(&name, quoted) ||
        !mcp_name_valid(name)) {
        *ret_reason = "its name is not 1 to 64 letters, digits, _ and -";
        return false;
    }
    memcpy(ret_tool->name, name.data, name.len);
    ret_tool->name[name.len] = '\0';
    if (json_kind(ret_tool->description) != JSON_STRING)
        ret_tool->description = SPAN_EMPTY;
    *ret_reason = "it has no inputSchema";
    return json_kind(ret_tool->input_schema) == JSON_OBJECT;
}

/* Appends the text of all parts, one below the other. Whether there is nothing but text. */
static bool join_texts(struct buffer *out, struct span content)
{
    struct span part;
    bool only = json_kind(content) == JSON_ARRAY;
    bool first = true;
    for (size_t at = 0; json_kind(content) == JSON_ARRAY && json_item_next(&part, content, &at);) {
        struct span text = SPAN_EMPTY;
        const struct json_wanted wanted[] = {{"text", &text}};
        json_members(part, wanted, 1);
        size_t was = out->len;
        if (!first)
            buffer_append_char(out, '\n');
        if (!json_string(out, text)) {
            out->len = was;
            only = false;
            continue;
        }
        first = false;
    }
    return only && !first;
}

static void cut(struct buffer *text)
{
    if (text->len <= WHY_MAX)
        return;
    text->len = WHY_MAX;
    while (text->len > 0 && ((unsigned char)text->data[text->len] & 0xc0) == 0x80)
        text->len--;
    buffer_append_string(text, "…");
}

static bool take_error(struct span error, struct buffer *value)
{
    struct span message = SPAN_EMPTY;
    struct span code = SPAN_EMPTY;
    const struct json_wanted wanted[] = {{"message", &message}, {"code", &code}};
    json_members(error, wanted, ARRAY_SIZE(wanted));
    if (!json_string(value, message))
        buffer_append_string(value, "it was refused");
    if (json_kind(code) == JSON_NUMBER && code.len < 20)
        buffer_printf(value, " (%.*s)", SPAN_ARG(code));
    cut(value);
    return false;
}

static bool take_failure(struct span content, struct buffer *value)
{
    join_texts(value, content);
    if (value->len == 0)
        buffer_append_string(value, "the tool failed");
    cut(value);
    return false;
}

bool mcp_parse_result(const struct rpc_message *answer, struct buffer *value)
{
    struct span content;
    struct span structured;
    struct span is_error;
    const struct json_wanted wanted[] = {
        {"content", &content}, {"structuredContent", &structured}, {"isError", &is_error}};
    struct buffer text = BUFFER_INIT;
    if (answer->kind == RPC_ERROR)
        return take_error(answer->error, value);
    if (!json_members(answer->result, wanted, ARRAY_SIZE(wanted)) ||
        (structured.len == 0 && json_kind(content) != JSON_ARRAY)) {
        buffer_append_string(value, "the answer is no result of a tool");
        return false;
    }
    if (span_is(is_error, "true"))
        return take_failure(content, value);
    if (json_kind(structured) == JSON_OBJECT)
        buffer_append_span(value, structured);
    else if (join_texts(&text, content))
        json_append_string(value, buffer_span(&text));
    else
        buffer_append_span(value, content);
    value->broken |= text.broken;
    buffer_deinit(&text);
    return true;
}

bool mcp_parse_progress(struct mcp_progress *ret_progress, struct span params)
{
    struct span token;
    const struct json_wanted wanted[] = {{"progressToken", &token},
        {"progress", &ret_progress->progress}, {"total", &ret_progress->total},
        {"message", &ret_progress->message}};
    if (!json_members(params, wanted, ARRAY_SIZE(wanted)) ||
        !json_uint(&ret_progress->token, token))
        return false;
    if (json_kind(ret_progress->total) != JSON_NUMBER)
        ret_progress->total = SPAN_EMPTY;
    if (json_kind(ret_progress->message) != JSON_STRING)
        ret_progress->message = SPAN_EMPTY;
    return json_kind(ret_progress->progress) == JSON_NUMBER;
}

void mcp_append_progress(struct buffer *out, const struct mcp_progress *progress)
{
    double total = progress->total.len ? json_number(progress->total) : 0;
    double share = total > 0 ? json_number(progress->progress) / total : -1;
    buffer_append_char(out, '{');
    if (share >= 0 && share <= 1) {
        json_append_name(out, "fraction");
        buffer_printf(out, "%.4g", share);
    }
    json_append_member_raw(out, "progress", progress->progress);
    if (progress->total.len)
        json_append_member_raw(out, "total", progress->total);
    if (progress->message.len)
        json_append_member_raw(out, "message", progress->message);
    buffer_append_char(out, '}');
}
