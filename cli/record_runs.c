/* SPDX-License-Identifier: Apache-2.0 */
#include "record_runs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xxhash.h>

/* What is open in a run. */
struct item {
    struct grammar_item grammar;
    char name[IDENTIFIER_SIZE]; /* of a tool */
};

struct record_run {
    bool uncertain;
    struct grammar grammar;
    char id[IDENTIFIER_SIZE];
    char thread[IDENTIFIER_SIZE];
    char agent[IDENTIFIER_SIZE];
    char request[IDENTIFIER_SIZE];
};

/* ---- life */

static void run_free(struct record_run *run)
{
    if (!run)
        return;
    grammar_deinit(&run->grammar);
    free(run);
}

/* What was seen of it so far does not tell how it stands. */
static void run_doubt(struct record_run *run)
{
    grammar_deinit(&run->grammar);
    grammar_init(&run->grammar);
    grammar_join(&run->grammar);
    run->uncertain = true;
}

void record_runs_init(struct record_runs *runs, struct record_report *report)
{
    *runs = (struct record_runs){.report = report};
}

void record_runs_deinit(struct record_runs *runs)
{
    record_runs_anew(runs);
    map_deinit(&runs->open);
}

static void copy_id(char ret_text[IDENTIFIER_SIZE], struct span id)
{
    memcpy(ret_text, id.data ? id.data : "", id.len);
    ret_text[id.len] = '\0';
}

static int run_new(struct record_run **ret_run, struct record_runs *runs, struct span id)
{
    struct record_run *run = calloc(1, sizeof(*run));
    if (!run)
        return -ENOMEM;
    copy_id(run->id, id);
    grammar_init(&run->grammar);
    if (map_put(&runs->open, span_of_string(run->id), run) < 0) {
        free(run);
        return -ENOMEM;
    }
    runs->begun++;
    *ret_run = run;
    return 0;
}

/* 0 marks a free slot of the table. */
static uint64_t hash_id(struct span id)
{
    uint64_t hash = XXH3_64bits(id.data, id.len);
    return hash ? hash : 1;
}

/* ---- the grammar */

static void found(const struct record_runs *runs, enum record_rule rule,
    const struct record_run *run, const struct record_frame *frame, struct span what)
{
    record_found(runs->report, rule, "run %s, seq %llu, %s%s%.*s", run->id,
        (unsigned long long)frame->event.seq, event_type_name(frame->type), what.len ? " " : "",
        SPAN_ARG(what));
}

/* What the broker says of a run in the agent's place has one meaning each. */
static bool synthetic_fits(const struct record_frame *frame)
{
    if (frame->type == EVENT_TOOL_COMPLETED)
        return strcmp(frame->status, "lost") == 0 || strcmp(frame->status, "cancelled") == 0;
    if (frame->type == EVENT_AGENT_COMPLETED)
        return frame->event.flags & EVENT_FLAG_OUTCOME_CANCELLED;
    return true;
}

static enum grammar_verdict judge(
    const struct record_run *run, const struct record_frame *frame, struct span interrupt)
{
    const struct event *event = &frame->event;
    if (event->flags & EVENT_FLAG_SYNTHETIC)
        return grammar_judge(&run->grammar, event, interrupt, GRAMMAR_BROKER);
    enum grammar_verdict verdict = grammar_judge(&run->grammar, event, interrupt, GRAMMAR_AGENT);
    if (verdict != GRAMMAR_NOT_FOR_AGENTS)
        return verdict;
    return grammar_judge(&run->grammar, event, interrupt, GRAMMAR_BROKER);
}

/* Whether the step is to be followed: one that opens what was not open would be found again. */
static bool check_step(const struct record_runs *runs, struct record_run *run,
    const struct record_frame *frame, struct span interrupt)
{
    bool synthetic = frame->event.flags & EVENT_FLAG_SYNTHETIC;
    enum grammar_verdict verdict = judge(run, frame, interrupt);
    if (verdict == GRAMMAR_STARTED_TWICE && run->uncertain)
        return true; /* perhaps it had not started */
    if (synthetic && (verdict == GRAMMAR_NOT_FOR_AGENTS || !synthetic_fits(frame)))
        found(runs, RECORD_SYNTHETIC, run, frame, SPAN_EMPTY);
    else if (verdict != GRAMMAR_LEGAL)
        found(runs, record_rule_of(verdict), run, frame,
            grammar_id_of(grammar_step_of(&frame->event), &frame->event, interrupt));
    if (verdict == GRAMMAR_NOT_STARTED)
        grammar_join(&run->grammar); /* said once */
    return verdict != GRAMMAR_TOOL_NOT_OPEN && verdict != GRAMMAR_TOO_MANY_OPEN;
}

static void check_tool_name(
    const struct record_runs *runs, const struct record_run *run, const struct record_frame *frame)
{
    const struct grammar_item *tool =
        grammar_find(&run->grammar, GRAMMAR_TOOL, frame->event.tool_call_id);
    if (tool && strcmp(((const struct item *)tool)->name, frame->tool_name) != 0)
        found(runs, RECORD_TOOL_RENAMED, run, frame, span_of_string(frame->tool_name));
}

static int follow(struct record_run *run, const struct record_frame *frame, struct span interrupt)
{
    struct grammar_item *opened;
    enum grammar_step step = grammar_step_of(&frame->event);
    struct span id = grammar_id_of(step, &frame->event, interrupt);
    int rc = grammar_follow(&opened, &run->grammar, step, id, sizeof(struct item));
    if (opened && frame->type == EVENT_TOOL_EXECUTING)
        snprintf(((struct item *)opened)->name, IDENTIFIER_SIZE, "%s", frame->tool_name);
    return rc;
}

