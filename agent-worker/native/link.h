/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol/rpc.h"

#include "base/list.h"

#include <pthread.h>

/*
 * An agent's end of the line to its worker, in a process that hosts one. A thread reads what the
 * worker says; any thread may send and wait. The descriptors 0 and 1 are taken away from the rest
 * of the process: what it prints goes to stderr.
 */
struct native_link {
    int in;
    int out;
    const char *who; /* the answer to initialize, as JSON; borrowed */
    pthread_t reader;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct buffer introduction; /* params of the last initialize */
    struct buffer start;        /* params of the last run/start */
    bool started;               /* and it was not taken yet */
    bool cancelled;
    bool closed;
    uint64_t last_id;
    struct list_link answers; /* struct native_answer, link: asked for and not taken */
    pthread_mutex_t writing;  /* a line is written whole */
};

/* -errno; the process is to end then. */
int native_link_init(struct native_link *link, const char *who);
/* Waits for a run. True: its params and those of initialize are in the buffers, the caller's to
 * keep; false: there will be none. */
bool native_link_next_run(
    struct native_link *link, struct buffer *ret_introduction, struct buffer *ret_start);
/* `params` is JSON. -errno. */
int native_link_notify(struct native_link *link, const char *method, struct span params);
/* Asks, and says under which number the answer is waited for. -errno. */
int native_link_ask(
    struct native_link *link, const char *method, struct span params, uint64_t *ret_id);
/* Waits. 1: a result, 0: an error, in `ret_json` either way. -EPIPE: the line is closed; -ENOENT:
 * no such question, or its answer was taken. */
int native_link_answer(struct native_link *link, uint64_t id, struct buffer *ret_json);
bool native_link_cancelled(struct native_link *link);
bool native_link_closed(struct native_link *link);
/* Waits until the run is cancelled, the line closed, or so long. */
void native_link_wait(struct native_link *link, uint64_t ms);
