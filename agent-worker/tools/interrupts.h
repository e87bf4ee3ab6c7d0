/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol/agent.h"

#include "base/list.h"

#include <ev.h>
#include <ringside.h>

/*
 * What one run asks people (interrupts): its agent does, or the worker on its behalf. A question is
 * accepted by emitting interrupt_requested; it is over with the first answer or when it expires,
 * and then interrupt_resolved is emitted before the agent or whoever answered hears of it. So what
 * the agent acts upon is what everybody sees. A run that is cancelled or ends takes its open
 * questions with it. Loop thread only.
 */
struct interrupts_events {
    /* The answer to the agent's request `id` (its JSON). */
    void (*on_answer)(void *context, struct span id, const struct agent_interrupt_result *result);
    /* What became of the answer of this number, if one was: `code` "" when it was taken. */
    void (*on_settled)(void *context, uint64_t answer, const char *code, const char *message);
    /* An end could not be emitted (RS_E_FULL, …): interrupts_report has to be called again. */
    void (*on_stuck)(void *context, int rc);
};

struct interrupts {
    struct ev_loop *loop; /* borrowed, as the next two */
    rs_run *run;
    const struct interrupts_events *events;
    void *context;
    struct list_link asked; /* struct question.link */
    size_t count;
};

/* Questions of one run that are open at once. */
#define INTERRUPTS_MAX 64
/* A positive answer of interrupts_ask: as many as may be are open. */
#define INTERRUPTS_E_BUSY 1

/* Who asks when it is not the agent; borrowed until it is answered or forgotten. */
struct interrupt_asker {
    /* Once; it may end the run. The result is borrowed. */
    void (*on_answer)(void *context, const struct agent_interrupt_result *result);
    void *context;
};

/* Somebody's answer; spans are borrowed for the call. */
struct interrupt_answer {
    uint64_t number;
    struct span interrupt_id;
    struct span status;  /* "resolved" or "cancelled" */
    struct span payload; /* JSON, or empty */
};

void interrupts_init(struct interrupts *interrupts, struct ev_loop *loop, rs_run *run,
    const struct interrupts_events *events, void *context);
/* Tells nobody. */
void interrupts_deinit(struct interrupts *interrupts);
/* Asks; on_answer follows. INTERRUPTS_E_BUSY, or a RS_E_* code of interrupt_requested: then nothing
 * was asked. */
int interrupts_ask(
    struct interrupts *interrupts, const struct agent_interrupt *wanted, struct span id);
/* The same, but the asker is told the answer. */
int interrupts_ask_for(struct interrupts *interrupts, const struct agent_interrupt *wanted,
    const struct interrupt_asker *asker);
/* The asker does not want to hear of it any more; the question stays open. */
void interrupts_forget(struct interrupts *interrupts, const struct interrupt_asker *asker);
/* on_settled follows, perhaps at once. */
void interrupts_resolve(struct interrupts *interrupts, const struct interrupt_answer *answer);
/* Emits and tells what is over. RS_OK, or the code of the first that could not be emitted. */
int interrupts_report(struct interrupts *interrupts);
/* The run is being cancelled: the agent's requests are answered so. */
void interrupts_cancel(struct interrupts *interrupts);
/* The run has ended: whoever answered is told. */
void interrupts_abandon(struct interrupts *interrupts);
/* Whether somebody is asked. */
bool interrupts_busy(const struct interrupts *interrupts);
