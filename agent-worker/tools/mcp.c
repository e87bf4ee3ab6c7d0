/* SPDX-License-Identifier: Apache-2.0 */
/* Tools of MCP servers. */
#include "tools/call.h"

#include "mcp/server.h"

#include <errno.h>
#include <stdio.h>

/* A note for which the ring has no room is left out: the next one says more. */
static void on_progress(void *context, struct span progress)
{
    struct tool_call *call = context;
    struct buffer json = BUFFER_INIT;
    buffer_append_span(&json, progress);
    buffer_append_char(&json, '\0');
    if (buffer_error(&json) == 0)
        (void)rs_tool_progress(call->tool, json.data);
    buffer_deinit(&json);
}

static void finish_failed(struct tool_call *call, struct span why)
{
    struct buffer message = BUFFER_INIT;
    buffer_append_span(&message, why);
    buffer_append_char(&message, '\0');
    call_finish_error(call, RS_TOOL_ERROR, "tool_failed",
        buffer_error(&message) ? "the tool failed" : message.data);
    buffer_deinit(&message);
}

static void on_ended(void *context, enum mcp_end how, struct span value)
{
    struct tool_call *call = context;
    struct tools *tools = call->tools;
    char message[128];
    call->mcp = NULL;
    switch (how) {
    case MCP_OK: call_finish_ok(call, value); break;
    case MCP_FAILED: finish_failed(call, value); break;
    case MCP_TIMED_OUT: call_finish_timed_out(call); break;
    case MCP_TOO_LARGE:
        snprintf(message, sizeof(message), "the tool gave more than %zu bytes",
            tools->options.output_max);
        call_finish_error(call, RS_TOOL_ERROR, "tool_output_too_large", message);
        break;
    case MCP_LOST:
        call_finish_error(call, RS_TOOL_ERROR, "tool_lost", "the tool's server ended");
        break;
    }
    tools_settle(tools);
}

static const struct mcp_call_events events = {.on_progress = on_progress, .on_ended = on_ended};

void tool_mcp_start(struct tool_call *call)
{
    size_t prefix = strlen(mcp_server_declared(call->server)->name) + 2;
    const struct mcp_wanted wanted = {.name = call->name + prefix,
        .args = call_args(call),
        .timeout_ms = call->declared.timeout_ms};
    call->state = CALL_RUNNING;
    int rc = mcp_server_call(&call->mcp, call->server, &wanted, &events, call);
    if (rc < 0)
        call_finish_error(call, RS_TOOL_ERROR, "tool_unavailable",
            rc == -EHOSTDOWN ? "the tool's server is not running"
            : rc == -ENOBUFS ? "the tool's server does not read what it is sent"
                             : "out of memory");
}
