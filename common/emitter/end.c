/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How runs end. The last event of a run is its terminal one, and no tool and no text is open behind
 * it: tools are completed, then text is made final. Each of these is a step of its own, so an end
 * that stopped half-way goes on where it stood. An interrupt left open ends with its run, without
 * an event: nobody resolved it.
 */
#include "payload.h"
#include "run.h"

static int close_tools(struct rs_run *run, enum run_end end, uint64_t deadline)
{
    bool cancelled = end == RUN_END_CANCELLED || end == RUN_END_INTERRUPT;
    struct tool_ending ending = {
        .status = cancelled ? RS_TOOL_CANCELLED : RS_TOOL_LOST,
        .code = cancelled ? "cancelled" : "tool_lost",
        .message = "the run ended before the tool did",
    };
    for (struct grammar_item *item; (item = grammar_first_open(&run->grammar, GRAMMAR_TOOL));) {
        int rc = tool_end(CONTAINER_OF(item, struct rs_tool, item), &ending, deadline);
        if (rc)
            return rc;
    }
    return RS_OK;
}

static int close_texts(struct rs_run *run, enum run_end end, uint64_t deadline)
{
    bool truncated = end == RUN_END_CANCELLED || end == RUN_END_FAILURE;
    for (struct grammar_item *item; (item = grammar_first_open(&run->grammar, GRAMMAR_TEXT));) {
        struct span id = span_of_string(item->id);
        struct step step = {.kind = STEP_TEXT_FINAL,
            .item_id = id,
            .event = {.type = EVENT_PARTIAL_RESULT, .flags = EVENT_FLAG_FINAL, .message_id = id}};
        int rc = payload_delta(&run->data, SPAN_EMPTY, true, truncated);
        if (rc == RS_OK)
            rc = run_step_data(run, &step, deadline);
        if (rc)
            return rc;
    }
    return RS_OK;
}

static int run_close(struct rs_run *run, enum run_end end, uint64_t deadline)
{
    int rc = close_tools(run, end, deadline);
    return rc ? rc : close_texts(run, end, deadline);
}

int run_end(struct rs_run *run, enum run_end end, const struct step *step, uint64_t deadline)
{
    int rc = run_fits(run, step);
    if (rc == RS_OK && run->grammar.state == GRAMMAR_NEW)
        rc = run_start(run, deadline);
    if (rc == RS_OK)
        rc = run_close(run, end, deadline);
    return rc ? rc : run_step(run, step, deadline);
}

int rs_run_complete(
    rs_run *run, enum rs_outcome outcome, const char *result_json, const char *usage_json)
{
    static const enum run_end ends[] = {
        [RS_SUCCESS] = RUN_END_SUCCESS,
        [RS_CANCELLED] = RUN_END_CANCELLED,
        [RS_INTERRUPT] = RUN_END_INTERRUPT,
    };
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    if (!run)
        return RS_E_INVALID;
    int rc = payload_completed(&data, outcome, result_json, usage_json);
    if (rc)
        return rc;
    struct step step = {.kind = STEP_COMPLETE,
        .event = {.type = EVENT_AGENT_COMPLETED,
            .flags = outcome == RS_CANCELLED ? EVENT_FLAG_OUTCOME_CANCELLED : 0,
            .data = buffer_span(&data)}};
    return run_end(run, ends[outcome], &step, run_deadline(run));
}

static int run_fail(
    struct rs_run *run, const char *code, const char *message, bool retryable, uint64_t deadline)
{
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    int rc = payload_error(&data, code, message, true, retryable);
    if (rc)
        return rc;
    struct step step = {.kind = STEP_FAIL,
        .event = {
            .type = EVENT_ERROR_EVENT, .flags = EVENT_FLAG_FATAL, .data = buffer_span(&data)}};
    return run_end(run, RUN_END_FAILURE, &step, deadline);
}

int rs_run_fail(rs_run *run, const char *code, const char *message, bool retryable)
{
    if (!run)
        return RS_E_INVALID;
    return run_fail(run, code, message, retryable, run_deadline(run));
}

int run_end_abandoned(struct rs_run *run, uint64_t deadline)
{
    if (run->grammar.state != GRAMMAR_RUNNING)
        return RS_OK;
    return run_fail(
        run, "agent_failed", "the agent's run was given up without an end", false, deadline);
}
