/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol/thread_history.h"
#include "runs/engine.h"
#include "tools/interrupts.h"

#include "base/paths.h"
#include "wire/attachment.h"

/*
 * The worker's end of its link to the broker. It keeps nothing: when a link is made anew, the owner
 * says again what it is doing, and that is the whole truth. Loop thread only.
 */
struct broker_link;

struct broker_link_events {
    /* The link is there: broker_link_running for each open run, then broker_link_available. */
    void (*on_ready)(void *context);
    void (*on_assign)(void *context, const struct engine_request *request, struct span agent);
    void (*on_cancel)(void *context, struct span run_id, struct span reason);
    void (*on_kill)(void *context, struct span run_id);
    /* broker_link_resolved follows. */
    void (*on_resolve)(void *context, struct span run_id, const struct interrupt_answer *answer);
    /* The answer to broker_link_history_read. */
    void (*on_history)(void *context, struct span run_id, const struct thread_page *page);
    /* Take no more runs, and leave when the rest has ended; `for_good`: with EXIT_DRAINED. */
    void (*on_leave)(void *context, bool for_good);
};

struct broker_link_options {
    struct ev_loop *loop;
    const char *run_dir; /* as configured, "" for the default; used during the call only */
    const char *name;    /* borrowed, as `agents` */
    const char *agents;  /* one a line; until broker_link_set_agents */
    uint32_t process;    /* our index in the arena's process table */
};

int broker_link_new(struct broker_link **ret_link, const struct broker_link_options *options,
    const struct broker_link_events *events, void *context);
void broker_link_free(struct broker_link *link);
bool broker_link_ready(const struct broker_link *link);
/* These do nothing while the link is not ready. */
void broker_link_running(struct broker_link *link, struct span run_id);
void broker_link_available(struct broker_link *link, size_t slots);
void broker_link_released(
    struct broker_link *link, struct span run_id, const struct engine_refusal *refusal);
/* What became of an answer; `code` "" when it was taken. */
void broker_link_resolved(
    struct broker_link *link, uint64_t answer, const char *code, const char *message);
/* Asks for events of the user of a run; without `ask`, where they lie. */
void broker_link_history_read(
    struct broker_link *link, struct span run_id, bool ask, uint64_t after);
/* The agents are these now, borrowed likewise; also for links to come. Does nothing without a link.
 */
void broker_link_set_agents(struct broker_link *link, const char *agents);
/* Whether we take no more runs. */
void broker_link_leaving(struct broker_link *link, bool leaving);
/* `report` is a JSON object. */
void broker_link_report(struct broker_link *link, struct span report);
