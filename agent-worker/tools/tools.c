/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/call.h"

#include "json/schema.h"
#include "json/view.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>

/* ---- calls */

static void call_free(struct tool_call *call)
{
    if (!call)
        return;
    list_remove(&call->link);
    command_free(call->command);
    mcp_call_drop(call->mcp);
    interrupts_forget(call->tools->options.interrupts, &call->asker);
    buffer_deinit(&call->args);
    buffer_deinit(&call->message);
    buffer_deinit(&call->value);
    free(call);
}

static struct tool_call *call_new(struct tools *tools, struct span id)
{
    struct tool_call *call = calloc(1, sizeof(*call) + id.len);
    if (!call)
        return NULL;
    memcpy(call->id_bytes, id.data, id.len);
    call->id = span_of(call->id_bytes, id.len);
    call->tools = tools;
    call->began_ms = clock_monotonic_ms();
    list_init(&call->link);
    return call;
}

void tools_remove(struct tools *tools, struct tool_call *call)
{
    call_free(call);
    tools->count--;
    if (tools->count == 0)
        tools->events->on_idle(tools->context);
}

static void finish(struct tool_call *call, enum rs_tool_status status)
{
    mcp_call_drop(STEAL_POINTER(call->mcp));
    call->state = CALL_FINISHED;
    call->status = status;
    call->duration_ms = clock_monotonic_ms() - call->began_ms;
}

void call_finish_ok(struct tool_call *call, struct span result)
{
    json_append_one_line(&call->value, result);
    buffer_append_char(&call->value, '\0');
    finish(call, RS_TOOL_OK);
}

void call_finish_error(
    struct tool_call *call, enum rs_tool_status status, const char *code, const char *message)
{
    snprintf(call->code, sizeof(call->code), "%s", code);
    buffer_append(&call->message, message, strlen(message) + 1);
    buffer_append_char(&call->value, '{');
    json_append_member(&call->value, "code", span_of_string(code));
    json_append_member(&call->value, "message", span_of_string(message));
    buffer_append(&call->value, "}", 2);
    finish(call, status);
}

void call_finish_timed_out(struct tool_call *call)
{
    char message[128];
    snprintf(message, sizeof(message), "the tool took longer than %llu ms",
        (unsigned long long)call->declared.timeout_ms);
    call_finish_error(call, RS_TOOL_ERROR, "tool_timeout", message);
}

bool call_finish_as_said(struct tool_call *call, struct span error)
{
    struct span code;
    struct span text;
    char name[IDENTIFIER_SIZE];
    const struct json_wanted wanted[] = {{"code", &code}, {"message", &text}};
    struct buffer message = BUFFER_INIT;
    if (!json_members(error, wanted, 2) || !json_identifier(name, code))
        return false;
    bool said = json_string(&message, text);
    buffer_append_char(&message, '\0');
    said = said && buffer_error(&message) == 0;
    if (said)
        call_finish_error(call, RS_TOOL_ERROR, name, message.data);
    buffer_deinit(&message);
    return said;
}

/* ---- emitting and answering */

/* A result too large for an event is shown by its size; the agent has all of it. */
static int end_tool(struct tool_call *call)
{
    char stand_in[64];
    if (call->status != RS_TOOL_OK)
        return rs_tool_end(call->tool, call->status, NULL, call->code, call->message.data);
    int rc = rs_tool_end(call->tool, RS_TOOL_OK, call->value.data, NULL, NULL);
    if (rc != RS_E_TOO_BIG)
        return rc;
    snprintf(stand_in, sizeof(stand_in), "{\"truncated\":true,\"bytes\":%zu}", call->value.len - 1);
    return rs_tool_end(call->tool, RS_TOOL_OK, stand_in, NULL, NULL);
}

static void answer(struct tools *tools, struct tool_call *call)
{
    static const char *const names[] = {[RS_TOOL_OK] = "ok",
        [RS_TOOL_ERROR] = "error",
        [RS_TOOL_DENIED] = "denied",
        [RS_TOOL_CANCELLED] = "cancelled"};
    const struct agent_tool_result result = {
        .status = names[call->status],
        .value = span_of(call->value.data, call->value.len - 1),
        .duration_ms = call->duration_ms,
    };
    tools->events->on_answer(tools->context, call->id, &result);
}

int tools_report(struct tools *tools)
{
    LIST_FOR_EACH(struct tool_call, call, &tools->calls, link)
    {
        int rc = call->state == CALL_TO_ASK ? tool_question_ask(call) : RS_OK;
        if (rc == RS_OK && call->state != CALL_FINISHED)
            continue;
        if (rc == RS_OK)
            rc = buffer_error(&call->value) ? RS_E_NO_MEMORY : end_tool(call);
        if (rc != RS_OK)
            return rc;
        answer(tools, call);
        tools_remove(tools, call);
    }
    return RS_OK;
}

