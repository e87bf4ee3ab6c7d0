/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "base/heap.h"
#include "base/identifier.h"
#include "base/list.h"
#include "event/grammar.h"
#include "runs/snapshot.h"

#include <stdint.h>

struct queue_line;
struct thread;
struct user;

enum run_state {
#define RUN_STATE(symbol, name, final) RUN_##symbol,
#include "runs/states.def"
#undef RUN_STATE
    RUN_STATE_COUNT,
};

/* Why a run's state changes: the first column of moves.def. */
enum run_cause {
    CAUSE_NONE,
    CAUSE_QUEUED,
    CAUSE_STARTED,
    CAUSE_INTERRUPTED,
    CAUSE_ANSWERED,
    CAUSE_COMPLETED,
    CAUSE_CANCELLED,
    CAUSE_FAILED,
    CAUSE_PLACED,
    CAUSE_RETURNED,
    CAUSE_CANCEL,
};

/* What a worker may say of a run it could not start, cut off behind that. */
#define RELEASE_MESSAGE_SIZE 1024

/* How a process let go of a run. */
enum farewell_kind {
    FAREWELL_NONE,
    FAREWELL_DIED,        /* the process is dead */
    FAREWELL_RELEASED,    /* the worker says that the agent is gone */
    FAREWELL_MISSING,     /* the worker does not know it */
    FAREWELL_HANDED_BACK, /* the worker has not begun it and is leaving */
    FAREWELL_STALLED,     /* the process lives, but was given up */
};

/* A place in a ring, or none when `set` is false. */
struct ring_mark {
    bool set;
    uint32_t ring;
    uint64_t position;
};

/* What of a run was begun and not ended: a tool call, a message's text, an interrupt. */
struct open_item {
    struct grammar_item item;    /* first: the grammar frees it */
    char label[IDENTIFIER_SIZE]; /* a tool's name */
    uint64_t since_ms;           /* wall clock: when it was begun */
};

/* A run as the broker knows it, from acceptance to its terminal event. Its context (the
 * identifiers) never changes. On the heap; owned by the table of runs. */
struct run {
    char id[IDENTIFIER_SIZE];
    char thread_id[IDENTIFIER_SIZE];
    char request_id[IDENTIFIER_SIZE]; /* may be empty, as those below */
    char message_id[IDENTIFIER_SIZE];
    char agent[IDENTIFIER_SIZE];
    char retry_of[IDENTIFIER_SIZE]; /* the ended run of the thread that this one tries again */
    struct user *user;              /* borrowed: lives as long as the broker */
    struct buffer context;          /* of its events, encoded, from the first one on */
    struct buffer content;          /* JSON; until the run is started */

    enum run_state state;
    struct grammar grammar; /* what is open */
    bool dispatched;        /* by this broker, and not begun by a program of its own */
    bool cancel_on_disconnect;

    uint64_t attempts;    /* how often it was given to a process */
    bool placed;          /* a process has it: */
    uint32_t process;     /* its index in the arena's table */
    uint64_t incarnation; /* which of that index's processes */
    uint64_t arena_id;

    uint64_t confirmed;          /* serial of the link on which its worker last said it has it */
    enum farewell_kind farewell; /* its process let go of it: closed if no end was drained */
    struct ring_mark mark;       /* up to where its end may still be in its user's ring */
    int death_signal;
    int death_exit_code;
    char release_code[IDENTIFIER_SIZE];
    char release_message[RELEASE_MESSAGE_SIZE];
    uint64_t accepted_ms;           /* wall clock */
    uint64_t deadline_ms;           /* wall clock; 0: none */
    uint64_t end_by_ms;             /* monotonic; when the broker ends it itself; 0: not set */
    uint64_t unserved_ms;           /* monotonic: since when no worker has its agent; 0: one does */
    uint64_t first_seq;             /* its first event: where a restart reads from */
    struct snapshot snapshot;       /* what a client would show of it, while it is open */
    uint64_t serial;                /* grows in the order of user.runs */
    struct list_link user_link;     /* in user.runs */
    struct list_link holder_link;   /* in holders.runs, while placed in the arena in use */
    struct list_link farewell_link; /* in pipeline.begun, then in farewell.marked */
    struct heap_node begun_node;    /* in user.begun, once it has a first_seq */
    struct thread *thread;        /* once it is in the table of runs; as the next two, queue.c's */
    struct queue_line *line;      /* NULL: begun by a program of its own */
    struct list_link thread_link; /* in thread.waiting while QUEUED, else in thread.active */
    bool waits;                   /* it is counted as waiting */
    bool taken_back;              /* it was given away and came back: goes before others */
};

/* NULL when memory is out. `state` is the first one. */
struct run *run_new(struct user *user, struct span run_id, enum run_state state);
void run_free(struct run *run);

const char *run_state_name(enum run_state state);
bool run_state_final(enum run_state state);
/* Whether the table allows it. */
bool run_state_follows(enum run_state from, enum run_state to);
/* The state this cause moves a run to; its own when it moves it nowhere. */
enum run_state run_state_after(enum run_state from, enum run_cause cause);
/* The only way a run's state changes; `to` must follow. */
void run_set_state(struct run *run, enum run_state to);

/* Copies an identifier into one of a run's fields; longer ones do not reach a run. */
void run_set_text(char field[IDENTIFIER_SIZE], struct span text);

/* Below, at or above 0 as `a` was accepted before, with or after `b`. */
int run_compare_age(const struct run *a, const struct run *b);
/* NULL when none of this set is open under this identifier. */
struct open_item *run_find_open(const struct run *run, enum grammar_set set, struct span id);

/* agent_started is in the stream. */
static inline bool run_started(const struct run *run)
{
    return run->grammar.state != GRAMMAR_NEW;
}

/* The record a run is kept as in history. */
void run_encode(struct buffer *out, const struct run *run);
/* The user and the state a record names, without making a run of it. -EBADMSG. */
int run_peek(struct span record, struct span *ret_user_id, enum run_state *ret_state);
/* The thread a record names. -EBADMSG. */
int run_peek_thread(struct span record, struct span *ret_thread_id);
/* Makes the run again. `user` is the one the record names. -EBADMSG, -ENOMEM. */
int run_decode(struct run **ret_run, struct user *user, struct span run_id, struct span record);
