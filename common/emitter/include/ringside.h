/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libringside: emit an agent's events to the users of a Ringside node.
 *
 *   emitter  a process's place at a node. Usable from all threads, by one process only: a forked
 *            child gets RS_E_FORKED from everything but rs_run_free and rs_detach
 *   run      one run of an agent, for one user; its context never changes. One thread at a time
 *   tool     a tool call of a run, owned by the run: valid until rs_run_free. The run's thread
 *
 * Functions return RS_OK or a negative RS_E_*. An event is delivered once its call returned RS_OK,
 * whoever dies afterwards. A call that fails emitted nothing unless it says otherwise.
 *
 * Identifiers are 1 to 127 bytes of printable ASCII without space, `"` and `\`; NULL, where
 * allowed, has the library make one. `_json` strings are one JSON value each, NULL for none. What
 * is passed in is copied. Text is UTF-8, lengths are bytes, times milliseconds. What emits may take
 * up to the run's time-out (ringside-bulk.h) when the user's ring is full.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringside-error.h>

RS_BEGIN_DECLS

typedef struct rs_emitter rs_emitter;
typedef struct rs_run rs_run;
typedef struct rs_tool rs_tool;

#define RS_EMIT_TIMEOUT_DEFAULT 5000 /* with options == NULL */

struct rs_attach_options {
    const char *node;         /* NULL: $RINGSIDE_NODE_NAME, else "default" */
    const char *arena_dir;    /* instead of the node's own, /dev/shm/ringside-<node> */
    uint32_t emit_timeout_ms; /* how long runs wait for room at first; 0: RS_E_FULL at once */
};

/* Join a node, which must exist; works while its broker is away. The emitter is the caller's until
 * rs_detach. RS_E_NO_NODE, _PERMISSION, _VERSION, _DAMAGED, _NO_ROOM, _NO_MEMORY, _SYSTEM. */
RS_API int rs_attach(rs_emitter **ret_emitter, const struct rs_attach_options *options);
/* Leave; takes NULL, returns NULL. Runs still held keep the emitter until they are freed. */
RS_API rs_emitter *rs_detach(rs_emitter *emitter);
/* This process's entry in the node's process table. */
RS_API uint32_t rs_emitter_process_index(const rs_emitter *emitter);
/* The largest event in bytes, its identifiers and JSON together. */
RS_API uint32_t rs_emitter_event_max(const rs_emitter *emitter);

struct rs_run_context {
    const char *user_id;       /* whose stream: required, as are thread_id and agent */
    const char *thread_id;     /* the conversation */
    const char *agent;         /* the agent's name */
    const char *run_id;        /* NULL: made */
    const char *request_id;    /* what asked for the run; may be NULL */
    const char *parent_run_id; /* may be NULL */
    const char *input_json;    /* shown with agent_started; may be NULL */
};

/* Open a run and take a lease on its user's ring; emits nothing. The run is the caller's until
 * rs_run_free. RS_E_NO_ROOM when the node has no ring left, RS_E_TOO_BIG for the input. */
RS_API int rs_run_open(rs_run **ret_run, rs_emitter *emitter, const struct rs_run_context *context);
/* Borrowed, until the run is freed. */
RS_API const char *rs_run_id(const rs_run *run);
/* Whether the terminal event is out, or the run was dropped: every further step is RS_E_ENDED. */
RS_API bool rs_run_ended(const rs_run *run);
/* Takes NULL, returns NULL. A run started and not ended fails with "agent_failed": now, or when its
 * full ring has room (later calls try again; after this process the broker ends it). */
RS_API rs_run *rs_run_free(rs_run *run);
/* The broker ended this run: emit nothing more, now or in rs_run_free. */
RS_API void rs_run_drop(rs_run *run);

/* agent_started: the first step, once. RS_E_ORDER for any other step before it, but the ends. */
RS_API int rs_run_start(rs_run *run);
/* What the agent is doing, in words; the latest stands for those before. */
RS_API int rs_thinking_status(rs_run *run, const char *status);
/* More of the agent's reasoning; as rs_text, with a message of its own. */
RS_API int rs_thinking_delta(
    rs_run *run, const char *message_id, const char *text, size_t length, size_t *ret_taken);
/*
 * More of a message to the user. message_id NULL: the run's current message, made when there is
 * none. Whole characters only (RS_E_INVALID). Text larger than an event becomes several, so a
 * failure may come on the way: *ret_taken (may be NULL), written always, says how many bytes are
 * out; go on behind them. RS_E_ORDER: that message is final.
 */
RS_API int rs_text(
    rs_run *run, const char *message_id, const char *text, size_t length, size_t *ret_taken);
/* The message is complete. NULL: the current one. RS_E_ORDER: no such message is open. */
RS_API int rs_text_final(rs_run *run, const char *message_id);

/* RS_E_ORDER when the run has had this tool_call_id. The tool's name has at most 127 bytes. */
RS_API int rs_tool_begin(rs_tool **ret_tool, rs_run *run, const char *tool_call_id,
    const char *name, const char *args_json);
/* Borrowed, until the run is freed. */
RS_API const char *rs_tool_id(const rs_tool *tool);
/* The open call with this id, or NULL. */
RS_API rs_tool *rs_run_tool(rs_run *run, const char *tool_call_id);
RS_API int rs_tool_progress(rs_tool *tool, const char *progress_json);

enum rs_tool_status {
    RS_TOOL_OK,
    RS_TOOL_ERROR,
    RS_TOOL_DENIED,
    RS_TOOL_CANCELLED,
    RS_TOOL_LOST, /* nobody knows what became of it */
};
/* The call is over. result_json goes with RS_TOOL_OK only, code (an identifier) and message with
 * all others only. The duration is measured here. RS_E_ORDER: it was over. */
RS_API int rs_tool_end(rs_tool *tool, enum rs_tool_status status, const char *result_json,
    const char *code, const char *message);

/* An error the run goes on after. code is an identifier. */
RS_API int rs_error(rs_run *run, const char *code, const char *message, bool retryable);

/* The run waits for a person. expires_at: wall clock, 0 for none. RS_E_ORDER: the id was used. */
RS_API int rs_interrupt_request(rs_run *run, const char *interrupt_id, const char *reason,
    const char *payload_json, uint64_t expires_at);
/* reason and payload_json may be NULL. RS_E_ORDER: not open. */
RS_API int rs_interrupt_resolved(
    rs_run *run, const char *interrupt_id, const char *reason, const char *payload_json);

enum rs_outcome { RS_SUCCESS, RS_CANCELLED, RS_INTERRUPT };
/*
 * The ends. Each first starts a run that was not, completes open tools (`cancelled`, or `lost`
 * after success and failure) and makes open text final; an open interrupt ends with its run. When
 * that fails on the way, what was closed stays so: call again to go on.
 */
RS_API int rs_run_complete(
    rs_run *run, enum rs_outcome outcome, const char *result_json, const char *usage_json);
RS_API int rs_run_fail(rs_run *run, const char *code, const char *message, bool retryable);

/*
 * Any event but agent_started, run_queued and chat_message, from an agent that makes its own
 * `data`: one JSON object with the members docs/emitter.md lists. What the library knows better is
 * added when absent (tool_name, duration_ms, fatal, …); message_id may be NULL as in rs_text. The
 * steps must be legal as for the calls above. RS_E_TYPE, RS_E_INVALID, RS_E_ORDER.
 */
RS_API int rs_emit(rs_run *run, const char *type, const char *message_id, const char *tool_call_id,
    const char *data_json);

RS_END_DECLS

#include <ringside-bulk.h>
