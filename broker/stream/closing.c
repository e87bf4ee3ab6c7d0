/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/closing.h"

#include "base/clock.h"
#include "base/json.h"
#include "failpoints/failpoint.h"

static void write_data(
    struct pipeline *pipeline, struct run *run, struct event event, struct buffer *data)
{
    buffer_append_char(data, '}');
    event.flags |= EVENT_FLAG_SYNTHETIC;
    event.data = buffer_span(data);
    pipeline_write(pipeline, run, &event);
    FAILPOINT(item_closed);
    buffer_clear(data);
}

static void close_tool(struct pipeline *pipeline, struct run *run, const struct open_item *tool,
    const char *status, struct buffer *data)
{
    char id[IDENTIFIER_SIZE];
    uint64_t now = clock_wall_ms();
    memcpy(id, tool->item.id, sizeof(id)); /* the item is gone once the event is applied */
    buffer_append_char(data, '{');
    json_append_member(data, "tool_name", span_of_string(tool->label));
    json_append_member(data, "status", span_of_string(status));
    json_append_member_uint(data, "duration_ms", now > tool->since_ms ? now - tool->since_ms : 0);
    write_data(pipeline, run,
        (struct event){.type = EVENT_TOOL_COMPLETED, .tool_call_id = span_of_string(id)}, data);
}

static void close_text(
    struct pipeline *pipeline, struct run *run, const struct open_item *text, struct buffer *data)
{
    char id[IDENTIFIER_SIZE];
    memcpy(id, text->item.id, sizeof(id));
    buffer_append_char(data, '{');
    json_append_member(data, "delta", SPAN_EMPTY);
    json_append_member_bool(data, "final", true);
    json_append_member_bool(data, "truncated", true);
    write_data(pipeline, run,
        (struct event){.type = EVENT_PARTIAL_RESULT,
            .flags = EVENT_FLAG_FINAL,
            .message_id = span_of_string(id)},
        data);
}

static void write_cancelled(struct pipeline *pipeline, struct run *run, struct buffer *data)
{
    buffer_append_char(data, '{');
    json_append_member(data, "outcome", SPAN_LITERAL("cancelled"));
    write_data(pipeline, run,
        (struct event){.type = EVENT_AGENT_COMPLETED, .flags = EVENT_FLAG_OUTCOME_CANCELLED}, data);
}

static void write_error(
    struct pipeline *pipeline, struct run *run, const struct closing *closing, struct buffer *data)
{
    buffer_append_char(data, '{');
    json_append_member(data, "code", span_of_string(closing->code));
    json_append_member(data, "message", span_of_string(closing->message));
    json_append_member_bool(data, "fatal", true);
    json_append_member_bool(data, "retryable", closing->retryable);
    if (closing->signal > 0)
        json_append_member_uint(data, "signal", (uint64_t)closing->signal);
    if (closing->exit_code >= 0)
        json_append_member_uint(data, "exit_code", (uint64_t)closing->exit_code);
    write_data(
        pipeline, run, (struct event){.type = EVENT_ERROR_EVENT, .flags = EVENT_FLAG_FATAL}, data);
}

void closing_close_items(struct pipeline *pipeline, struct run *run, const char *tool_status)
{
    struct buffer data = BUFFER_INIT;
    LIST_FOR_EACH(struct open_item, tool, &run->grammar.open[GRAMMAR_TOOL], item.link)
    close_tool(pipeline, run, tool, tool_status, &data);
    LIST_FOR_EACH(struct open_item, text, &run->grammar.open[GRAMMAR_TEXT], item.link)
    close_text(pipeline, run, text, &data);
    buffer_deinit(&data);
}

void closing_end_run(struct pipeline *pipeline, struct run *run, const struct closing *closing)
{
    struct buffer data = BUFFER_INIT;
    closing_close_items(pipeline, run, closing->tool_status);
    if (closing->code) {
        write_error(pipeline, run, closing, &data);
    } else {
        if (run->state != RUN_CANCELLING)
            pipeline_move(pipeline, run, RUN_CANCELLING);
        write_cancelled(pipeline, run, &data);
    }
    buffer_deinit(&data);
}
