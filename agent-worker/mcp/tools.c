/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tools.h"

#include "json/schema.h"
#include "json/view.h"

#include "base/json.h"
#include "base/json_member.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define LEFT_OUT_TOLD_MAX 10

/* A server that has nothing but such tools does not fill the log with them. */
static void leave_out(
    struct mcp_tools *tools, const char *server, struct span tool, const char *reason)
{
    if (tools->left_out++ >= LEFT_OUT_TOLD_MAX)
        return;
    size_t len = tool.len < 60 ? tool.len : 60;
    log_warn(
        "mcp", "a tool of server %s is left out: %s: %.*s", server, reason, (int)len, tool.data);
}

/* Description and schema, as members behind a name. */
static int keep(struct mcp_tool *tool, const struct mcp_tool_view *view)
{
    struct buffer bytes = BUFFER_INIT;
    if (view->description.len) {
        buffer_append_string(&bytes, ",\"description\":");
        json_append_one_line(&bytes, view->description);
    }
    buffer_append_string(&bytes, ",\"input_schema\":");
    size_t schema = bytes.len;
    json_append_one_line(&bytes, view->input_schema);
    if (buffer_error(&bytes)) {
        buffer_deinit(&bytes);
        return -ENOMEM;
    }
    memcpy(tool->name, view->name, sizeof(tool->name));
    tool->bytes = bytes.data;
    tool->offer = buffer_span(&bytes);
    tool->input_schema = span_of(bytes.data + schema, bytes.len - schema);
    return 0;
}

static bool is_sound(const struct mcp_tool_view *view, const char *server)
{
    struct buffer unchecked = BUFFER_INIT;
    struct buffer problem = BUFFER_INIT;
    bool sound = schema_inspect(view->input_schema, &unchecked, &problem) == 0;
    if (!sound)
        log_warn("mcp", "tool %s of server %s is left out: its inputSchema: %.*s", view->name,
            server, SPAN_ARG(buffer_span(&problem)));
    else if (unchecked.len)
        log_info("mcp", "tool %s of server %s: of its inputSchema are not checked: %.*s",
            view->name, server, SPAN_ARG(buffer_span(&unchecked)));
    buffer_deinit(&unchecked);
    buffer_deinit(&problem);
    return sound;
}

static int add(struct mcp_tools *tools, struct span item, const char *server)
{
    struct mcp_tool_view view;
    const char *reason;
    size_t prefix = strlen(server) + 2;
    if (!mcp_parse_tool(&view, item, &reason)) {
        leave_out(tools, server, item, reason);
    } else if (prefix + strlen(view.name) >= MCP_NAME_SIZE) {
        leave_out(tools, server, item, "its name with the server's before it is longer than 64");
    } else if (mcp_tools_find(tools, view.name)) {
        leave_out(tools, server, item, "there is one of this name");
    } else if (tools->count == MCP_TOOLS_MAX || tools->bytes + item.len > MCP_TOOLS_BYTES_MAX) {
        leave_out(tools, server, item, "the server has too many");
    } else if (is_sound(&view, server)) {
        int rc = keep(&tools->items[tools->count], &view);
        tools->count += !rc;
        tools->bytes += item.len;
        return rc;
    }
    return 0;
}

int mcp_tools_add(struct mcp_tools *tools, const struct mcp_page *page, const char *server)
{
    struct span item;
    if (!tools->items)
        tools->items = calloc(MCP_TOOLS_MAX, sizeof(*tools->items));
    int rc = tools->items ? 0 : -ENOMEM;
    for (size_t at = 0; !rc && json_item_next(&item, page->tools, &at);)
        rc = add(tools, item, server);
    return rc;
}

void mcp_tools_deinit(struct mcp_tools *tools)
{
    for (size_t i = 0; i < tools->count; i++)
        free(tools->items[i].bytes);
    free(tools->items);
    *tools = (struct mcp_tools){0};
}

const struct mcp_tool *mcp_tools_find(const struct mcp_tools *tools, const char *name)
{
    for (size_t i = 0; i < tools->count; i++) {
        if (strcmp(tools->items[i].name, name) == 0)
            return &tools->items[i];
    }
    return NULL;
}

void mcp_tools_append_offer(
    const struct mcp_tools *tools, const char *server, struct buffer *out, bool first)
{
    for (size_t i = 0; i < tools->count; i++) {
        buffer_printf(out, "%s{\"name\":\"%s__%s\"", first && i == 0 ? "" : ",", server,
            tools->items[i].name);
        buffer_append_span(out, tools->items[i].offer);
        buffer_append_char(out, '}');
    }
}
