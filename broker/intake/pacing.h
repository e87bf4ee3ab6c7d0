/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/heap.h"
#include "runs/account.h"
#include "runs/user.h"

/*
 * Who may be drained now. Each record is noted in the accounts of its user and of the process that
 * wrote it; a ring whose user, or the writer of whose last record, has had its events for now is
 * *held*: left alone until there is room again. Meanwhile it fills, and its emitters wait for room
 * as they do in any full ring: nothing is lost, and nobody else waits.
 *
 * A ring is held for HOLD_NS at least, so that what is slowed is taken in handfuls. What a run's
 * end waits for is *urgent*, up to a mark, and not paced.
 */
#define PACING_HOLD_NS UINT64_C(5000000)

struct pacing_ring {
    struct heap_node due; /* by the time it is looked at again */
    bool held;
    uint64_t urgent; /* what lies before this position is not paced */
};

struct pacing_process {
    uint32_t incarnation;
    struct account account;
};

struct pacing_options {
    uint64_t user_rate; /* events a second, 0 for any number */
    uint64_t worker_rate;
    uint32_t ring_count;
    uint32_t process_count;
    struct counters *counters; /* borrowed */
};

struct pacing {
    struct pacing_options options;
    struct pacing_ring *rings;
    struct pacing_process *processes;
    struct heap held; /* struct pacing_ring.due */
    uint64_t now_ns;  /* of this turn */
    bool off;         /* while all has to be taken in: at start and end */
};

/* -ENOMEM. */
int pacing_init(struct pacing *pacing, const struct pacing_options *options);
void pacing_deinit(struct pacing *pacing);

/* A turn begins: `now_ns` counts until the next. */
void pacing_begin(struct pacing *pacing, uint64_t now_ns);
/* A held ring whose time has come, which is held no more, or UINT32_MAX. */
uint32_t pacing_next_due(struct pacing *pacing);
/* When the next one's time comes; 0: none is held. */
uint64_t pacing_due_ns(const struct pacing *pacing);

/* Whether the ring is to be left alone. */
bool pacing_is_held(const struct pacing *pacing, uint32_t ring);
/* Notes a record taken from the user's ring. */
struct pacing_record {
    uint32_t process;
    uint32_t incarnation;
    uint64_t bytes;
};
void pacing_note(struct pacing *pacing, struct user *user, const struct pacing_record *record);
/*
 * Whether the ring at `position` may give another record, whose last one was `record` (NULL: none
 * in this turn). If not it is held from here on.
 */
bool pacing_allows(struct pacing *pacing, uint32_t ring, uint64_t position, struct user *user,
    const struct pacing_record *record);
/* What lies before `position` is not held. */
void pacing_hurry(struct pacing *pacing, uint32_t ring, uint64_t position);
/* Another user's now, or nobody's. */
void pacing_forget(struct pacing *pacing, uint32_t ring);
/* The process's account, or NULL when none of this incarnation was ever met. */
const struct account *pacing_process(
    const struct pacing *pacing, uint32_t process, uint64_t incarnation);
