/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mcp/set.h"
#include "protocol/agent.h"
#include "tools/interrupts.h"

#include "base/list.h"

#include <ev.h>
#include <ringside.h>

/*
 * The tool calls of one run, and the only way a tool runs: a call is accepted by emitting
 * tool_executing, and its answer leaves here only after tool_completed has been emitted, so that
 * neither is without the other. Several calls at once; each ends in its own time. Loop thread only.
 *
 * A tool with `approval: ask` runs only when the user says so, and one of `kind: client` is done by
 * the user's client; both are asked by interrupts (question.c).
 *
 * A call ends with status ok; cancelled; denied with one of
 *   tool_denied            by the configuration or the user, or there is nobody who could allow it
 *   approval_expired       nobody answered in time
 * or error with one of these codes:
 *   tool_not_found         the agent has no tool of this name
 *   tool_bad_arguments     they do not fit the tool's input_schema
 *   tool_start_failed      its program could not be started
 *   tool_timeout           it took longer than its time limit
 *   tool_output_too_large  it wrote more than worker.max_tool_output
 *   tool_bad_output        what it wrote is not one JSON value
 *   tool_failed            it exited with an error and did not say which
 *   tool_refused           the user's client did not want to do it
 *   tool_unavailable       there is no client that could be asked, or its MCP server is down
 *   tool_lost              its MCP server ended before it answered
 * or with the code the tool itself gave (see docs/tools.md).
 */
struct tools_events {
    /* The answer to the request `id` (its JSON). */
    void (*on_answer)(void *context, struct span id, const struct agent_tool_result *result);
    /* A finished call could not be emitted (RS_E_FULL, …): tools_report has to be called again. */
    void (*on_stuck)(void *context, int rc);
    /* The last call is gone. */
    void (*on_idle)(void *context);
};

struct tools_options {
    struct ev_loop *loop;
    const struct registry_agent *agent; /* borrowed for its life */
    const struct mcp_set *mcp;          /* the same */
    rs_run *run;                        /* the same */
    struct interrupts *interrupts;      /* the same */
    const char *run_id;                 /* the same */
    size_t calls_max;
    size_t output_max;
    bool unattended; /* there is nobody to ask */
};

struct tools {
    struct tools_options options;
    const struct tools_events *events;
    void *context;
    struct list_link calls; /* tool_call.link */
    size_t count;
    bool cancelling;
};

/* A positive answer of tools_call: as many calls as may be are going on. */
#define TOOLS_E_BUSY 1

void tools_init(struct tools *tools, const struct tools_options *options,
    const struct tools_events *events, void *context);
/* Kills what still runs. */
void tools_deinit(struct tools *tools);
/*
 * Begins a call; on_answer follows, perhaps at once. TOOLS_E_BUSY, or a RS_E_* code of
 * tool_executing: then nothing was begun.
 */
int tools_call(struct tools *tools, const struct agent_tool_call *call, struct span id);
/* Emits and answers what has finished. RS_OK, or the code of the first that could not be. */
int tools_report(struct tools *tools);
/* Ends the calls going on as cancelled. */
void tools_cancel(struct tools *tools);
/* The run ends: kills what still runs and forgets those calls; whoever ends the run completes
 * them. What has finished already is still to be reported, unless `all` are to be forgotten. */
void tools_abandon(struct tools *tools, bool all);
/* Whether calls are going on. */
bool tools_busy(const struct tools *tools);
