/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "intake/drain.h"
#include "links/effects.h"
#include "peers/gateway_port.h"

/*
 * Keeping what a turn has staged, and what becomes of the turn when history cannot be written
 * (a full disk, an I/O error). Two policies, history.when_full:
 *
 *   hold  nothing is taken in until a commit succeeds: the rings fill, emitters feel it
 *   live  events are taken in, numbered and shown from memory, up to history.max_staged, then held;
 *         the rings' space is not given back before they are kept. So emitters feel it when their
 *         own ring is full, and a broker that dies loses nothing: the next one meets the records
 *         again. History is told before the first of them is shown, and once that broker opens it
 *         begins a new epoch: a number that was shown is never given to another event.
 *
 * Requests are refused under both until commits succeed, since an answer promises something kept.
 * A commit is tried again after a pause that follows what the last try took, so that trying in
 * vain costs a small share of the time. It goes on by itself.
 */
enum keeping_state {
    KEEPING_SERVING,
    KEEPING_HOLDING, /* nothing is taken in, nothing new shown */
    KEEPING_LIVE,    /* taken in and shown from memory */
    KEEPING_FULL,    /* as much is shown from memory as may be: nothing more is taken in */
    KEEPING_STATES,
};

struct keeping {
    struct history *history; /* borrowed, as all here */
    struct drain *drain;
    struct effects *effects;
    struct gateway_port *gateways;
    struct counters *counters;
    bool live; /* the policy */
    enum keeping_state state;
    int failed_by; /* why the last commit failed: 0, -errno */
    uint64_t next_try_ms;
    uint64_t shown; /* events of those staged that were shown */
};

enum keeping_outcome {
    KEPT_ALL,  /* committed: space may be given back, promises kept, events shown */
    KEPT_SHOW, /* not committed; what is staged may be shown */
    KEPT_NOT,  /* not committed, and nothing new may be shown */
};
/* What staged and is kept of the turn that ends. */
enum keeping_outcome keeping_turn(struct keeping *keeping, uint64_t now_ms);
/* A commit failed outside of a turn: as if it had been one. */
void keeping_fail(struct keeping *keeping, int rc, uint64_t now_ms);
/* Whether rings may be drained. */
static inline bool keeping_takes_in(const struct keeping *keeping)
{
    return keeping->state == KEEPING_SERVING || keeping->state == KEEPING_LIVE;
}
/* For status: "serving", … */
const char *keeping_state_name(enum keeping_state state);
