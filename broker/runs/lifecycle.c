/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/lifecycle.h"

#include "runs/payload.h"

#include <assert.h>

static_assert(VERDICT_SEALED == (enum verdict)GRAMMAR_SEALED &&
                  VERDICT_NO_MEMORY == (enum verdict)GRAMMAR_NO_MEMORY,
    "the grammar's verdicts come first");

static const char *const verdict_names[VERDICT_COUNT] = {
    [VERDICT_LEGAL] = "legal",
#define VERDICT(symbol, name) [VERDICT_##symbol] = #name,
#include "event/verdicts.def"
#include "runs/verdicts.def"
#undef VERDICT
};

const char *verdict_name(enum verdict verdict)
{
    return verdict_names[verdict];
}

struct span lifecycle_interrupt_id(char id[IDENTIFIER_SIZE], const struct event *event)
{
    if (event->type != EVENT_INTERRUPT_REQUESTED && event->type != EVENT_INTERRUPT_RESOLVED)
        return SPAN_EMPTY;
    payload_string(id, event->data, "interrupt_id");
    return span_of_string(id);
}

enum verdict lifecycle_check(const struct run *run, const struct event *event)
{
    char id[IDENTIFIER_SIZE];
    if (run_state_final(run->state))
        return VERDICT_SEALED;
    if (run->state == RUN_ACCEPTED || run->state == RUN_QUEUED)
        return VERDICT_NOT_STARTED;
    enum grammar_verdict verdict =
        grammar_judge(&run->grammar, event, lifecycle_interrupt_id(id, event), GRAMMAR_AGENT);
    /* What an end leaves open is closed before it by whoever takes it in. */
    return verdict == GRAMMAR_LEFT_OPEN ? VERDICT_LEGAL : (enum verdict)verdict;
}

static enum run_cause cause_of(
    const struct run *run, enum grammar_step step, const struct event *event)
{
    switch (step) {
    case STEP_QUEUED: return CAUSE_QUEUED;
    case STEP_START: return CAUSE_STARTED;
    case STEP_INTERRUPT_BEGIN: return CAUSE_INTERRUPTED;
    case STEP_INTERRUPT_END:
        return run->grammar.open_count[GRAMMAR_INTERRUPT] == 0 ? CAUSE_ANSWERED : CAUSE_NONE;
    case STEP_COMPLETE:
        return event->flags & EVENT_FLAG_OUTCOME_CANCELLED ? CAUSE_CANCELLED : CAUSE_COMPLETED;
    case STEP_FAIL: return CAUSE_FAILED;
    default: return CAUSE_NONE;
    }
}

int lifecycle_apply(struct run *run, const struct event *event)
{
    char id[IDENTIFIER_SIZE];
    enum grammar_step step = grammar_step_of(event);
    struct span item_id = grammar_id_of(step, event, lifecycle_interrupt_id(id, event));
    struct grammar_item *opened;
    int rc = grammar_follow(&opened, &run->grammar, step, item_id, sizeof(struct open_item));
    if (opened) {
        struct open_item *item = CONTAINER_OF(opened, struct open_item, item);
        item->since_ms = event->timestamp;
        /* Remembered so that the broker can close the call when its worker cannot. */
        if (step == STEP_TOOL_BEGIN)
            payload_string(item->label, event->data, "tool_name");
    }
    enum run_state after = run_state_after(run->state, cause_of(run, step, event));
    if (after != run->state)
        run_set_state(run, after);
    return rc;
}
