/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that are one event: thinking, errors, interrupts. */
#include "payload.h"
#include "run.h"

int rs_thinking_status(rs_run *run, const char *status)
{
    if (!run)
        return RS_E_INVALID;
    int rc = payload_text(&run->data, "status", status);
    if (rc)
        return rc;
    struct step step = {.kind = STEP_THINK,
        .event = {.type = EVENT_AGENT_THINKING, .message_id = run_thinking_id(run, NULL)}};
    return run_step_data(run, &step, run_deadline(run));
}

int rs_error(rs_run *run, const char *code, const char *message, bool retryable)
{
    if (!run)
        return RS_E_INVALID;
    int rc = payload_error(&run->data, code, message, false, retryable);
    if (rc)
        return rc;
    struct step step = {.kind = STEP_WARN, .event = {.type = EVENT_ERROR_EVENT}};
    return run_step_data(run, &step, run_deadline(run));
}

int rs_interrupt_request(rs_run *run, const char *interrupt_id, const char *reason,
    const char *payload_json, uint64_t expires_at)
{
    const struct interrupt interrupt = {interrupt_id, reason, payload_json, expires_at};
    if (!run || !reason)
        return RS_E_INVALID;
    int rc = payload_interrupt(&run->data, &interrupt);
    if (rc)
        return rc;
    struct step step = {.kind = STEP_INTERRUPT_BEGIN,
        .item_id = span_of_string(interrupt_id),
        .event = {.type = EVENT_INTERRUPT_REQUESTED}};
    return run_step_data(run, &step, run_deadline(run));
}

int rs_interrupt_resolved(
    rs_run *run, const char *interrupt_id, const char *reason, const char *payload_json)
{
    const struct interrupt interrupt = {interrupt_id, reason, payload_json, 0};
    if (!run)
        return RS_E_INVALID;
    int rc = payload_interrupt(&run->data, &interrupt);
    if (rc)
        return rc;
    struct step step = {.kind = STEP_INTERRUPT_END,
        .item_id = span_of_string(interrupt_id),
        .event = {.type = EVENT_INTERRUPT_RESOLVED}};
    return run_step_data(run, &step, run_deadline(run));
}
