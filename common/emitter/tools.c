/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/json.h"
#include "payload.h"
#include "run.h"

static struct step tool_step(enum grammar_step kind, enum event_type type, struct span tool_call_id)
{
    return (struct step){.kind = kind,
        .item_id = tool_call_id,
        .event = {.type = type, .tool_call_id = tool_call_id}};
}

static int tool_begin(
    struct rs_run *run, struct span id, struct span name_json, const char *args_json)
{
    int rc = payload_tool_executing(&run->data, name_json, args_json);
    if (rc)
        return rc;
    struct step step = tool_step(STEP_TOOL_BEGIN, EVENT_TOOL_EXECUTING, id);
    step.tool_name_json = name_json;
    return run_step_data(run, &step, run_deadline(run));
}

static struct rs_tool *tool_of(struct grammar_item *item)
{
    return item ? CONTAINER_OF(item, struct rs_tool, item) : NULL;
}

int rs_tool_begin(rs_tool **ret_tool, rs_run *run, const char *tool_call_id, const char *name,
    const char *args_json)
{
    char made[IDENTIFIER_MADE_SIZE];
    if (!run || !valid_optional_id(tool_call_id) || !valid_text(name) || !name[0] ||
        strlen(name) > IDENTIFIER_MAX)
        return RS_E_INVALID;
    if (!tool_call_id) {
        identifier_make(made, "c-");
        tool_call_id = made;
    }
    _cleanup_(buffer_deinit) struct buffer name_json = BUFFER_INIT;
    json_append_string(&name_json, span_of_string(name));
    if (buffer_error(&name_json))
        return RS_E_NO_MEMORY;
    struct span id = span_of_string(tool_call_id);
    int rc = tool_begin(run, id, buffer_span(&name_json), args_json);
    if (rc == RS_OK && ret_tool)
        *ret_tool = tool_of(grammar_find(&run->grammar, GRAMMAR_TOOL, id));
    return rc;
}

const char *rs_tool_id(const rs_tool *tool)
{
    return tool->item.id;
}

rs_tool *rs_run_tool(rs_run *run, const char *tool_call_id)
{
    if (!run || !valid_id(tool_call_id))
        return NULL;
    struct grammar_item *item =
        grammar_find(&run->grammar, GRAMMAR_TOOL, span_of_string(tool_call_id));
    return item && item->state == ITEM_OPEN ? tool_of(item) : NULL;
}

int rs_tool_progress(rs_tool *tool, const char *progress_json)
{
    if (!tool)
        return RS_E_INVALID;
    struct rs_run *run = tool->run;
    int rc = payload_progress(&run->data, progress_json);
    if (rc)
        return rc;
    struct step step =
        tool_step(STEP_TOOL_PROGRESS, EVENT_PARTIAL_RESULT, span_of_string(tool->item.id));
    return run_step_data(run, &step, run_deadline(run));
}

int tool_end(struct rs_tool *tool, struct tool_ending *ending, uint64_t deadline)
{
    struct rs_run *run = tool->run;
    ending->name_json = span_of(tool->name_json, tool->name_length);
    ending->duration_ms = clock_monotonic_ms() - tool->began_ms;
    int rc = payload_tool_completed(&run->data, ending);
    if (rc)
        return rc;
    struct step step =
        tool_step(STEP_TOOL_END, EVENT_TOOL_COMPLETED, span_of_string(tool->item.id));
    return run_step_data(run, &step, deadline);
}

int rs_tool_end(rs_tool *tool, enum rs_tool_status status, const char *result_json,
    const char *code, const char *message)
{
    struct tool_ending ending = {
        .status = status, .result_json = result_json, .code = code, .message = message};
    if (!tool)
        return RS_E_INVALID;
    return tool_end(tool, &ending, run_deadline(tool->run));
}