static void check_context(const struct record_runs *runs, char known[IDENTIFIER_SIZE],
    const struct record_run *run, const struct record_frame *frame, struct span now)
{
    if (!known[0])
        copy_id(known, now);
    else if (now.len && !span_is(now, known))
        found(runs, RECORD_RUN_CHANGED, run, frame, now);
}

static int end_run(
    struct record_runs *runs, struct record_run *run, const struct record_frame *frame)
{
    const struct seen entry = {.number = hash_id(span_of_string(run->id))};
    if (frame->type == EVENT_ERROR_EVENT)
        runs->failed++;
    else if (frame->event.flags & EVENT_FLAG_OUTCOME_CANCELLED)
        runs->cancelled++;
    else
        runs->completed++;
    map_remove(&runs->open, span_of_string(run->id));
    run_free(run);
    return seen_get(&runs->ended, entry.number) ? 0 : seen_put(&runs->ended, &entry);
}

static int take_step(
    struct record_runs *runs, struct record_run *run, const struct record_frame *frame)
{
    const struct event *event = &frame->event;
    struct span interrupt = span_of_string(frame->interrupt);
    check_context(runs, run->thread, run, frame, event->thread_id);
    check_context(runs, run->agent, run, frame, event->agent);
    check_context(runs, run->request, run, frame, event->request_id);
    bool sensible = check_step(runs, run, frame, interrupt);
    if (event_is_terminal(event))
        return end_run(runs, run, frame);
    if (frame->type == EVENT_TOOL_COMPLETED)
        check_tool_name(runs, run, frame);
    return sensible ? follow(run, frame, interrupt) : 0;
}

static bool begins_run(enum event_type type)
{
    return type == EVENT_CHAT_MESSAGE || type == EVENT_RUN_QUEUED || type == EVENT_AGENT_STARTED;
}

int record_runs_event(struct record_runs *runs, const struct record_frame *frame, bool from_start)
{
    struct span id = frame->event.run_id;
    if (frame->type == EVENT_NONE)
        return 0;
    if (id.len == 0) {
        record_found(runs->report, RECORD_NO_RUN, "seq %llu, %s",
            (unsigned long long)frame->event.seq, event_type_name(frame->type));
        return 0;
    }
    struct record_run *run = map_get(&runs->open, id);
    if (!run && seen_get(&runs->ended, hash_id(id))) {
        record_found(runs->report, RECORD_RUN_SEALED, "run %.*s, seq %llu, %s", SPAN_ARG(id),
            (unsigned long long)frame->event.seq, event_type_name(frame->type));
        return 0;
    }
    if (!run) {
        int rc = run_new(&run, runs, id);
        if (rc)
            return rc;
        if (!from_start && !begins_run(frame->type))
            run_doubt(run);
    }
    return take_step(runs, run, frame);
}

/* ---- what the record does not have */

static int note_open_tool(struct record_run *run, const json_t *tool)
{
    const char *id = json_string_value(json_object_get(tool, "tool_call_id"));
    const char *name = json_string_value(json_object_get(tool, "tool_name"));
    struct grammar_item *opened;
    if (!id || !name || !identifier_valid(span_of_string(id)))
        return 0;
    int rc = grammar_follow(
        &opened, &run->grammar, STEP_TOOL_BEGIN, span_of_string(id), sizeof(struct item));
    if (opened)
        snprintf(((struct item *)opened)->name, IDENTIFIER_SIZE, "%s", name);
    return rc;
}

int record_runs_snapshot(struct record_runs *runs, const struct record_frame *frame)
{
    struct span id = frame->event.run_id;
    struct record_run *run = map_get(&runs->open, id);
    int rc = 0;
    if (!run && seen_get(&runs->ended, hash_id(id))) {
        record_found(runs->report, RECORD_RUN_SEALED, "run %.*s, snapshot", SPAN_ARG(id));
        return 0;
    }
    if (!run) {
        rc = run_new(&run, runs, id);
        if (rc)
            return rc;
        run_doubt(run);
    }
    if (!run->uncertain)
        return 0; /* all of it was seen already */
    const json_t *tools = json_object_get(frame->root, "tools");
    for (size_t i = 0; !rc && i < json_array_size(tools); i++)
        rc = note_open_tool(run, json_array_get(tools, i));
    return rc;
}

void record_runs_hole(struct record_runs *runs)
{
    size_t cursor = 0;
    for (struct record_run *run; (run = map_next(&runs->open, &cursor));)
        run_doubt(run);
}

void record_runs_anew(struct record_runs *runs)
{
    size_t cursor = 0;
    for (struct record_run *run; (run = map_next(&runs->open, &cursor));)
        run_free(run);
    map_deinit(&runs->open);
    seen_table_deinit(&runs->ended);
}

void record_runs_end(struct record_runs *runs, bool complete)
{
    size_t cursor = 0;
    for (struct record_run *run; complete && (run = map_next(&runs->open, &cursor));) {
        if (!run->uncertain)
            record_found(runs->report, RECORD_NOT_ENDED, "run %s", run->id);
    }
}

const struct record_run *record_runs_next(const struct record_runs *runs, size_t *cursor)
{
    return map_next(&runs->open, cursor);
}

const char *record_run_id(const struct record_run *run)
{
    return run->id;
}

bool record_run_uncertain(const struct record_run *run)
{
    return run->uncertain;
}
