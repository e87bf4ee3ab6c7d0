/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "process/process.h"
#include "protocol/agent.h"
#include "protocol/lines.h"
#include "protocol/thread_history.h"
#include "runs/engine.h"
#include "runs/pool.h"
#include "tools/interrupts.h"
#include "tools/tools.h"

/*
 * The inside of an engine, shared by its two halves: engine.c, which knows how a run begins
 * and ends, and dialogue.c, which knows what the agent's messages do.
 */
enum engine_state {
#define STATE(symbol, name, from) ENGINE_##symbol,
#include "runs/engine_states.def"
#undef STATE
    ENGINE_STATES,
};

enum engine_ending_kind {
    ENDING_COMPLETED, /* agent_completed with `outcome`, `result`, `usage` */
    ENDING_FAILED,    /* error_event with `code`, `text`, `retryable`, `usage` */
    ENDING_REFUSED,   /* the run never started: no event, but `code` and `text` to the broker */
    ENDING_SILENT,    /* somebody else has ended it */
};

struct engine_ending {
    enum engine_ending_kind kind;
    enum rs_outcome outcome;
    bool retryable;
    enum process_stop stop; /* how firmly the agent is asked to leave */
    char code[IDENTIFIER_SIZE];
    struct buffer text;   /* NUL-terminated, as the next two, or empty */
    struct buffer result; /* JSON */
    struct buffer usage;  /* JSON */
};

/* An agent's request for what was said before. */
struct engine_recall {
    struct thread_history history;
    struct buffer id; /* the request's, JSON; empty: there is none */
};

struct engine {
    struct engine_options options;
    enum engine_state state;
    struct engine_ending ending; /* from ENDING on */
    char run_id[IDENTIFIER_SIZE];
    char user_id[IDENTIFIER_SIZE];
    char thread_id[IDENTIFIER_SIZE];
    char request_id[IDENTIFIER_SIZE];
    char message_id[IDENTIFIER_SIZE];
    struct buffer content;
    uint64_t deadline;
    rs_run *run;
    struct process *process; /* NULL once it is used for something else */
    struct lines lines;      /* of the process's output */
    struct tools tools;
    struct interrupts interrupts;
    struct engine_recall recall;
    struct buffer scratch; /* for what is built and used at once */
    size_t text_taken;     /* of a long text whose rest is waiting for room, bytes already out */
    bool second_hand;      /* the process was idle before */
    bool replace;          /* and died before it answered: `turn` takes another */
    bool started;          /* agent_started is emitted */
    bool timed_out;        /* it is cancelling because the deadline has passed */
    bool spoke_late;       /* it wrote something behind the message that ended the run */
    bool blocked;          /* the ring was full: what is in hand is tried again by `turn` */
    ev_timer turn;
    ev_timer limit; /* to answer initialize, then to say anything at all */
    ev_timer deadline_timer;
};

/* ---- engine.c */

#define ENGINE_RETRY_SECONDS 0.005

/* The one place where the state changes; asserts that it may. */
void engine_set_state(struct engine *engine, enum engine_state state);
void engine_turn_in(struct engine *engine, double seconds);
/* The agent answered initialize: RS_OK, or why agent_started could not be emitted. */
int engine_started(struct engine *engine);
/* The ring is full: read no more of this agent, try again soon. */
void engine_block(struct engine *engine);
/* Sends the agent what was put into `scratch`. */
void engine_send_scratch(struct engine *engine);

static inline const struct registry_agent *engine_agent(const struct engine *engine)
{
    return engine->options.pool->agent;
}

static inline bool engine_is_over(const struct engine *engine)
{
    return engine->state >= ENGINE_ENDING;
}

/* ---- dialogue.c */

#define DIALOGUE_ID_INITIALIZE 1
#define DIALOGUE_ID_RUN_START 2

void dialogue_initialize(struct engine *engine);
void dialogue_run_start(struct engine *engine);
/* Handles the lines that have come, until there is no more, the ring is full or the run over. */
void dialogue_take_lines(struct engine *engine);

/* ---- recall.c */

/* False: one is going on. */
bool recall_begin(struct engine *engine, struct span id, uint64_t limit);
void recall_deinit(struct engine *engine);

/* ---- ending.c: the first call that ends a run counts */

/* The agent failed us: `message` says how, its last words are added. */
void engine_fail(struct engine *engine, const char *code, struct span message, bool retryable,
    enum process_stop stop);
/* The agent failed the run, and says why itself. */
void engine_fail_as_told(
    struct engine *engine, const struct agent_failed *failed, struct span message);
/* The agent misbehaves: agent_protocol_error. */
void engine_fail_protocol(struct engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void engine_complete(struct engine *engine, const struct agent_finished *finished);
/* Cancelled before the agent knew of the run. */
void engine_end_unstarted(struct engine *engine);
/* Events cannot be written any more. */
void engine_lose_emitter(struct engine *engine, int rc);

/* Emits the terminal event of a run in ENDING, or arranges for the next try. */
void ending_try(struct engine *engine);
/* LEAVING becomes GONE when neither agent nor tools are left. */
void ending_check_gone(struct engine *engine);
/* What it writes when its run is over is nobody's; noted, though. */
void engine_drop_output(struct engine *engine);
/* Tells the owner of a run that is GONE, which may free it. */
void ending_tell(struct engine *engine);
