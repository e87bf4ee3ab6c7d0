/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that somebody outside decides, both by an interrupt whose payload names the call:
 *   approval   may it be run? Only {"approved": true} is a yes
 *   tool       the user's client is to do it, and its answer is the result
 */
#include "tools/call.h"

#include "json/view.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>

static bool is_approval(const struct tool_call *call)
{
    return !call->allowed;
}

/* ---- answers */

static void deny(struct tool_call *call, const char *message)
{
    call_finish_error(call, RS_TOOL_DENIED, "tool_denied", message);
}

/* A person may say why not. */
static void deny_as_said(struct tool_call *call, struct span text)
{
    struct buffer message = BUFFER_INIT;
    buffer_append_string(&message, "the user did not allow it");
    size_t plain = message.len;
    buffer_append_string(&message, ": ");
    if (text.len <= 2 || !json_string(&message, text))
        message.len = plain;
    buffer_append_char(&message, '\0');
    deny(call, buffer_error(&message) ? "the user did not allow it" : message.data);
    buffer_deinit(&message);
}

static void take_approval(struct tool_call *call, const struct agent_interrupt_result *result)
{
    struct span approved = SPAN_EMPTY;
    struct span text = SPAN_EMPTY;
    const struct json_wanted wanted[] = {{"approved", &approved}, {"text", &text}};
    json_members(result->payload, wanted, 2);
    if (strcmp(result->status, "expired") == 0) {
        call_finish_error(call, RS_TOOL_DENIED, "approval_expired", "nobody allowed it in time");
    } else if (strcmp(result->status, "resolved") == 0 && span_is(approved, "true")) {
        call->allowed = true;
        call_run(call);
    } else {
        deny_as_said(call, text);
    }
}

static void take_result(struct tool_call *call, const struct agent_interrupt_result *result)
{
    char message[128];
    if (strcmp(result->status, "resolved") == 0) {
        call_finish_ok(call, result->payload.len ? result->payload : SPAN_LITERAL("null"));
    } else if (strcmp(result->status, "expired") == 0) {
        snprintf(message, sizeof(message), "no client of the user did it within %llu ms",
            (unsigned long long)call->declared.timeout_ms);
        call_finish_error(call, RS_TOOL_ERROR, "tool_timeout", message);
    } else if (!call_finish_as_said(call, result->payload)) {
        call_finish_error(
            call, RS_TOOL_ERROR, "tool_refused", "the user's client did not want to do it");
    }
}

static void on_answer(void *context, const struct agent_interrupt_result *result)
{
    struct tool_call *call = context;
    struct tools *tools = call->tools;
    if (tools->cancelling)
        call_finish_error(call, RS_TOOL_CANCELLED, "cancelled", "the run is being cancelled");
    else if (is_approval(call))
        take_approval(call, result);
    else
        take_result(call, result);
    tools_settle(tools);
}

/* ---- asking */

static void append_payload(struct buffer *payload, const struct tool_call *call)
{
    buffer_append_char(payload, '{');
    json_append_member(payload, "kind", span_of_string(is_approval(call) ? "approval" : "tool"));
    json_append_member(payload, "tool_call_id", span_of_string(rs_tool_id(call->tool)));
    json_append_member(payload, "tool_name", span_of_string(call->name));
    json_append_member_raw(payload, "args", call_args(call));
    buffer_append_char(payload, '}');
}

static int ask(struct tool_call *call)
{
    char question[IDENTIFIER_SIZE + 64];
    struct buffer reason = BUFFER_INIT;
    struct buffer payload = BUFFER_INIT;
    snprintf(question, sizeof(question),
        is_approval(call) ? "May %s be run?" : "Your application is asked for %s.", call->name);
    json_append_string(&reason, span_of_string(question));
    append_payload(&payload, call);
    const struct agent_interrupt wanted = {.reason = buffer_span(&reason),
        .payload = buffer_span(&payload),
        .expires_at = clock_wall_ms() + (is_approval(call) ? call->declared.approval_timeout_ms
                                                           : call->declared.timeout_ms)};
    int rc = buffer_error(&reason) || buffer_error(&payload) ? RS_E_NO_MEMORY : RS_OK;
    if (rc == RS_OK)
        rc = interrupts_ask_for(call->tools->options.interrupts, &wanted, &call->asker);
    buffer_deinit(&reason);
    buffer_deinit(&payload);
    return rc;
}

/* Nobody can be asked. */
static void give_up(struct tool_call *call, const char *reason)
{
    if (is_approval(call))
        deny(call, reason);
    else
        call_finish_error(call, RS_TOOL_ERROR, "tool_unavailable", reason);
}

int tool_question_ask(struct tool_call *call)
{
    call->state = CALL_TO_ASK;
    call->asker = (struct interrupt_asker){.on_answer = on_answer, .context = call};
    if (call->tools->options.unattended) {
        give_up(call, "there is nobody to ask");
        return RS_OK;
    }
    int rc = ask(call);
    if (rc == RS_OK)
        call->state = CALL_ASKING;
    else if (rc == INTERRUPTS_E_BUSY || rc == RS_E_TOO_MANY)
        give_up(call, "too many questions are open already");
    else if (rc == RS_E_TOO_BIG)
        give_up(call, "its arguments are larger than a question may be");
    else
        return rc;
    return RS_OK;
}
