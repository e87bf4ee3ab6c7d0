/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "links/link.h"
#include "queue/threads.h"

/* The workers that are connected, what they can do and how much room they have. */
struct worker {
    struct link *link;
    uint32_t process; /* in the arena's table */
    uint64_t incarnation;
    char *agents;         /* names, one a line; owned */
    uint64_t slots;       /* runs it may still be given */
    bool announced;       /* it has said which runs it has and how much room */
    bool leaving;         /* it says that it takes no more runs */
    uint64_t runs;        /* it has now */
    struct buffer report; /* JSON: what it last said of itself */
    struct list_link workers_link;
};

struct workers {
    struct list_link list; /* struct worker.workers_link */
    /* Some worker may have got room since dispatch last looked: set by whoever changes a worker's
     * slots or whether it takes runs. */
    bool changed;
};

void workers_init(struct workers *workers);
/* NULL when memory is out. */
struct worker *workers_add(
    struct workers *workers, struct link *link, const struct wire_hello *hello);
void workers_remove(struct worker *worker);
/* Its agents are these now, one a line. -ENOMEM: they stay as they were. */
int workers_set_agents(struct workers *workers, struct worker *worker, struct span agents);
/* Whether it may be given a run. */
bool worker_has_room(const struct worker *worker);
bool worker_has_agent(const struct worker *worker, struct span agent);
/* Whether any connected worker has this agent. */
bool workers_have_agent(const struct workers *workers, struct span agent);
/*
 * A worker with room that has the agent: the one that had the thread's last run if it can, else
 * the one with the most room. NULL when none can. `thread` may be NULL.
 */
struct worker *workers_pick(
    const struct workers *workers, struct span agent, const struct thread *thread);
/* The worker with this process, or NULL. */
struct worker *workers_find(struct workers *workers, uint32_t process, uint64_t incarnation);
