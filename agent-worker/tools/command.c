/* SPDX-License-Identifier: Apache-2.0 */
/* Tools that are programs: arguments on stdin, result on stdout, and what can go wrong there. */
#include "tools/call.h"

#include "json/view.h"

#include "base/json_scan.h"

#include <errno.h>
#include <stdio.h>

/* A tool that fails may say why: {"error": {"code": …, "message": …}} on its stdout. */
static bool finish_as_said(struct tool_call *call, struct span output)
{
    struct span error;
    const struct json_wanted wanted[] = {{"error", &error}};
    return json_scan_valid(output) && json_members(output, wanted, 1) &&
           call_finish_as_said(call, error);
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
    call_finish_error(call, RS_TOOL_ERROR, "tool_failed",
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
        call_finish_error(
            call, RS_TOOL_ERROR, "tool_bad_output", "the tool did not write one JSON value");
    } else {
        call_finish_ok(call, output);
    }
}

static void finish_ended(struct tool_call *call)
{
    char message[128];
    switch (command_how(call->command)) {
    case COMMAND_EXITED: finish_exited(call); break;
    case COMMAND_TIMED_OUT: call_finish_timed_out(call); break;
    case COMMAND_TOO_MUCH:
        snprintf(message, sizeof(message), "the tool wrote more than %zu bytes",
            call->tools->options.output_max);
        call_finish_error(call, RS_TOOL_ERROR, "tool_output_too_large", message);
        break;
    case COMMAND_KILLED:
        call_finish_error(call, RS_TOOL_CANCELLED, "cancelled", "the run is being cancelled");
        break;
    }
}

static void on_ended(void *context, struct command *command)
{
    (void)command;
    struct tool_call *call = context;
    struct tools *tools = call->tools;
    if (call->state == CALL_ABANDONED) {
        tools_remove(tools, call);
        return;
    }
    finish_ended(call);
    command_free(STEAL_POINTER(call->command));
    tools_settle(tools);
}

void tool_command_start(struct tool_call *call)
{
    const struct tools_options *options = &call->tools->options;
    char name[2 * IDENTIFIER_SIZE + 16];
    char message[128];
    snprintf(name, sizeof(name), "run %s tool %s", options->run_id, call->name);
    const struct command_options command = {.loop = options->loop,
        .program = &call->declared.program,
        .log_name = name,
        .input = call_args(call),
        .timeout_ms = call->declared.timeout_ms,
        .output_max = options->output_max};
    call->state = CALL_RUNNING;
    int rc = command_new(&call->command, &command, on_ended, call);
    if (rc == 0)
        return;
    snprintf(message, sizeof(message), "the tool could not be started: %s", strerror(-rc));
    call_finish_error(call, RS_TOOL_ERROR, "tool_start_failed", message);
}
