/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol/rpc.h"

#include "base/identifier.h"

/*
 * What the messages between a worker and an agent mean; docs/agents.md is the specification for
 * the other side. Pure: JSON-RPC messages to structs, structs to lines.
 */
#define AGENT_PROTOCOL_VERSION 1
#define AGENT_NAME_SIZE 64

enum agent_message_kind {
    AGENT_MESSAGE_EVENT,
    AGENT_MESSAGE_TOOL_CALL,
    AGENT_MESSAGE_INTERRUPT,
    AGENT_MESSAGE_MESSAGES,
    AGENT_MESSAGE_FINISHED,
    AGENT_MESSAGE_FAILED,
};

enum agent_outcome {
    AGENT_OUTCOME_SUCCESS,
    AGENT_OUTCOME_CANCELLED,
};

/* Identifiers are "" where the agent gave none; spans are JSON, point into the line, and are empty
 * where the agent gave none. */
struct agent_event {
    char type[AGENT_NAME_SIZE];
    char message_id[IDENTIFIER_SIZE];
    char tool_call_id[IDENTIFIER_SIZE];
    struct span data;  /* an object */
    struct span delta; /* data.delta when it is a string */
    bool final;        /* data.final */
};

struct agent_tool_call {
    char tool_call_id[IDENTIFIER_SIZE];
    char name[IDENTIFIER_SIZE];
    struct span args; /* an object */
};

struct agent_interrupt {
    char interrupt_id[IDENTIFIER_SIZE];
    struct span reason;  /* a JSON string */
    struct span payload; /* any value */
    uint64_t expires_at; /* wall-clock milliseconds, 0 for never */
};

struct agent_messages {
    uint64_t limit;
};

struct agent_finished {
    enum agent_outcome outcome;
    struct span result;
    struct span usage; /* an object */
};

struct agent_failed {
    char code[IDENTIFIER_SIZE];
    struct span message; /* a JSON string */
    struct span usage;   /* an object */
    bool retryable;
};

struct agent_message {
    enum agent_message_kind kind;
    union {
        struct agent_event event;
        struct agent_tool_call tool_call;
        struct agent_interrupt interrupt;
        struct agent_messages messages;
        struct agent_finished finished;
        struct agent_failed failed;
    };
};

/*
 * What a request or notification of the agent says: 0, RPC_E_UNKNOWN_METHOD or RPC_E_PARAMS; with
 * the last one *ret_reason (static) says what is wrong.
 */
int agent_message_parse(
    struct agent_message *ret_message, const struct rpc_message *rpc, const char **ret_reason);

/* Everything an agent is told about its run. Strings are borrowed. */
struct agent_run {
    const char *run_id;
    const char *thread_id;
    const char *request_id;
    const char *user_id;
    const char *message_id; /* "" when the run has none */
    const char *agent;
    const char *settings; /* a JSON object */
    struct span content;  /* JSON: a string or an array */
    uint64_t deadline;    /* wall-clock milliseconds, 0 for none */
};

/* The result of a tool call; `value` is JSON: the result, or the error {code, message}. */
struct agent_tool_result {
    const char *status; /* "ok", "error", "denied", "cancelled" */
    struct span value;
    uint64_t duration_ms;
};

/* What became of what a run asked people. */
struct agent_interrupt_result {
    const char *interrupt_id;
    const char *status;  /* "resolved", "cancelled", "expired" */
    struct span payload; /* JSON, or empty */
};

/* Each appends one line. `tools` is a JSON array of what may be called. */
void agent_append_initialize(
    struct buffer *out, uint64_t id, const struct agent_run *run, struct span tools);
void agent_append_run_start(struct buffer *out, uint64_t id, const struct agent_run *run);
void agent_append_run_cancel(struct buffer *out, const char *run_id, struct span reason);
void agent_append_shutdown(struct buffer *out);
void agent_append_tool_result(
    struct buffer *out, struct span id, const struct agent_tool_result *result);
void agent_append_interrupt_result(
    struct buffer *out, struct span id, const struct agent_interrupt_result *result);
