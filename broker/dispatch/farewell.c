/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/farewell.h"

#include "failpoints/failpoint.h"
#include "stream/closing.h"

/* A request that takes each worker down with it before it starts must not take them all. */
#define ATTEMPTS_MAX 3

void farewell_init(struct farewell *farewell, struct dispatch *dispatch,
    struct processes *processes, struct drain *drain)
{
    *farewell = (struct farewell){.dispatch = dispatch, .processes = processes, .drain = drain};
    list_init(&farewell->marked);
}

void farewell_say(struct farewell *farewell, struct run *run, enum farewell_kind why)
{
    if (run->farewell != FAREWELL_NONE)
        return;
    run->farewell = why;
    run->mark = drain_mark(farewell->drain, run->user);
    list_remove(&run->farewell_link);
    list_append(&farewell->marked, &run->farewell_link);
}

static struct list_link *runs_of(struct farewell *farewell, uint32_t process)
{
    return &farewell->dispatch->pipeline->holders.runs[process];
}

void farewell_process_died(struct farewell *farewell, const struct process_death *death)
{
    LIST_FOR_EACH(struct run, run, runs_of(farewell, death->index), holder_link)
    {
        if (run->incarnation != death->incarnation)
            continue;
        run->death_signal = death->signal;
        run->death_exit_code = death->exit_code;
        farewell_say(farewell, run, FAREWELL_DIED);
    }
}

void farewell_process_stalled(struct farewell *farewell, uint32_t process, uint64_t incarnation)
{
    LIST_FOR_EACH(struct run, run, runs_of(farewell, process), holder_link)
    {
        if (run->incarnation == incarnation)
            farewell_say(farewell, run, FAREWELL_STALLED);
    }
}

static void sweep_process(struct farewell *farewell, uint32_t process)
{
    uint64_t holder = 0;
    bool held = processes_incarnation(farewell->processes, process, &holder) &&
                processes_alive(farewell->processes, process, holder);
    LIST_FOR_EACH(struct run, run, runs_of(farewell, process), holder_link)
    {
        if (processes_fenced(farewell->processes, process, run->incarnation)) {
            farewell_say(farewell, run, FAREWELL_STALLED);
        } else if (!held || run->incarnation != holder) {
            run->death_exit_code = -1;
            farewell_say(farewell, run, FAREWELL_DIED);
        }
    }
}

void farewell_sweep(struct farewell *farewell)
{
    for (uint32_t process = 0; process < HOLDERS_MAX; process++) {
        if (!list_empty(runs_of(farewell, process)))
            sweep_process(farewell, process);
    }
}

/* ---- what becomes of a run */

static void close_lost(struct farewell *farewell, struct run *run)
{
    struct closing closing =
        run->farewell == FAREWELL_STALLED ? CLOSING_WORKER_STALLED : CLOSING_WORKER_LOST;
    if (run->state == RUN_CANCELLING && !run_started(run))
        closing = CLOSING_CANCELLED;
    if (run->farewell == FAREWELL_HANDED_BACK && run->state != RUN_CANCELLING)
        closing.message = "the worker handed back a run that it had begun";
    if (run->farewell == FAREWELL_DIED) {
        closing.signal = run->death_signal;
        closing.exit_code = run->death_exit_code;
    }
    farewell->dispatch->counters->runs_orphaned++;
    closing_end_run(farewell->dispatch->pipeline, run, &closing);
}

/* Its worker says why it never began. */
static void close_refused(struct farewell *farewell, struct run *run)
{
    char code[IDENTIFIER_SIZE];
    char message[RELEASE_MESSAGE_SIZE];
    memcpy(code, run->release_code, sizeof(code)); /* the run is freed by its end */
    memcpy(message, run->release_message, sizeof(message));
    const struct closing closing = {
        .code = code, .message = message, .tool_status = "cancelled", .exit_code = -1};
    closing_end_run(farewell->dispatch->pipeline, run, &closing);
}

/* A worker that leaves politely is not the request's doing: it costs no attempt. */
static bool may_be_given_again(const struct run *run)
{
    if (run->state != RUN_STARTING || !run->dispatched)
        return false;
    return run->farewell == FAREWELL_HANDED_BACK || run->attempts < ATTEMPTS_MAX;
}

static void give_again(struct farewell *farewell, struct run *run)
{
    if (run->farewell == FAREWELL_HANDED_BACK) {
        farewell->dispatch->counters->runs_handed_back++;
        run->attempts -= run->attempts > 0;
    }
    dispatch_requeue(farewell->dispatch, run);
}

static void deal_with(struct farewell *farewell, struct run *run)
{
    if (run->farewell == FAREWELL_RELEASED && run->release_code[0])
        close_refused(farewell, run);
    else if (run->farewell != FAREWELL_RELEASED && may_be_given_again(run))
        give_again(farewell, run);
    else
        close_lost(farewell, run);
}

/* A program's run may begin, out of the ring, after its process was seen to be dead. */
static void look_at_begun(struct farewell *farewell)
{
    LIST_FOR_EACH(struct run, run, &farewell->dispatch->pipeline->begun, farewell_link)
    {
        list_remove(&run->farewell_link);
        if (!processes_buried(farewell->processes, run->process, run->incarnation))
            continue;
        run->death_exit_code = -1;
        farewell_say(farewell, run, FAREWELL_DIED);
    }
}

bool farewell_turn(struct farewell *farewell)
{
    look_at_begun(farewell);
    LIST_FOR_EACH(struct run, run, &farewell->marked, farewell_link)
    {
        if (drain_full(farewell->drain))
            return true;
        if (!drain_passed(farewell->drain, &run->mark))
            continue;
        deal_with(farewell, run); /* it is freed, or in the queue again */
        FAILPOINT(run_farewelled);
    }
    return false;
}
