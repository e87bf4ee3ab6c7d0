/* SPDX-License-Identifier: Apache-2.0 */
#include "intake/pacing.h"

#include "base/pages.h"
#include "metrics/counters.h"

#include <errno.h>
#include <stdlib.h>

int pacing_init(struct pacing *pacing, const struct pacing_options *options)
{
    *pacing = (struct pacing){.options = *options};
    pacing->rings = pages_new(options->ring_count, sizeof(*pacing->rings));
    pacing->processes = calloc(options->process_count, sizeof(*pacing->processes));
    return pacing->rings && pacing->processes ? 0 : -ENOMEM;
}

void pacing_deinit(struct pacing *pacing)
{
    pages_free(pacing->rings, pacing->options.ring_count, sizeof(*pacing->rings));
    free(pacing->processes);
}

/* ---- rings that are held */

static uint32_t ring_of(const struct pacing *pacing, const struct pacing_ring *state)
{
    return (uint32_t)(state - pacing->rings);
}

static void let_go(struct pacing *pacing, struct pacing_ring *state)
{
    if (state->held)
        heap_remove(&pacing->held, &state->due);
    state->held = false;
}

static void hold(struct pacing *pacing, struct pacing_ring *state, uint64_t until_ns)
{
    if (state->held)
        return;
    uint64_t earliest = pacing->now_ns + PACING_HOLD_NS;
    state->held = true;
    heap_add(&pacing->held, &state->due, until_ns > earliest ? until_ns : earliest);
}

void pacing_begin(struct pacing *pacing, uint64_t now_ns)
{
    pacing->now_ns = now_ns;
}

uint64_t pacing_due_ns(const struct pacing *pacing)
{
    return pacing->held.root ? pacing->held.root->key : 0;
}

uint32_t pacing_next_due(struct pacing *pacing)
{
    struct heap_node *first = pacing->held.root;
    if (!first || (first->key > pacing->now_ns && !pacing->off))
        return UINT32_MAX;
    struct pacing_ring *state = CONTAINER_OF(first, struct pacing_ring, due);
    let_go(pacing, state);
    return ring_of(pacing, state);
}

bool pacing_is_held(const struct pacing *pacing, uint32_t ring)
{
    /* Most often none is, and where it would be said is out of the cache. */
    return pacing->held.root && pacing->rings[ring].held;
}

void pacing_hurry(struct pacing *pacing, uint32_t ring, uint64_t position)
{
    struct pacing_ring *state = &pacing->rings[ring];
    if (position > state->urgent)
        state->urgent = position;
    let_go(pacing, state);
}

void pacing_forget(struct pacing *pacing, uint32_t ring)
{
    let_go(pacing, &pacing->rings[ring]);
    pacing->rings[ring].urgent = 0;
}

/* ---- accounts */

static struct pacing_process *process_of(struct pacing *pacing, const struct pacing_record *record)
{
    if (record->process >= pacing->options.process_count)
        return NULL; /* it says so itself, and may say anything */
    struct pacing_process *process = &pacing->processes[record->process];
    if (process->incarnation != record->incarnation)
        *process = (struct pacing_process){.incarnation = record->incarnation};
    return process;
}

const struct account *pacing_process(
    const struct pacing *pacing, uint32_t process, uint64_t incarnation)
{
    bool met = process < pacing->options.process_count &&
               pacing->processes[process].incarnation == incarnation;
    return met ? &pacing->processes[process].account : NULL;
}

void pacing_note(struct pacing *pacing, struct user *user, const struct pacing_record *record)
{
    struct pacing_process *process = process_of(pacing, record);
    account_take(&user->account, pacing->now_ns, pacing->options.user_rate, record->bytes);
    if (process)
        account_take(&process->account, pacing->now_ns, pacing->options.worker_rate, record->bytes);
}

static bool user_has_room(const struct pacing *pacing, const struct user *user)
{
    return account_has_room(&user->account, pacing->now_ns, pacing->options.user_rate);
}

static bool process_has_room(const struct pacing *pacing, const struct pacing_process *process)
{
    return !process ||
           account_has_room(&process->account, pacing->now_ns, pacing->options.worker_rate);
}

static void hold_for_user(struct pacing *pacing, struct pacing_ring *state, struct user *user)
{
    uint64_t rate = pacing->options.user_rate;
    hold(pacing, state, account_room_at(&user->account, pacing->now_ns, rate));
    user->account.held++;
    pacing->options.counters->rings_held_for_user++;
}

static void hold_for_process(
    struct pacing *pacing, struct pacing_ring *state, struct pacing_process *process)
{
    uint64_t rate = pacing->options.worker_rate;
    hold(pacing, state, account_room_at(&process->account, pacing->now_ns, rate));
    process->account.held++;
    pacing->options.counters->rings_held_for_worker++;
}

bool pacing_allows(struct pacing *pacing, uint32_t ring, uint64_t position, struct user *user,
    const struct pacing_record *record)
{
    if (pacing->off || !user)
        return true;
    struct pacing_process *process = record ? process_of(pacing, record) : NULL;
    bool user_may = user_has_room(pacing, user);
    /* Most often there is room, and what is known of the ring is out of the cache. */
    if (user_may && process_has_room(pacing, process))
        return true;
    struct pacing_ring *state = &pacing->rings[ring];
    if (position < state->urgent)
        return true;
    if (user_may)
        hold_for_process(pacing, state, process);
    else
        hold_for_user(pacing, state, user);
    return false;
}