void tools_settle(struct tools *tools)
{
    int rc = tools_report(tools);
    if (rc != RS_OK)
        tools->events->on_stuck(tools->context, rc);
}

/* ---- the calls of others */

void call_run(struct tool_call *call)
{
    call->allowed = true;
    if (call->declared.kind == CONFIG_TOOL_CLIENT)
        call->state = CALL_TO_ASK;
    else if (call->declared.kind == CONFIG_TOOL_MCP)
        tool_mcp_start(call);
    else
        tool_command_start(call);
}

static bool has_fitting_args(struct tool_call *call)
{
    struct buffer problem = BUFFER_INIT;
    struct span schema = call->declared.input_schema;
    bool fits = schema.len == 0 || schema_check(schema, call_args(call), &problem) == 0;
    buffer_append_char(&problem, '\0');
    if (!fits)
        call_finish_error(call, RS_TOOL_ERROR, "tool_bad_arguments",
            buffer_error(&problem) ? "they do not fit" : problem.data);
    buffer_deinit(&problem);
    return fits;
}

static bool find_tool(struct tool_call *call)
{
    const struct tools_options *options = &call->tools->options;
    const struct registry_tool *own = registry_find_tool(options->agent, call->name);
    if (own)
        call->declared = *own;
    else
        call->server = mcp_set_find(options->mcp, call->name, &call->declared);
    return own || call->server;
}

static void start(struct tool_call *call, bool known)
{
    char message[IDENTIFIER_SIZE + 128];
    if (!known) {
        snprintf(message, sizeof(message), "the agent has no tool \"%s\"", call->name);
        call_finish_error(call, RS_TOOL_ERROR, "tool_not_found", message);
    } else if (!has_fitting_args(call)) {
        return; /* nobody is asked about what cannot be done */
    } else if (call->declared.approval == CONFIG_APPROVAL_DENY) {
        call_finish_error(
            call, RS_TOOL_DENIED, "tool_denied", "the configuration does not allow it");
    } else if (call->declared.approval == CONFIG_APPROVAL_ASK) {
        call->state = CALL_TO_ASK;
    } else {
        call_run(call);
    }
}

/* tool_executing, which is what accepts a call. */
static int begin_tool(struct tool_call *call, const struct agent_tool_call *wanted)
{
    json_append_one_line(&call->args, wanted->args);
    buffer_append_char(&call->args, '\0');
    if (buffer_error(&call->args))
        return RS_E_NO_MEMORY;
    return rs_tool_begin(&call->tool, call->tools->options.run,
        wanted->tool_call_id[0] ? wanted->tool_call_id : NULL, call->name, call->args.data);
}

int tools_call(struct tools *tools, const struct agent_tool_call *wanted, struct span id)
{
    if (tools->count >= tools->options.calls_max)
        return TOOLS_E_BUSY;
    struct tool_call *call = call_new(tools, id);
    if (!call)
        return RS_E_NO_MEMORY;
    memcpy(call->name, wanted->name, sizeof(call->name));
    int rc = begin_tool(call, wanted);
    if (rc != RS_OK) {
        call_free(call);
        return rc;
    }
    list_append(&tools->calls, &call->link);
    tools->count++;
    start(call, find_tool(call));
    if (call->state != CALL_RUNNING)
        tools_settle(tools);
    return RS_OK;
}

void tools_cancel(struct tools *tools)
{
    tools->cancelling = true;
    LIST_FOR_EACH(struct tool_call, call, &tools->calls, link)
    {
        if (call->state == CALL_RUNNING && call->command)
            command_kill(call->command);
        else if (call->state == CALL_RUNNING || call->state == CALL_TO_ASK)
            call_finish_error(call, RS_TOOL_CANCELLED, "cancelled", "the run is being cancelled");
    }
    tools_settle(tools);
}

/* Whether the call is one that nothing has to be waited for. */
static bool is_only_kept(const struct tool_call *call, bool all)
{
    return call->state == CALL_TO_ASK || call->state == CALL_ASKING || call->mcp ||
           (call->state == CALL_FINISHED && all);
}

void tools_abandon(struct tools *tools, bool all)
{
    LIST_FOR_EACH(struct tool_call, call, &tools->calls, link)
    {
        if (call->state == CALL_RUNNING && call->command) {
            call->state = CALL_ABANDONED;
            command_kill(call->command);
        } else if (is_only_kept(call, all)) {
            call_free(call);
            tools->count--;
        }
    }
}

bool tools_busy(const struct tools *tools)
{
    return tools->count > 0;
}

void tools_init(struct tools *tools, const struct tools_options *options,
    const struct tools_events *events, void *context)
{
    *tools = (struct tools){.options = *options, .events = events, .context = context};
    list_init(&tools->calls);
}

void tools_deinit(struct tools *tools)
{
    LIST_FOR_EACH(struct tool_call, call, &tools->calls, link)
    {
        call_free(call);
    }
    tools->count = 0;
}
