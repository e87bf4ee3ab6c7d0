/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"
#include "run.h"

/*
 * The grammar of a run, pure: no clock, no log, no descriptor. An event is checked against the
 * run's state and then applied to it, in two steps, so that what is refused leaves no trace.
 *
 *   run_queued? agent_started ( agent_thinking | partial_result | tool_executing … tool_completed
 *                             | interrupt_requested … interrupt_resolved | error_event )*
 *               ( agent_completed | error_event, fatal )
 */
enum verdict {
    VERDICT_LEGAL,
#define VERDICT(symbol, name) VERDICT_##symbol,
#include "verdicts.def"
#undef VERDICT
    VERDICT_COUNT,
};

/* "tool_not_open", for counters and logs. */
const char *verdict_name(enum verdict verdict);

/* Whether an agent may emit this event now. */
enum verdict lifecycle_check(const struct run *run, const struct event *event);
/* Changes the run as a legal event (the agent's or the broker's own) does. -ENOMEM. */
int lifecycle_apply(struct run *run, const struct event *event);
