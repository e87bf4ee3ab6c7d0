/* SPDX-License-Identifier: Apache-2.0 */
#include "chance-model.h"

#include <stdio.h>

const char model_letters[KINDS] = {'m', 'c', 'i'};

/* Things are closed in the order in which they were opened. */
static unsigned opened;

/* ---- the model: what is told */

void model_tell(struct model_run *run, const char *type, const char *rest)
{
    if (run->told.len)
        buffer_append_char(&run->told, ' ');
    buffer_append_string(&run->told, type);
    buffer_append_string(&run->told, rest);
}

static void tell_thing(
    struct model_run *run, const char *type, enum kind kind, size_t id, const char *rest)
{
    char text[48];
    snprintf(text, sizeof(text), ":%c-%zu%s", model_letters[kind], id % 10, rest);
    model_tell(run, type, text);
}

/* The one opened first of what is open, or IDS. */
static size_t oldest(const struct model_run *run, enum kind kind)
{
    size_t found = IDS;
    for (size_t i = 0; i < IDS; i++) {
        const struct thing *thing = &run->things[kind][i];
        if (thing->lot == OPEN && (found == IDS || thing->opened < run->things[kind][found].opened))
            found = i;
    }
    return found;
}

static void close_things(struct model_run *run, const char *tool_status)
{
    char rest[32];
    snprintf(rest, sizeof(rest), "*=%s", tool_status);
    for (size_t id; (id = oldest(run, TOOL)) != IDS; run->things[TOOL][id].lot = CLOSED)
        tell_thing(run, "tool_completed", TOOL, id, rest);
    for (size_t id; (id = oldest(run, TEXT)) != IDS; run->things[TEXT][id].lot = CLOSED)
        tell_thing(run, "partial_result", TEXT, id, "!*");
}

void model_end(struct model_run *run, const char *tool_status, const char *code)
{
    char rest[32];
    close_things(run, tool_status);
    snprintf(rest, sizeof(rest), "*=%s", code ? code : "");
    model_tell(run, code ? "error_event" : "agent_completed", code ? rest : "*");
    run->over = true;
    run->worker = NOBODY;
}

bool model_lose(struct model_run *run, const char *code)
{
    if (run->asked && !run->begun && run->cancelled) {
        model_end(run, "cancelled", NULL);
        return false;
    }
    if (run->asked && !run->begun && run->given < 3) {
        run->worker = NOBODY;
        return false;
    }
    model_end(run, "lost", code);
    return true;
}

/* ---- the model: what an event is worth */

static enum verdict judge_thing(const struct attempt *a, enum kind kind, bool opens, bool goes_on)
{
    static const enum verdict twice[KINDS] = {
        VERDICT_LEGAL, VERDICT_TOOL_ALREADY_OPEN, VERDICT_ALREADY_WAITING};
    static const enum verdict not_open[KINDS] = {
        VERDICT_LEGAL, VERDICT_TOOL_NOT_OPEN, VERDICT_NOT_WAITING};
    if (a->ids[kind] == IDS)
        return VERDICT_NO_IDENTITY;
    enum lot lot = a->run->things[kind][a->ids[kind]].lot;
    if (!opens)
        return lot == OPEN ? VERDICT_LEGAL : not_open[kind];
    if (lot == OPEN && !goes_on)
        return twice[kind];
    return lot == CLOSED ? VERDICT_IDENTITY_USED : VERDICT_LEGAL;
}

static enum verdict judge_running(const struct attempt *a)
{
    switch (a->event.type) {
    case EVENT_TOOL_EXECUTING: return judge_thing(a, TOOL, true, false);
    case EVENT_TOOL_COMPLETED: return judge_thing(a, TOOL, false, false);
    case EVENT_INTERRUPT_REQUESTED: return judge_thing(a, QUESTION, true, false);
    case EVENT_INTERRUPT_RESOLVED: return judge_thing(a, QUESTION, false, false);
    case EVENT_PARTIAL_RESULT:
        return a->ids[TOOL] != IDS ? judge_thing(a, TOOL, false, false)
                                   : judge_thing(a, TEXT, true, true);
    default: return VERDICT_LEGAL;
    }
}

enum verdict model_judge(const struct attempt *a)
{
    const struct model_run *run = a->run;
    bool starts = a->event.type == EVENT_AGENT_STARTED;
    if (a->event.data.data[0] != '{')
        return VERDICT_BAD_DATA;
    if (!run->exists && !starts)
        return VERDICT_UNKNOWN_RUN;
    if (!run->exists)
        return a->event.agent.len ? VERDICT_LEGAL : VERDICT_NO_IDENTITY;
    if (run->over)
        return VERDICT_SEALED;
    if (run->user != a->user || run->worker != a->worker)
        return VERDICT_FOREIGN_RUN;
    if (a->event.type == EVENT_CHAT_MESSAGE || a->event.type == EVENT_RUN_QUEUED)
        return VERDICT_NOT_FOR_AGENTS;
    if (starts)
        return run->begun ? VERDICT_STARTED_TWICE : VERDICT_LEGAL;
    return run->begun ? judge_running(a) : VERDICT_NOT_STARTED;
}

/* ---- the model: what an event does */

static void set_lot(struct attempt *a, enum kind kind, bool opens)
{
    struct thing *thing = &a->run->things[kind][a->ids[kind]];
    if (opens && thing->lot == UNHEARD)
        thing->opened = ++opened;
    thing->lot = opens ? OPEN : CLOSED;
}

static void take_partial(struct attempt *a)
{
    bool final = a->event.flags & EVENT_FLAG_FINAL;
    const char *mark = final ? "!" : "";
    if (a->ids[TOOL] != IDS) {
        tell_thing(a->run, "partial_result", TOOL, a->ids[TOOL], mark);
        return;
    }
    set_lot(a, TEXT, !final);
    tell_thing(a->run, "partial_result", TEXT, a->ids[TEXT], mark);
}

static void take_thing(struct attempt *a, enum kind kind, bool opens)
{
    set_lot(a, kind, opens);
    tell_thing(a->run, event_type_name(a->event.type), kind, a->ids[kind], "");
}

static void take_start(struct attempt *a)
{
    struct model_run *run = a->run;
    if (!run->exists) {
        run->exists = true;
        run->user = a->user;
        run->worker = a->worker;
    }
    run->begun = true;
    model_tell(run, "agent_started", "");
}

bool model_take(struct attempt *a)
{
    struct model_run *run = a->run;
    switch (a->event.type) {
    case EVENT_AGENT_STARTED: take_start(a); return false;
    case EVENT_TOOL_EXECUTING: take_thing(a, TOOL, true); return false;
    case EVENT_TOOL_COMPLETED: take_thing(a, TOOL, false); return false;
    case EVENT_INTERRUPT_REQUESTED: take_thing(a, QUESTION, true); return false;
    case EVENT_INTERRUPT_RESOLVED: take_thing(a, QUESTION, false); return false;
    case EVENT_PARTIAL_RESULT: take_partial(a); return false;
    default: break;
    }
    bool ends = a->event.type == EVENT_AGENT_COMPLETED ||
                (a->event.type == EVENT_ERROR_EVENT && a->event.flags & EVENT_FLAG_FATAL);
    if (ends)
        close_things(run, "cancelled");
    model_tell(run, event_type_name(a->event.type), "");
    run->over |= ends;
    return ends;
}
