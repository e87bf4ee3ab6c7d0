/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run and its one way forward. All that is emitted goes through run_step: the grammar says
 * whether it is legal, the event goes into the ring, and only then the run's state changes.
 *
 * A call of the library has one deadline, shared by all events it makes. `data` of an event is
 * built in run->data; the ends, which emit other events first, build theirs beside it.
 */
#pragma once

#include "base/buffer.h"
#include "emitter.h"
#include "event/grammar.h"

/* An event whose data the caller is writing in place. Holds the stream's writer while open. */
struct reservation {
    struct ring_claim claim;
    enum event_type type;
    char *data;  /* in the claim */
    size_t size; /* the caller's part of it */
    size_t room; /* all of it: the caller's, and for what the library adds */
    bool open;
    char message_id[IDENTIFIER_SIZE]; /* of the event */
    char given_id[IDENTIFIER_SIZE];   /* what the caller said, or "" */
    char tool_call_id[IDENTIFIER_SIZE];
};

struct rs_run {
    struct rs_emitter *emitter; /* a reference, unless the run is an orphan */
    struct list_link link;      /* rs_emitter.orphans */
    struct stream stream;
    struct reservation reservation;
    uint64_t timeout_ms; /* how long a call waits for room; DEADLINE_NEVER: for ever */
    bool batch;          /* between rs_batch_begin and rs_batch_end */
    struct grammar grammar;
    struct grammar_item *current; /* the text last written to, while open; owned by the grammar */
    struct buffer started;        /* data of agent_started, until it is emitted */
    struct buffer data;           /* data of the event in hand */
    char user_id[IDENTIFIER_SIZE];
    char thread_id[IDENTIFIER_SIZE];
    char run_id[IDENTIFIER_SIZE];
    char request_id[IDENTIFIER_SIZE];
    char agent[IDENTIFIER_SIZE];
    char thinking_id[IDENTIFIER_MADE_SIZE]; /* of the thinking going on, or "" */
};

struct rs_tool {
    struct grammar_item item; /* first: the grammar frees it */
    rs_run *run;
    uint64_t began_ms;
    size_t name_length;
    char name_json[]; /* a JSON string, quoted */
};

struct step {
    enum grammar_step kind;
    struct span item_id;        /* of the text, tool or interrupt it is about */
    struct span tool_name_json; /* with STEP_TOOL_BEGIN */
    struct event event; /* type, flags, message_id, tool_call_id and data are the caller's */
};

/* When a call that emits now gives up. */
uint64_t run_deadline(const struct rs_run *run);

/* Take the step: RS_OK, or why not, and nothing was emitted. */
int run_step(struct rs_run *run, const struct step *step, uint64_t deadline);
/* The same, for an event made of run->data. */
int run_step_data(struct rs_run *run, struct step *step, uint64_t deadline);
/* Whether the step would be legal now, and its event not too big. */
int run_check(struct rs_run *run, const struct step *step);
/* RS_E_ENDED, RS_E_TOO_BIG or RS_OK, for a step that is not due yet. */
int run_fits(const struct rs_run *run, const struct step *step);
int run_start(struct rs_run *run, uint64_t deadline);

/* The parts of run_step: check the step and add the item it needs new; then, its event being out or
 * not, go on as the step says or forget it. */
struct taking {
    struct grammar_item *item;
    bool fresh;
};
int run_take_begin(struct taking *ret_taking, struct rs_run *run, const struct step *step);
void run_take_end(struct rs_run *run, const struct step *step, struct taking *taking, int rc);
/* The event of a step, now. */
struct event run_event(const struct rs_run *run, const struct step *step);
size_t run_event_size(const struct event *event);
/* Give an open reservation up; nothing otherwise. */
void run_abandon(struct rs_run *run);

struct tool_ending;
/* rs_tool_end; fills in what the tool knows. */
int tool_end(struct rs_tool *tool, struct tool_ending *ending, uint64_t deadline);

enum run_end { RUN_END_SUCCESS, RUN_END_CANCELLED, RUN_END_INTERRUPT, RUN_END_FAILURE };
/* Start a run that was not, close what is open, then take the step, an end. */
int run_end(struct rs_run *run, enum run_end end, const struct step *step, uint64_t deadline);
/* End a run nobody will end any more. RS_OK when it was not started or has ended. */
int run_end_abandoned(struct rs_run *run, uint64_t deadline);
/* Free a run that holds no reference. */
void run_destroy(struct rs_run *run);

/* The id to use for a message: the one given, else the current one, else one just made. */
struct span run_text_id(
    struct rs_run *run, const char *message_id, char made[IDENTIFIER_MADE_SIZE]);
struct span run_thinking_id(struct rs_run *run, const char *message_id);

/* Checks of arguments; NULL is none of these. */
static inline bool valid_id(const char *id)
{
    return id && identifier_valid(span_of_string(id));
}

static inline bool valid_optional_id(const char *id)
{
    return !id || identifier_valid(span_of_string(id));
}
