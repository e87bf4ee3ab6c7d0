/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/tools.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_member.h"

#include <errno.h>
#include <stdio.h>

#define SCHEMA_FALLBACK "{\"type\":\"object\"}"

void llm_tools_deinit(struct llm_tools *tools)
{
    for (size_t i = 0; i < tools->count; i++) {
        buffer_deinit(&tools->tools[i].name);
        buffer_deinit(&tools->tools[i].description);
        buffer_deinit(&tools->tools[i].schema);
    }
    free(tools->tools);
    *tools = (struct llm_tools){0};
}

/* ---- names */

static bool is_allowed(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

static bool is_taken(const struct llm_tools *tools, const char *wire)
{
    return llm_tools_find(tools, span_of_string(wire)) != NULL;
}

/* A name that is taken already gets a number at its end, in the place of what is there. */
static void name_it(const struct llm_tools *tools, struct llm_tool *tool)
{
    char plain[LLM_TOOL_NAME_MAX + 1];
    size_t len = 0;
    for (const char *at = tool->name.data; *at && len < LLM_TOOL_NAME_MAX; at++)
        plain[len++] = is_allowed(*at) ? *at : '_';
    plain[len] = '\0';
    memcpy(tool->wire, plain, len + 1);
    for (size_t number = 2; is_taken(tools, tool->wire); number++) {
        char end[24];
        size_t end_len = (size_t)snprintf(end, sizeof(end), "_%zu", number);
        size_t keep = len + end_len > LLM_TOOL_NAME_MAX ? LLM_TOOL_NAME_MAX - end_len : len;
        memcpy(tool->wire, plain, keep);
        memcpy(tool->wire + keep, end, end_len + 1);
    }
}

const struct llm_tool *llm_tools_find(const struct llm_tools *tools, struct span wire)
{
    for (size_t i = 0; i < tools->count; i++) {
        if (span_is(wire, tools->tools[i].wire))
            return &tools->tools[i];
    }
    return NULL;
}

/* ---- reading */

static int read_tool(struct llm_tools *tools, struct span item)
{
    struct llm_tool *tool = &tools->tools[tools->count];
    struct span name = item, description = SPAN_EMPTY, schema = SPAN_EMPTY;
    const struct json_wanted wanted[] = {
        {"name", &name}, {"description", &description}, {"input_schema", &schema}};
    if (json_kind(item) == JSON_OBJECT)
        json_members(item, wanted, ARRAY_SIZE(wanted));
    *tool = (struct llm_tool){0};
    bool good = json_string(&tool->name, name) && tool->name.len > 0;
    buffer_append_char(&tool->name, '\0');
    if (good && !buffer_error(&tool->name))
        name_it(tools, tool);
    if (json_kind(description) == JSON_STRING)
        buffer_append_span(&tool->description, description);
    buffer_append_span(
        &tool->schema, json_kind(schema) == JSON_OBJECT ? schema : SPAN_LITERAL(SCHEMA_FALLBACK));
    tools->count++; /* from here on it is freed with the others */
    if (buffer_error(&tool->name) || buffer_error(&tool->description) ||
        buffer_error(&tool->schema))
        return -ENOMEM;
    return good ? 0 : -EBADMSG;
}

int llm_tools_read(struct llm_tools *tools, struct span list)
{
    struct span item;
    size_t count = 0;
    llm_tools_deinit(tools);
    if (json_kind(list) != JSON_ARRAY)
        return list.len ? -EBADMSG : 0;
    for (size_t at = 0; json_item_next(&item, list, &at);)
        count++;
    tools->tools = calloc(count + 1, sizeof(*tools->tools));
    int rc = tools->tools ? 0 : -ENOMEM;
    for (size_t at = 0; !rc && json_item_next(&item, list, &at);)
        rc = read_tool(tools, item);
    return rc;
}

/* ---- writing */

void llm_tools_append(struct buffer *out, const struct llm_tools *tools)
{
    buffer_append_char(out, '[');
    for (size_t i = 0; i < tools->count; i++) {
        const struct llm_tool *tool = &tools->tools[i];
        buffer_append_string(out, i ? ",{" : "{");
        json_append_member(out, "type", SPAN_LITERAL("function"));
        json_append_name(out, "function");
        buffer_append_char(out, '{');
        json_append_member(out, "name", span_of_string(tool->wire));
        if (tool->description.len)
            json_append_member_raw(out, "description", buffer_span(&tool->description));
        json_append_member_raw(out, "parameters", buffer_span(&tool->schema));
        buffer_append_string(out, "}}");
    }
    buffer_append_char(out, ']');
}
