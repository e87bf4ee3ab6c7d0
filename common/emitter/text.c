/* SPDX-License-Identifier: Apache-2.0 */
/* Text of messages and of thinking, cut into events that fit a record. */
#include "base/json_scan.h"
#include "event/record.h"
#include "payload.h"
#include "run.h"

/* The data around the text: {"delta":""}. */
#define DELTA_FRAME 12

/* Text is cut so that it lies in the ring: a stream of it is no reason to spill. */
static size_t text_budget(const struct rs_run *run, struct span message_id)
{
    return arena_payload_max(run->emitter->arena) - EVENT_RECORD_HEADER_SIZE - strlen(run->run_id) -
           message_id.len - DELTA_FRAME;
}

/* `step` is complete but for the data. */
static int emit_text(struct rs_run *run, struct step *step, struct span text, size_t *ret_taken)
{
    size_t budget = text_budget(run, step->event.message_id);
    uint64_t deadline = run_deadline(run);
    size_t taken = 0;
    int rc = text.len == 0 ? run_check(run, step) : RS_OK;
    while (rc == RS_OK && taken < text.len) {
        struct span rest = span_of(text.data + taken, text.len - taken);
        rest.len = payload_text_fit(rest, budget);
        rc = payload_delta(&run->data, rest, false, false);
        if (rc == RS_OK)
            rc = run_step_data(run, step, deadline);
        if (rc == RS_OK)
            taken += rest.len;
    }
    if (ret_taken)
        *ret_taken = taken;
    return rc;
}

static bool text_valid(const char *message_id, struct span text)
{
    return valid_optional_id(message_id) && (text.data || text.len == 0) && utf8_valid(text);
}

int rs_text(rs_run *run, const char *message_id, const char *text, size_t length, size_t *ret_taken)
{
    char made[IDENTIFIER_MADE_SIZE];
    if (ret_taken)
        *ret_taken = 0;
    if (!run || !text_valid(message_id, span_of(text, length)))
        return RS_E_INVALID;
    struct span id = run_text_id(run, message_id, made);
    struct step step = {.kind = STEP_TEXT,
        .item_id = id,
        .event = {.type = EVENT_PARTIAL_RESULT, .message_id = id}};
    return emit_text(run, &step, span_of(text, length), ret_taken);
}

int rs_thinking_delta(
    rs_run *run, const char *message_id, const char *text, size_t length, size_t *ret_taken)
{
    if (ret_taken)
        *ret_taken = 0;
    if (!run || !text_valid(message_id, span_of(text, length)))
        return RS_E_INVALID;
    struct step step = {.kind = STEP_THINK,
        .event = {.type = EVENT_AGENT_THINKING, .message_id = run_thinking_id(run, message_id)}};
    return emit_text(run, &step, span_of(text, length), ret_taken);
}

int rs_text_final(rs_run *run, const char *message_id)
{
    char made[IDENTIFIER_MADE_SIZE];
    if (!run || !valid_optional_id(message_id))
        return RS_E_INVALID;
    int rc = payload_delta(&run->data, SPAN_EMPTY, true, false);
    if (rc)
        return rc;
    struct span id = run_text_id(run, message_id, made);
    struct step step = {.kind = STEP_TEXT_FINAL,
        .item_id = id,
        .event = {.type = EVENT_PARTIAL_RESULT, .flags = EVENT_FLAG_FINAL, .message_id = id}};
    return run_step_data(run, &step, run_deadline(run));
}
