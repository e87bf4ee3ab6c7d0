/* SPDX-License-Identifier: Apache-2.0 */
#include "tools.h"

#include "command.h"
#include "json_view.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

/*
 *   RUNNING    its command is going on
 *   FINISHED   `status`, `value`, `code` and `message` say how; to be emitted, then answered
 *   ABANDONED  its command is being killed; nobody is told
 */
enum call_state {
    CALL_RUNNING,
    CALL_FINISHED,
    CALL_ABANDONED,
};

struct tool_call {
    struct list_link link; /* tools.calls */
    struct tools *tools;
    const struct registry_tool *declared; /* NULL when there is none */
    rs_tool *tool;                        /* owned by the run */
    struct command *command;
    enum call_state state;
    uint64_t began_ms;
    uint64_t duration_ms;
    enum rs_tool_status status;
    char code[IDENTIFIER_SIZE]; /* unless ok */
    struct buffer message;      /* the same; NUL-terminated */
    struct buffer value;        /* JSON: the result, or the error; NUL-terminated */
    struct span id;             /* of the request; behind the struct */
    char id_bytes[];
};

/* ---- calls */

static void call_free(struct tool_call *call)
{
    if (!call)
        return;
    list_remove(&call->link);
    command_free(call->command);
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

static void remove_call(struct tools *tools, struct tool_call *call)
{
    call_free(call);
    tools->count--;
    if (tools->count == 0)
        tools->events->on_idle(tools->context);
}

static void finish(struct tool_call *call, enum rs_tool_status status)
{
    call->state = CALL_FINISHED;
    call->status = status;
    call->duration_ms = clock_monotonic_ms() - call->began_ms;
}

static void finish_ok(struct tool_call *call, struct span result)
{
    json_append_one_line(&call->value, result);
    buffer_append_char(&call->value, '\0');
    finish(call, RS_TOOL_OK);
}

/* `message` is cut where a log line would be. */
static void finish_error(
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

/* ---- what became of a command */

/* A tool that fails may say why: {"error": {"code": …, "message": …}} on its stdout. */
static bool finish_as_said(struct tool_call *call, struct span output)
{
    struct span error;
    struct span code;
    struct span text;
    char name[IDENTIFIER_SIZE];
    const struct json_wanted outer[] = {{"error", &error}};
    const struct json_wanted inner[] = {{"code", &code}, {"message", &text}};
    struct buffer message = BUFFER_INIT;
    if (!json_scan_valid(output) || !json_members(output, outer, 1) ||
        !json_members(error, inner, 2) || !json_identifier(name, code))
        return false;
    bool said = json_string(&message, text);
    buffer_append_char(&message, '\0');
    said = said && buffer_error(&message) == 0;
    if (said)
        finish_error(call, RS_TOOL_ERROR, name, message.data);
    buffer_deinit(&message);
    return said;
}

static void finish_failed(struct tool_call *call, const struct process *process)
{
    struct buffer message = BUFFER_INIT;
    struct span words = process_last_words(process);
    buffer_append_string(&message, "the tool ");
    process_describe_exit(process, &message);
    if (words.len)
        buffer_printf(&message, ": %.*s", SPAN_ARG(words));
    buffer_append_char(&message, '\0');
    finish_error(call, RS_TOOL_ERROR, "tool_failed",
        buffer_error(&message) ? "the tool failed" : message.data);
    buffer_deinit(&message);
}

static void finish_exited(struct tool_call *call)
{
    struct span output = json_trim(command_output(call->command));
    const struct process *process = command_process(call->command);
    if (!process_succeeded(process)) {
        if (!finish_as_said(call, output))
            finish_failed(call, process);
    } else if (!json_scan_valid(output)) {
        finish_error(
            call, RS_TOOL_ERROR, "tool_bad_output", "the tool did not write one JSON value");
    } else {
        finish_ok(call, output);
    }
}

static void finish_ended(struct tool_call *call)
{
    char message[128];
    switch (command_how(call->command)) {
    case COMMAND_EXITED: finish_exited(call); break;
    case COMMAND_TIMED_OUT:
        snprintf(message, sizeof(message), "the tool took longer than %llu ms",
            (unsigned long long)call->declared->timeout_ms);
        finish_error(call, RS_TOOL_ERROR, "tool_timeout", message);
        break;
    case COMMAND_TOO_MUCH:
        snprintf(message, sizeof(message), "the tool wrote more than %zu bytes",
            call->tools->options.output_max);
        finish_error(call, RS_TOOL_ERROR, "tool_output_too_large", message);
        break;
    case COMMAND_KILLED:
        finish_error(call, RS_TOOL_CANCELLED, "cancelled", "the run is being cancelled");
        break;
    }
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
    static const char *const names[] = {
        [RS_TOOL_OK] = "ok", [RS_TOOL_ERROR] = "error", [RS_TOOL_CANCELLED] = "cancelled"};
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
        if (call->state != CALL_FINISHED)
            continue;
        int rc = buffer_error(&call->value) ? RS_E_NO_MEMORY : end_tool(call);
        if (rc != RS_OK)
            return rc;
        answer(tools, call);
        remove_call(tools, call);
    }
    return RS_OK;
}

static void report_or_stick(struct tools *tools)
{
    int rc = tools_report(tools);
    if (rc != RS_OK)
        tools->events->on_stuck(tools->context, rc);
}

static void on_ended(void *context, struct command *command)
{
    (void)command;
    struct tool_call *call = context;
    struct tools *tools = call->tools;
    if (call->state == CALL_ABANDONED) {
        remove_call(tools, call);
        return;
    }
    finish_ended(call);
    command_free(STEAL_POINTER(call->command));
    report_or_stick(tools);
}

/* ---- the calls of others */

static int start_command(struct tool_call *call, struct span args)
{
    const struct tools_options *options = &call->tools->options;
    char name[2 * IDENTIFIER_SIZE + 16];
    snprintf(name, sizeof(name), "run %s tool %s", options->run_id, call->declared->name);
    const struct command_options command = {.loop = options->loop,
        .program = &call->declared->program,
        .log_name = name,
        .input = args,
        .timeout_ms = call->declared->timeout_ms,
        .output_max = options->output_max};
    return command_new(&call->command, &command, on_ended, call);
}

static void start(struct tool_call *call, const struct agent_tool_call *wanted)
{
    char message[IDENTIFIER_SIZE + 128];
    int rc = call->declared ? start_command(call, wanted->args) : 0;
    if (!call->declared) {
        snprintf(message, sizeof(message), "the agent has no tool \"%s\"", wanted->name);
        finish_error(call, RS_TOOL_ERROR, "tool_not_found", message);
    } else if (rc < 0) {
        snprintf(message, sizeof(message), "the tool could not be started: %s", strerror(-rc));
        finish_error(call, RS_TOOL_ERROR, "tool_start_failed", message);
    }
}

/* tool_executing, which is what accepts a call. */
static int begin_tool(struct tool_call *call, const struct agent_tool_call *wanted)
{
    char *args = strndup(wanted->args.data, wanted->args.len);
    if (!args)
        return RS_E_NO_MEMORY;
    int rc = rs_tool_begin(&call->tool, call->tools->options.run,
        wanted->tool_call_id[0] ? wanted->tool_call_id : NULL, wanted->name, args);
    free(args);
    return rc;
}

int tools_call(struct tools *tools, const struct agent_tool_call *wanted, struct span id)
{
    if (tools->count >= tools->options.calls_max)
        return TOOLS_E_BUSY;
    struct tool_call *call = call_new(tools, id);
    if (!call)
        return RS_E_NO_MEMORY;
    int rc = begin_tool(call, wanted);
    if (rc != RS_OK) {
        call_free(call);
        return rc;
    }
    call->declared = registry_find_tool(tools->options.agent, wanted->name);
    list_append(&tools->calls, &call->link);
    tools->count++;
    start(call, wanted);
    if (call->state == CALL_FINISHED)
        report_or_stick(tools);
    return RS_OK;
}

void tools_cancel(struct tools *tools)
{
    LIST_FOR_EACH(struct tool_call, call, &tools->calls, link)
    {
        if (call->state == CALL_RUNNING)
            command_kill(call->command);
    }
}

void tools_abandon(struct tools *tools, bool all)
{
    LIST_FOR_EACH(struct tool_call, call, &tools->calls, link)
    {
        if (call->state == CALL_RUNNING) {
            call->state = CALL_ABANDONED;
            command_kill(call->command);
        } else if (call->state == CALL_FINISHED && all) {
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
