/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mcp/set.h"
#include "process/command.h"
#include "tools/interrupts.h"
#include "tools/tools.h"

/*
 * One call of a tool, shared by the halves of the dispatcher: tools.c, which accepts calls,
 * emits and answers them, and the ways to run one.
 *
 *   TO_ASK     interrupt_requested is still to be emitted: the ring was full
 *   ASKING     somebody is asked: whether it may run, or for what it is to do
 *   RUNNING    its command, or its server's call, is going on
 *   FINISHED   `status`, `value`, `code` and `message` say how; to be emitted, then answered
 *   ABANDONED  its command is being killed; nobody is told
 */
enum call_state {
    CALL_TO_ASK,
    CALL_ASKING,
    CALL_RUNNING,
    CALL_FINISHED,
    CALL_ABANDONED,
};

struct tool_call {
    struct list_link link; /* tools.calls */
    struct tools *tools;
    struct registry_tool declared; /* borrows from the registry, but for its name: `name` */
    char name[IDENTIFIER_SIZE];
    rs_tool *tool;      /* owned by the run */
    struct buffer args; /* a JSON object; NUL-terminated */
    enum call_state state;
    bool allowed; /* it may run, as far as its approval goes */
    struct command *command;
    struct mcp_server *server; /* of a tool of its */
    struct mcp_call *mcp;
    struct interrupt_asker asker;
    uint64_t began_ms;
    uint64_t duration_ms;
    enum rs_tool_status status;
    char code[IDENTIFIER_SIZE]; /* unless ok */
    struct buffer message;      /* the same; NUL-terminated */
    struct buffer value;        /* JSON: the result, or the error; NUL-terminated */
    struct span id;             /* of the request; behind the struct */
    char id_bytes[];
};

static inline struct span call_args(const struct tool_call *call)
{
    return span_of(call->args.data, call->args.len - 1);
}

/* ---- tools.c: how a call ends; tools_settle tells it */

void call_finish_ok(struct tool_call *call, struct span result);
void call_finish_error(
    struct tool_call *call, enum rs_tool_status status, const char *code, const char *message);
/* As `tool_timeout`: it took longer than it may. */
void call_finish_timed_out(struct tool_call *call);
/* With {"code", "message"} that somebody else gave; false when `error` is none. */
bool call_finish_as_said(struct tool_call *call, struct span error);
/* It may run now: starts it, or finishes it with the reason why not. */
void call_run(struct tool_call *call);
/* Emits and answers what has finished, or says on_stuck. */
void tools_settle(struct tools *tools);
/* An abandoned call is over. */
void tools_remove(struct tools *tools, struct tool_call *call);

/* ---- command.c */

void tool_command_start(struct tool_call *call);

/* ---- mcp.c */

void tool_mcp_start(struct tool_call *call);

/* ---- question.c */

/* Asks the user whether the call may run, or, when that is settled, the user's client for it. The
 * call is then asking, finished, or, with another RS_E_* code than RS_OK, still to ask. */
int tool_question_ask(struct tool_call *call);
