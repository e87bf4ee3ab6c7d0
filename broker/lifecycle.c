/* SPDX-License-Identifier: Apache-2.0 */
#include "lifecycle.h"

#include "payload.h"

static const char *const verdict_names[VERDICT_COUNT] = {
    [VERDICT_LEGAL] = "legal",
#define VERDICT(symbol, name) [VERDICT_##symbol] = #name,
#include "verdicts.def"
#undef VERDICT
};

const char *verdict_name(enum verdict verdict)
{
    return verdict_names[verdict];
}

static enum verdict check_tool(const struct run *run, const struct event *event)
{
    bool opens = event->type == EVENT_TOOL_EXECUTING;
    if (event->tool_call_id.len == 0)
        return VERDICT_NO_IDENTITY;
    bool open = run_find_open(&run->tools, event->tool_call_id);
    if (opens)
        return open ? VERDICT_TOOL_ALREADY_OPEN : VERDICT_LEGAL;
    return open ? VERDICT_LEGAL : VERDICT_TOOL_NOT_OPEN;
}

static enum verdict check_partial(const struct run *run, const struct event *event)
{
    if (event->tool_call_id.len)
        return check_tool(run, event);
    return event->message_id.len ? VERDICT_LEGAL : VERDICT_NO_IDENTITY;
}

static enum verdict check_started(const struct run *run)
{
    if (run->state == RUN_STARTING)
        return VERDICT_LEGAL;
    /* Cancelled between being given away and starting: it may still say that it started. */
    if (run->state == RUN_CANCELLING && !run->started)
        return VERDICT_LEGAL;
    return run->started ? VERDICT_STARTED_TWICE : VERDICT_NOT_STARTED;
}

enum verdict lifecycle_check(const struct run *run, const struct event *event)
{
    if (run_state_final(run->state))
        return VERDICT_SEALED;
    if (event->type == EVENT_AGENT_STARTED)
        return check_started(run);
    if (!run->started)
        return VERDICT_NOT_STARTED;
    switch (event->type) {
    case EVENT_TOOL_EXECUTING:
    case EVENT_TOOL_COMPLETED: return check_tool(run, event);
    case EVENT_PARTIAL_RESULT: return check_partial(run, event);
    case EVENT_AGENT_THINKING:
    case EVENT_AGENT_COMPLETED:
    case EVENT_ERROR_EVENT:
    case EVENT_INTERRUPT_REQUESTED: return VERDICT_LEGAL;
    case EVENT_INTERRUPT_RESOLVED: return run->interrupts > 0 ? VERDICT_LEGAL : VERDICT_NOT_WAITING;
    case EVENT_NONE:
    case EVENT_AGENT_STARTED:
    case EVENT_RUN_QUEUED:
    case EVENT_CHAT_MESSAGE:
    case EVENT_TYPE_COUNT: break;
    }
    return VERDICT_NOT_FOR_AGENTS;
}

static void move(struct run *run, enum run_state to)
{
    if (run_state_follows(run->state, to))
        run_set_state(run, to);
}

static int apply_item(struct list_link *items, struct span id, bool open, uint64_t now_ms)
{
    struct open_item *item = run_find_open(items, id);
    if (open)
        return item ? 0 : run_add_open(items, id, now_ms);
    if (item)
        run_drop_open(item);
    return 0;
}

/* The name is remembered so that the broker can close the call when its worker cannot. */
static int apply_tool_begin(struct run *run, const struct event *event)
{
    int rc = apply_item(&run->tools, event->tool_call_id, true, event->timestamp);
    struct open_item *item = run_find_open(&run->tools, event->tool_call_id);
    if (item)
        payload_string(item->label, event->data, "tool_name");
    return rc;
}

static int apply_partial(struct run *run, const struct event *event)
{
    if (event->tool_call_id.len)
        return 0;
    bool open = !(event->flags & EVENT_FLAG_FINAL);
    return apply_item(&run->texts, event->message_id, open, event->timestamp);
}

static enum run_state state_after_end(const struct run *run, const struct event *event)
{
    if (event->type == EVENT_ERROR_EVENT)
        return run_state_follows(run->state, RUN_FAILED) ? RUN_FAILED : RUN_REJECTED;
    return event->flags & EVENT_FLAG_OUTCOME_CANCELLED ? RUN_CANCELLED : RUN_COMPLETED;
}

int lifecycle_apply(struct run *run, const struct event *event)
{
    if (event_is_terminal(event)) {
        move(run, state_after_end(run, event));
        return 0;
    }
    switch (event->type) {
    case EVENT_RUN_QUEUED: move(run, RUN_QUEUED); return 0;
    case EVENT_AGENT_STARTED:
        run->started = true;
        move(run, RUN_RUNNING);
        return 0;
    case EVENT_TOOL_EXECUTING: return apply_tool_begin(run, event);
    case EVENT_TOOL_COMPLETED:
        return apply_item(&run->tools, event->tool_call_id, false, event->timestamp);
    case EVENT_PARTIAL_RESULT: return apply_partial(run, event);
    case EVENT_INTERRUPT_REQUESTED:
        run->interrupts++;
        move(run, RUN_WAITING);
        return 0;
    case EVENT_INTERRUPT_RESOLVED:
        /* 0 already: its request was trimmed, and this is read back after a restart. */
        if (run->interrupts && --run->interrupts == 0)
            move(run, RUN_RUNNING);
        return 0;
    default: return 0;
    }
}
