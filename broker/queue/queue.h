/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "queue/threads.h"
#include "runs/user.h"

/*
 * Which run is next. A run waits in the queue exactly as long as its state is QUEUED.
 *
 *   thread    one run of it is active, or its oldest waiting one is *ready*
 *   line      the ready threads of one user whose next run is for one agent, oldest first
 *   agent     the lines with a ready thread, in the order of their turns
 *
 * Users take turns: the front line of those agents that a worker has room for decides whose turn it
 * is, and of this user the oldest ready run with room is taken, whichever its agent. Then all the
 * user's lines go to the end. So a user with ten thousand runs waiting holds up another user's
 * first by one run. A run that was given away and came back goes before all others.
 *
 * All of it is O(log n) in the runs of one user, and O(agents that are waited for). Nothing is ever
 * dropped here: the bounds are at the door (requests.c).
 */
struct queue_agent {
    char name[IDENTIFIER_SIZE];
    struct list_link lines; /* struct queue_line.agent_link: with ready threads, by turn */
    size_t line_count;      /* of this agent, ready or not */
    bool unserved;          /* no worker had it when dispatch last looked */
    struct list_link queue_link;
};

/* A user's open runs for one agent. */
struct queue_line {
    struct user *user;
    struct queue_agent *agent;
    size_t runs;       /* open ones; 0: the line is freed */
    struct heap ready; /* struct thread.ready */
    uint64_t turn;     /* among the lines that have ready threads */
    struct list_link user_link;
    struct list_link agent_link;
};

struct queue {
    struct threads threads;
    struct list_link agents; /* struct queue_agent.queue_link */
    size_t count;            /* runs that wait */
    uint64_t last_turn;
    uint64_t first_turn;
    bool changed; /* a run has become ready since somebody last looked */
};

void queue_init(struct queue *queue, struct counters *counters);
/* After queue_forget of every run. */
void queue_deinit(struct queue *queue);

/* A new run, in whatever state. QUEUED ones are not in the queue yet: queue_note. -ENOMEM. */
int queue_adopt(struct queue *queue, struct run *run);
/* The run's state has changed. */
void queue_note(struct queue *queue, struct run *run);
/* The run is about to be freed. */
void queue_forget(struct queue *queue, struct run *run);

/* Whether some worker has room for a run of this agent. */
struct queue_room {
    bool (*has)(const void *context, const char *agent);
    const void *context;
};

/* The next run there is room for, or NULL; its user's turn is used. The caller moves it on. */
struct run *queue_take_turn(struct queue *queue, const struct queue_room *room);
/* The thread's active run, else the one that waits first. NULL: it has no open run. */
struct run *queue_foremost(
    const struct queue *queue, const struct user *user, struct span thread_id);
/* The thread's run that waits first. NULL: none waits. */
struct run *queue_first_waiting(
    const struct queue *queue, const struct user *user, struct span thread_id);
