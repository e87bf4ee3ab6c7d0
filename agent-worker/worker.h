/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker_link.h"
#include "runs/supervisor.h"

#include "config/config.h"

#include <sys/types.h>

/*
 * A worker process:
 *
 *   ATTACHING  there is no arena to write to yet, or the one there was is of no use any more; looks
 *              for one, several times a second
 *   SERVING    attached: the link comes and goes, runs go on
 *   DRAINING   asked to leave: takes no more runs, hands back those that have not begun, lets the
 *              others finish, then cancels them
 */
enum worker_state {
    WORKER_ATTACHING,
    WORKER_SERVING,
    WORKER_DRAINING,
};

/* Which file an arena is: another one of the same name is another arena. */
struct arena_file {
    dev_t device;
    ino_t inode;
};

typedef enum config_action (*worker_read_fn)(struct config *ret_config);

struct worker {
    const struct config *config; /* borrowed */
    worker_read_fn read_config;  /* reads it anew, from the same place */
    struct ev_loop *loop;
    enum worker_state state;
    char name[IDENTIFIER_SIZE];
    char arena_dir[PATHS_MAX];
    struct arena_file arena;
    rs_emitter *emitter;          /* NULL when not attached */
    struct supervisor supervisor; /* its roster has the agents */
    struct broker_link *link;     /* NULL when not attached */
    bool announced;               /* whoever started us knows that we serve */
    bool emitter_lost;            /* attach again in the next tick */
    bool cancelled;               /* draining, and the runs have been told to stop */
    bool for_good;                /* told to leave and not to be started again */
    uint64_t started;             /* runs given since the start */
    ev_timer tick;
    ev_timer drain_limit;
    ev_signal term;
    ev_signal interrupt;
    ev_signal hangup;
};

/*
 * Checks the agents and attaches. 0; -ENOEXEC when an agent cannot be run, after saying so on
 * stderr for each; -errno when it makes no sense to wait for the node. `worker` is deinitialised in
 * any case by worker_deinit.
 */
int worker_init(struct worker *worker, const struct config *config, worker_read_fn read_config);
/* Until a signal has asked it to leave and it has drained. */
void worker_run(struct worker *worker);
/* Kills the agents that are left. The link is left to the process's exit. */
void worker_deinit(struct worker *worker);
