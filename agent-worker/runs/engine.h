/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agents/registry.h"

#include "base/identifier.h"
#include "base/list.h"

#include <ev.h>
#include <ringside.h>

/*
 * One run: one agent process, one emitter run, from the broker's request to the end of everything
 * that belongs to it. However the agent behaves, the run ends once: with one terminal event, or,
 * when the agent could not be started, with the code and message that on_gone gives. Loop thread
 * only.
 */
struct engine;
struct pool;
struct process;

struct engine_limits {
    uint64_t start_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t cancel_grace_ms;
    uint64_t kill_grace_ms;
    size_t line_max;
    size_t tools_max;
    size_t tool_output_max;
    bool unattended; /* there is nobody whom an agent could ask */
};

/* What the run is about; copied. */
struct engine_request {
    struct span run_id;
    struct span user_id;
    struct span thread_id;
    struct span request_id;
    struct span message_id; /* may be empty */
    struct span content;    /* JSON */
    uint64_t deadline;      /* wall-clock milliseconds, 0 for none */
};

/* Why a run ended without its worker having emitted the end. code "": it did emit it. */
struct engine_refusal {
    char code[IDENTIFIER_SIZE];
    char message[1280];
};

struct engine_events {
    /* Everything of the run is gone; the engine is to be freed, and may be right here. */
    void (*on_gone)(void *context, struct engine *engine, const struct engine_refusal *refusal);
    /* What became of an answer to what the run asked: `code` "" when it was taken. */
    void (*on_settled)(void *context, uint64_t answer, const char *code, const char *message);
    /* The run wants to know what was said before it: its user's events above `after`, or, without
     * `ask`, where they lie. engine_recall_take follows. Never called of a run that is unattended.
     */
    void (*on_recall)(void *context, struct engine *engine, bool ask, uint64_t after);
    /* Events can no longer be written by this process (RS_E_FENCED, …); the run has been given up.
     */
    void (*on_emitter_lost)(void *context, int rc);
};

struct interrupt_answer;
struct thread_page;

struct engine_options {
    struct ev_loop *loop; /* borrowed for its life, as the next three */
    rs_emitter *emitter;  /* with emit_timeout_ms 0 */
    struct pool *pool;    /* of its agent */
    const struct engine_limits *limits;
    const struct engine_events *events;
    void *context;
};

/* Starts the agent. -ECANCELED when it cannot be started: then *ret_refusal says why. */
int engine_new(struct engine **ret_engine, const struct engine_options *options,
    const struct engine_request *request, struct engine_refusal *ret_refusal);
/* Kills the agent if it is still there and emits nothing more. Takes NULL. */
void engine_free(struct engine *engine);

const char *engine_run_id(const struct engine *engine);
struct pool *engine_pool(const struct engine *engine);
/* Its agent's; NULL once that is another run's, or its pool's. */
struct process *engine_process(const struct engine *engine);
/* What its agent has said waits for room in the ring. */
bool engine_is_blocked(const struct engine *engine);
/* Of one that is gone: its agent wrote something behind the message that ended the run. */
bool engine_spoke_late(const struct engine *engine);
/* Its agent's process had served another run before, or had been started ahead. */
bool engine_is_second_hand(const struct engine *engine);
/* Ends the run when its agent takes more memory than it may. Now and then. */
void engine_check_memory(struct engine *engine);
/* Whether the run's end is still to be emitted. */
bool engine_is_open(const struct engine *engine);
/* Asks the agent to stop; the run ends as cancelled however it takes that. */
void engine_cancel(struct engine *engine, struct span reason);
/* Somebody answers what the run asks; on_settled follows. */
void engine_resolve(struct engine *engine, const struct interrupt_answer *answer);
/* What on_recall asked for. */
void engine_recall_take(struct engine *engine, const struct thread_page *page);
/* Asks again what may have been lost. */
void engine_recall_again(struct engine *engine);
/* Gives the run up if its agent has not seen the request yet; else it goes on. The agent is killed,
 * nothing is emitted, and on_gone tells the code WIRE_HANDED_BACK. Returns whether it is given up.
 */
bool engine_hand_back(struct engine *engine);
/* Somebody else has ended the run: the agent is killed, nothing more is emitted. */
void engine_kill(struct engine *engine);
