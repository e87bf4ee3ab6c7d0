/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the rings beside draining them, about once a second, and what is told of them. */
#include "intake/drain_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "ring/directory.h"

#include <errno.h>

void drain_look_on(struct drain *drain)
{
    uint32_t share = arena_user_count(drain->options.arena) / DRAIN_ROUND;
    ring_reader_move_window(drain->reader, share > DRAIN_LOOKED_AT ? share : DRAIN_LOOKED_AT);
}

void drain_reclaim(struct drain *drain, uint64_t now_ms, uint64_t idle_ms)
{
    size_t count = ring_reader_reclaim(drain->reader, now_ms, idle_ms);
    if (count > 0)
        log_debug("drain", "%zu rings, idle or damaged, were taken back", count);
}

/* From when on a claim is looked at that holds up others and is a fenced process's. */
#define FENCED_AFTER_MS 1000

/* True when this claim was not told of yet. */
static bool tell_stuck(struct drain *drain, const struct ring_stuck *stuck)
{
    struct ring_state *state = &drain->states[stuck->ring];
    if (state->stuck_at == stuck->position + 1)
        return false;
    state->stuck_at = stuck->position + 1;
    log_warn("drain",
        "process %u has stood within an emit for %llu ms; the user of ring %u waits for it",
        stuck->process, (unsigned long long)stuck->for_ms, stuck->ring);
    return true;
}

static void kill_stuck(struct drain *drain, const struct ring_stuck *stuck, bool first)
{
    int rc = processes_kill(drain->options.processes, stuck->process, stuck->incarnation);
    if (rc == 0) {
        drain->options.counters->writers_killed++;
        log_warn(
            "drain", "process %u was killed, so that ring %u goes on", stuck->process, stuck->ring);
    } else if (first) {
        log_warn("drain", "process %u cannot be killed: %s", stuck->process, strerror(-rc));
    }
}

static void unstick(
    struct drain *drain, const struct ring_stuck *found, const struct drain_stuck *stuck)
{
    bool fenced = stuck->kill_fenced &&
                  processes_fenced(drain->options.processes, found->process, found->incarnation);
    bool told = found->for_ms >= stuck->after_ms;
    if (!told && !fenced)
        return;
    bool first = tell_stuck(drain, found);
    if (stuck->kill || fenced)
        kill_stuck(drain, found, first);
}

void drain_unstick(struct drain *drain, uint64_t now_ms, const struct drain_stuck *stuck)
{
    bool early = stuck->kill_fenced && stuck->after_ms > FENCED_AFTER_MS;
    uint64_t after_ms = early ? FENCED_AFTER_MS : stuck->after_ms;
    struct ring_stuck found;
    for (uint32_t cursor = 0;
         ring_reader_next_stuck(&found, drain->reader, &cursor, now_ms, after_ms);)
        unstick(drain, &found, stuck);
}

void drain_sweep(struct drain *drain)
{
    ring_reader_sweep(drain->reader);
}

void drain_stats(const struct drain *drain, struct ring_reader_stats *ret_stats)
{
    ring_reader_stats(ret_stats, drain->reader);
}

/* ---- accounts */

void drain_user_account(
    const struct drain *drain, const struct user *user, struct drain_account *ret_account)
{
    uint32_t ring;
    bool has_ring = directory_find(&ring, drain->options.arena, user->id, strlen(user->id)) >= 0;
    *ret_account = (struct drain_account){.events = user->account.events,
        .bytes = user->account.bytes,
        .held = user->account.held,
        .events_per_s = account_rate(&user->account, clock_monotonic_ns()),
        .ring_bytes = has_ring ? ring_reader_user_bytes(drain->reader, ring) : 0};
}

void drain_process_account(const struct drain *drain, uint32_t process, uint64_t incarnation,
    struct drain_account *ret_account)
{
    const struct account *account = pacing_process(&drain->pacing, process, incarnation);
    *ret_account = (struct drain_account){0};
    if (!account)
        return;
    ret_account->events = account->events;
    ret_account->bytes = account->bytes;
    ret_account->held = account->held;
    ret_account->events_per_s = account_rate(account, clock_monotonic_ns());
}
