/* SPDX-License-Identifier: Apache-2.0 */
#include "record_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    const char *meaning;
} rules[RECORD_RULES] = {
#define RULE(symbol, name, meaning) [RECORD_##symbol] = {#name, meaning},
#include "record_rules.def"
#undef RULE
    [RECORD_RUN_SEALED] = {NULL, "the run has ended"},
    [RECORD_RUN_NOT_STARTED] = {NULL, "the event comes before agent_started"},
    [RECORD_RUN_STARTED_TWICE] = {NULL, "the run has started already"},
    [RECORD_RUN_NOT_FOR_AGENTS] = {NULL, "a type that only the broker writes"},
    [RECORD_RUN_NO_IDENTITY] = {NULL, "the identifier that the type needs is missing"},
    [RECORD_RUN_IDENTITY_USED] = {NULL, "a tool call, text or interrupt that was closed before"},
    [RECORD_RUN_TOOL_ALREADY_OPEN] = {NULL, "the tool call is executing already"},
    [RECORD_RUN_TOOL_NOT_OPEN] = {NULL, "for a tool call that is not executing"},
    [RECORD_RUN_ALREADY_WAITING] = {NULL, "the run waits for the interrupt already"},
    [RECORD_RUN_NOT_WAITING] = {NULL, "interrupt_resolved without its interrupt_requested"},
    [RECORD_RUN_TOO_MANY_OPEN] = {NULL, "more open at once than a run may have"},
    [RECORD_RUN_NO_MEMORY] = {NULL, "out of memory"},
    [RECORD_RUN_LEFT_OPEN] = {NULL, "the run ended with a tool call or a text open"},
};

enum record_rule record_rule_of(enum grammar_verdict verdict)
{
    return (enum record_rule)(RECORD_RUN + (int)verdict);
}

const char *record_rule_name(enum record_rule rule)
{
    return rule > RECORD_RUN ? grammar_verdict_name((enum grammar_verdict)(rule - RECORD_RUN))
                             : rules[rule].name;
}

const char *record_rule_meaning(enum record_rule rule)
{
    return rules[rule].meaning;
}

void record_report_deinit(struct record_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->findings[i].text);
    free(report->findings);
    *report = (struct record_report){0};
}

/* Room doubles: 0, 16, 32, … */
static bool make_room(struct record_report *report)
{
    if (report->count & (report->count - 1) || (report->count && report->count < 16))
        return true;
    size_t cap = report->count ? report->count * 2 : 16;
    struct record_finding *wider = realloc(report->findings, cap * sizeof(*wider));
    if (wider)
        report->findings = wider;
    return wider;
}

void record_found(struct record_report *report, enum record_rule rule, const char *format, ...)
{
    report->found++;
    report->by_rule[rule]++;
    if (report->count >= report->limit)
        return;
    va_list args;
    char *text = NULL;
    va_start(args, format);
    if (!make_room(report) || vasprintf(&text, format, args) < 0)
        report->broken = true;
    else
        report->findings[report->count++] =
            (struct record_finding){.line = report->line, .rule = rule, .text = text};
    va_end(args);
}
