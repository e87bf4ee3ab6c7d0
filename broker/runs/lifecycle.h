/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"
#include "runs/run.h"

/*
 * What the grammar (event/grammar.def) and a run's state say of an event, pure: no clock, no log,
 * no descriptor. An event is checked against the run and then applied to it, in two steps, so that
 * what is refused leaves no trace. Which event moves a run to which state: moves.def.
 */
enum verdict {
    VERDICT_LEGAL,
#define VERDICT(symbol, name) VERDICT_##symbol,
#include "event/verdicts.def" /* first: the numbers are those of enum grammar_verdict */
#include "runs/verdicts.def"
#undef VERDICT
    VERDICT_COUNT,
};

/* "tool_not_open", for counters and logs. */
const char *verdict_name(enum verdict verdict);

/* Interrupts are rare: theirs is the one identifier that is looked for in the data. Empty for other
 * events; else in `id`. */
struct span lifecycle_interrupt_id(char id[IDENTIFIER_SIZE], const struct event *event);
/* Whether an agent may emit this event now. */
enum verdict lifecycle_check(const struct run *run, const struct event *event);
/* Changes the run as a legal event (the agent's or the broker's own) does. -ENOMEM. */
int lifecycle_apply(struct run *run, const struct event *event);
