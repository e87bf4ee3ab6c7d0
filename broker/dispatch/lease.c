/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/lease.h"

#include "base/log.h"

/* Between two looks, at most: what is longer was this broker's own pause. */
#define STEP_MAX_MS 500

static struct lease *lease_of(struct leases *leases, uint32_t process, uint64_t incarnation)
{
    if (process >= HOLDERS_MAX)
        return NULL;
    struct lease *lease = &leases->table[process];
    if (lease->incarnation != incarnation)
        *lease = (struct lease){.incarnation = incarnation};
    return lease;
}

void leases_heard(struct leases *leases, uint32_t process, uint64_t incarnation)
{
    struct lease *lease = lease_of(leases, process, incarnation);
    if (lease)
        lease->silent_ms = 0;
}

/*
 * The fence first: what was committed before it is in the rings, and is taken in as far as no other
 * writer stands before it; for the rest the farewells note the tails, which are the last ones that
 * count.
 */
static void give_up(struct leases *leases, uint32_t process, uint64_t incarnation)
{
    if (processes_fence(leases->processes, process, incarnation) < 0)
        return; /* gone just now: its death comes next */
    leases->counters->workers_fenced++;
    log_warn("lease", "process %u has not answered for %llu ms and is given up", process,
        (unsigned long long)leases->lease_ms);
    drain_turn(leases->farewell->drain, SIZE_MAX);
    processes_disown(leases->processes, process, incarnation);
    farewell_process_stalled(leases->farewell, process, incarnation);
    struct worker *worker = workers_find(leases->workers, process, incarnation);
    if (worker)
        link_drop(worker->link, "it missed its lease");
    if (leases->kill && processes_kill(leases->processes, process, incarnation) == 0)
        leases->counters->writers_killed++;
}

static void pass(struct leases *leases, uint32_t process, uint64_t incarnation, uint64_t passed_ms)
{
    struct lease *lease = lease_of(leases, process, incarnation);
    if (!lease || processes_fenced(leases->processes, process, incarnation))
        return;
    lease->silent_ms += passed_ms;
    if (lease->silent_ms < leases->lease_ms)
        return;
    lease->silent_ms = 0;
    give_up(leases, process, incarnation);
}

static void pass_linked(struct leases *leases, uint64_t passed_ms)
{
    LIST_FOR_EACH(struct worker, worker, &leases->workers->list, workers_link)
    pass(leases, worker->process, worker->incarnation, passed_ms);
}

/* Whose link is gone, or was not made again since a restart, while its runs go on. */
static void pass_unlinked(struct leases *leases, uint64_t passed_ms)
{
    for (uint32_t process = 0; process < HOLDERS_MAX; process++) {
        const struct run *run = holders_first(leases->holders, process);
        if (run && run->dispatched && !workers_find(leases->workers, process, run->incarnation))
            pass(leases, process, run->incarnation, passed_ms);
    }
}

void leases_turn(struct leases *leases, uint64_t now_ms)
{
    uint64_t passed_ms = leases->looked_ms ? now_ms - leases->looked_ms : 0;
    leases->looked_ms = now_ms;
    if (leases->lease_ms == 0)
        return;
    if (passed_ms > STEP_MAX_MS)
        passed_ms = STEP_MAX_MS;
    pass_linked(leases, passed_ms);
    pass_unlinked(leases, passed_ms);
}
