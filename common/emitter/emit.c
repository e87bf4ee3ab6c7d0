/* SPDX-License-Identifier: Apache-2.0 */
/* rs_emit: events whose `data` an agent made, through the same grammar as all others. */
#include "base/clock.h"
#include "base/json.h"
#include "request.h"
#include "run.h"

/* Which form a type has, and what it is about. */
enum subject { SUBJECT_RUN, SUBJECT_MESSAGE, SUBJECT_TOOL };

static const struct form_rule {
    enum event_type type;
    enum subject subject;
} forms[FORM_COUNT] = {
    [FORM_THINKING] = {EVENT_AGENT_THINKING, SUBJECT_MESSAGE},
    [FORM_TOOL_EXECUTING] = {EVENT_TOOL_EXECUTING, SUBJECT_TOOL},
    [FORM_TOOL_COMPLETED] = {EVENT_TOOL_COMPLETED, SUBJECT_TOOL},
    [FORM_TEXT] = {EVENT_PARTIAL_RESULT, SUBJECT_MESSAGE},
    [FORM_TOOL_PROGRESS] = {EVENT_PARTIAL_RESULT, SUBJECT_TOOL},
    [FORM_COMPLETED] = {EVENT_AGENT_COMPLETED, SUBJECT_RUN},
    [FORM_ERROR] = {EVENT_ERROR_EVENT, SUBJECT_RUN},
    [FORM_INTERRUPT_REQUESTED] = {EVENT_INTERRUPT_REQUESTED, SUBJECT_RUN},
    [FORM_INTERRUPT_RESOLVED] = {EVENT_INTERRUPT_RESOLVED, SUBJECT_RUN},
};

/* The identifiers given decide between the forms of one type; what does not belong is refused. */
static bool form_takes(const struct form_rule *form, const struct request *request)
{
    if (form->type != request->type)
        return false;
    switch (form->subject) {
    case SUBJECT_RUN: return !request->message_id && !request->tool_call_id;
    case SUBJECT_MESSAGE: return !request->tool_call_id;
    case SUBJECT_TOOL: return !request->message_id && request->tool_call_id;
    }
    return false;
}

int request_form(enum form *ret_form, const struct request *request)
{
    int rc = RS_E_TYPE;
    for (int i = 0; i < FORM_COUNT; i++) {
        if (form_takes(&forms[i], request)) {
            *ret_form = (enum form)i;
            return RS_OK;
        }
        if (forms[i].type == request->type)
            rc = RS_E_INVALID;
    }
    return rc;
}

static void fill(struct buffer *out, struct span object, const char *name, const char *json)
{
    if (member_value(object, name).len == 0)
        json_append_member_raw(out, name, span_of_string(json));
}

static void fill_completed_tool(
    struct buffer *out, struct span object, const struct grammar_item *item)
{
    const struct rs_tool *tool = CONTAINER_OF(item, struct rs_tool, item);
    if (member_value(object, "tool_name").len == 0)
        json_append_member_raw(out, "tool_name", span_of(tool->name_json, tool->name_length));
    if (member_value(object, "duration_ms").len == 0)
        json_append_member_uint(out, "duration_ms", clock_monotonic_ms() - tool->began_ms);
}

void request_fill(
    struct buffer *out, const struct rs_run *run, enum form form, const struct request *request)
{
    if (form == FORM_TOOL_EXECUTING) {
        fill(out, request->data, "args", "{}");
    } else if (form == FORM_ERROR) {
        fill(out, request->data, "fatal", "false");
        fill(out, request->data, "retryable", "false");
    } else if (form == FORM_TOOL_COMPLETED) {
        const struct grammar_item *item =
            grammar_find(&run->grammar, GRAMMAR_TOOL, span_of_string(request->tool_call_id));
        if (item)
            fill_completed_tool(out, request->data, item);
    }
    buffer_append_char(out, '}');
}

static void plan_text(struct step *step, struct span data)
{
    bool final = member_is_true(data, "final");
    step->kind = final ? STEP_TEXT_LAST : STEP_TEXT;
    step->item_id = step->event.message_id;
    step->event.flags = final ? EVENT_FLAG_FINAL : 0;
}

static void plan_item(struct step *step, enum form form, const struct request *request)
{
    step->kind = form == FORM_TOOL_EXECUTING        ? STEP_TOOL_BEGIN
                 : form == FORM_TOOL_PROGRESS       ? STEP_TOOL_PROGRESS
                 : form == FORM_TOOL_COMPLETED      ? STEP_TOOL_END
                 : form == FORM_INTERRUPT_REQUESTED ? STEP_INTERRUPT_BEGIN
                                                    : STEP_INTERRUPT_END;
    step->item_id = request->tool_call_id ? step->event.tool_call_id
                                          : member_text(request->data, "interrupt_id");
    if (form == FORM_TOOL_EXECUTING)
        step->tool_name_json = member_value(request->data, "tool_name");
}

void request_plan(struct step *step, enum form form, const struct request *request)
{
    switch (form) {
    case FORM_THINKING: step->kind = STEP_THINK; break;
    case FORM_TEXT: plan_text(step, request->data); break;
    case FORM_ERROR:
        step->kind = member_is_true(request->data, "fatal") ? STEP_FAIL : STEP_WARN;
        step->event.flags = step->kind == STEP_FAIL ? EVENT_FLAG_FATAL : 0;
        break;
    case FORM_COMPLETED:
        step->kind = STEP_COMPLETE;
        if (span_is(member_text(request->data, "outcome"), "cancelled"))
            step->event.flags = EVENT_FLAG_OUTCOME_CANCELLED;
        break;
    default: plan_item(step, form, request);
    }
}

static enum run_end end_of(const struct request *request)
{
    struct span outcome = member_text(request->data, "outcome");
    if (request->type == EVENT_ERROR_EVENT)
        return RUN_END_FAILURE;
    if (span_is(outcome, outcomes[RS_CANCELLED]))
        return RUN_END_CANCELLED;
    return span_is(outcome, outcomes[RS_INTERRUPT]) ? RUN_END_INTERRUPT : RUN_END_SUCCESS;
}

static int emit(struct rs_run *run, enum form form, const struct request *request)
{
    char made[IDENTIFIER_MADE_SIZE];
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    buffer_append_span(&data, members_open(request->data));
    request_fill(&data, run, form, request);
    if (buffer_error(&data))
        return RS_E_NO_MEMORY;
    struct step step = {.event = {.type = request->type,
                            .tool_call_id = span_of_string(request->tool_call_id),
                            .data = buffer_span(&data)}};
    if (form == FORM_TEXT)
        step.event.message_id = run_text_id(run, request->message_id, made);
    else if (form == FORM_THINKING)
        step.event.message_id = run_thinking_id(run, request->message_id);
    request_plan(&step, form, request);
    uint64_t deadline = run_deadline(run);
    if (grammar_step_ends(step.kind))
        return run_end(run, end_of(request), &step, deadline);
    return run_step(run, &step, deadline);
}

int rs_emit(rs_run *run, const char *type, const char *message_id, const char *tool_call_id,
    const char *data_json)
{
    enum form form;
    if (!run || !type || !data_json || !valid_optional_id(message_id) ||
        !valid_optional_id(tool_call_id))
        return RS_E_INVALID;
    const struct request request = {.type = event_type_parse(span_of_string(type)),
        .message_id = message_id,
        .tool_call_id = tool_call_id,
        .data = span_of_string(data_json)};
    int rc = request_form(&form, &request);
    if (rc == RS_OK)
        rc = members_check(form, request.data);
    return rc ? rc : emit(run, form, &request);
}
