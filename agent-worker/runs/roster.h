/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runs/pool.h"

/*
 * The agents of one reading of the configuration, each with its pool. When the configuration is
 * read again there is another roster; the old one stays until the last of its runs has ended, so
 * that a run ends as it began.
 */
struct roster {
    struct list_link link; /* of whoever has several */
    struct config own;     /* what the agents are borrowed from, when nobody else keeps it */
    struct registry registry;
    struct pool *pools; /* one an agent, in the registry's order */
    size_t waiting;     /* requests in them */
    bool retired;       /* takes no more runs */
};

struct roster_options {
    struct ev_loop *loop;
    const struct config *config; /* borrowed for the roster's life; not with `take` */
    struct config *take;         /* or taken over: empty afterwards */
    const struct engine_limits *limits;
};

/* -ENOEXEC after saying on the log what is wrong with the agents, -ENOMEM; `take` stays then. */
int roster_new(struct roster **ret_roster, const struct roster_options *options);
/* Whether its agents' servers are there: 1, 0 when that is not known yet, -ENOEXEC after saying on
 * the log which cannot be used. */
int roster_verdict(const struct roster *roster);
/* No run of it may be left. Takes NULL. */
void roster_free(struct roster *roster);
/* NULL when there is no such agent. */
struct pool *roster_find(const struct roster *roster, struct span agent);
/* The request that waits for this run, and its pool; NULL when none does. */
struct waiting *roster_find_waiting(
    const struct roster *roster, struct span run_id, struct pool **ret_pool);
/* Nothing is begun with it any more: what is idle is killed. */
void roster_retire(struct roster *roster);
/* Whether no run of it goes on or waits. */
bool roster_is_idle(const struct roster *roster);
/* Whether an agent of it has a limit on memory. */
bool roster_limits_memory(const struct roster *roster);
