/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dispatch/dispatch.h"
#include "intake/drain.h"

/*
 * Runs that their process has let go of, by dying, by saying so, or by not knowing them. Such a run
 * may still have its end in the ring, behind the open claim of a writer that lives. So it is marked
 * with how far its user's ring reached at that moment, and dealt with once the ring is drained up
 * to there: if its end was there it is gone by then, else it is closed, or, when it was never
 * started, given to another worker.
 */
struct farewell {
    struct dispatch *dispatch; /* borrowed, as all here */
    struct processes *processes;
    struct drain *drain;
    struct list_link marked; /* struct run.farewell_link */
};

void farewell_init(struct farewell *farewell, struct dispatch *dispatch,
    struct processes *processes, struct drain *drain);
/* `why` is not FAREWELL_NONE; a run that is marked already keeps its first mark. */
void farewell_say(struct farewell *farewell, struct run *run, enum farewell_kind why);
/* For all runs of the process. */
void farewell_process_died(struct farewell *farewell, const struct process_death *death);
/* The same of one that lives and was given up just now. */
void farewell_process_stalled(struct farewell *farewell, uint32_t process, uint64_t incarnation);
/* The slow safety net, and after a restart: runs whose process is gone without a death having been
 * seen, or was given up before. */
void farewell_sweep(struct farewell *farewell);
/* After a drain: deals with the runs whose last words are known. Returns whether some are left for
 * the next turn, because the batch is full: each may have a thousand tools and texts to be closed.
 */
bool farewell_turn(struct farewell *farewell);
