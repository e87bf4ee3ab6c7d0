/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking back what a dead process held. While the owner holds the lock of the dead process's byte,
 * nobody else can take the entry; while the slots' holders name it, nobody else can take its owner
 * ids. So: lock, resolve the claims, ring the bells, let the caller drain, free the slots, free the
 * entry, unlock. An owner that dies in between leaves the entry taken; the next one does it all
 * again, and finds less to do.
 */

#include "ring/process.h"

#include <errno.h>

#include "ring/claim.h"
#include "ring/directory-internal.h"
#include "ring/doorbell.h"
#include "ring/locks.h"
#include "ring/mapping.h"
#include "ring/spill.h"
#include "ring/steps.h"
#include "ring/successor.h"

/* As it stands in the records of the process. */
static uint32_t process_incarnation(struct arena_process *entry)
{
    return atomic_load(&entry->incarnation) & ORIGIN_INCARNATION_MAX;
}

bool process_is_live(struct arena *arena, uint32_t index)
{
    if (arena->forked || index >= arena->geometry.process_count ||
        !atomic_load(&arena_process_at(arena, index)->attached))
        return false;
    /* One's own lock is never in one's own way. */
    return index == arena->process_index || lock_is_held(arena->lock_fd, LOCK_PROCESS + index, 1);
}

int process_next(struct process_info *ret_info, struct arena *arena, uint32_t *cursor)
{
    while (!arena->forked && *cursor < arena->geometry.process_count) {
        uint32_t index = (*cursor)++;
        struct arena_process *entry = arena_process_at(arena, index);

        /* Partner: the stores in arena_try_entry, `attached` being the last. */
        if (!atomic_load(&entry->attached))
            continue;
        *ret_info = (struct process_info){
            .index = index,
            .incarnation = process_incarnation(entry),
            .pid = atomic_load(&entry->pid),
            .live = process_is_live(arena, index),
            .fenced = atomic_load(&entry->fenced) == process_incarnation(entry) + 1,
            .self = index == arena->process_index,
        };
        return 1;
    }
    return 0;
}

static void process_resolve_slot(struct arena *arena, uint32_t owner, struct process_reaped *reaped)
{
    /* Partner: writer_enter and directory_take, before the claim they announce. */
    uint32_t named = atomic_load(&arena_slot_of(arena, owner)->current_ring);
    uint32_t ring = named - 1;
    uint64_t word;

    if (named == 0 || ring >= arena->rings)
        return;
    word = atomic_load(&arena_entry(arena, arena_entry_of(arena, ring))->word);
    if (entry_state_of(word) == ENTRY_TAKEN && entry_owner_of(word) == owner &&
        directory_resolve(arena, arena_entry_of(arena, ring)))
        reaped->completed++;
    if (directory_state(arena, ring) != ENTRY_READY || !arena_is_in_use(arena, ring))
        return;
    reaped->discarded += claim_discard_of(arena, ring, owner);
    /* It may have died between its commit and the bell. */
    doorbell_mark(arena, ring);
}

static bool process_has_slot(struct arena *arena, uint32_t index, uint32_t owner)
{
    return holder_process(atomic_load(&arena_slot_of(arena, owner)->holder)) == (int32_t)index;
}

static void process_resolve(struct arena *arena, struct process_reaped *reaped)
{
    for (uint32_t owner = 1; owner <= arena->geometry.slot_count; owner++) {
        if (!process_has_slot(arena, reaped->index, owner))
            continue;
        reaped->slots++;
        process_resolve_slot(arena, owner, reaped);
        spill_resolve(arena, owner);
        RING_STEP(slot_resolved);
    }
}

static void process_free_slots(struct arena *arena, uint32_t index)
{
    for (uint32_t owner = 1; owner <= arena->geometry.slot_count; owner++) {
        struct arena_slot *slot = arena_slot_of(arena, owner);

        if (!process_has_slot(arena, index, owner))
            continue;
        atomic_store(&slot->current_ring, 0);
        /* Last. Partner: the CAS in writer_take_slot. */
        atomic_store(&slot->holder, 0);
        RING_STEP(slot_freed);
    }
}

int process_reap(struct arena *arena, uint32_t index, process_reap_fn fn, void *userdata)
{
    struct process_reaped reaped = {.index = index};
    struct arena_process *entry;
    int r;

    if (arena->forked)
        return -ECHILD;
    if (!arena->owner)
        return -EPERM;
    if (index >= arena->geometry.process_count)
        return -ENOENT;
    if (index == arena->process_index)
        return -EBUSY;
    entry = arena_process_at(arena, index);
    if (!atomic_load(&entry->attached))
        return -ENOENT;
    r = lock_try(arena->lock_fd, LOCK_PROCESS + index, 1);
    if (r < 0)
        return r;
    reaped.pid = atomic_load(&entry->pid);
    reaped.incarnation = process_incarnation(entry);
    process_resolve(arena, &reaped);
    if (fn)
        fn(userdata, &reaped);
    process_free_slots(arena, index);
    atomic_store(&entry->attached, 0);
    lock_release(arena->lock_fd, LOCK_PROCESS + index, 1);
    return 0;
}

static void process_fence_slot(struct arena *arena, uint32_t owner, uint32_t origin)
{
    struct arena_slot *slot = arena_slot_of(arena, owner);
    uint64_t holder = holder_pack(origin);

    /* Partners: the loads of the writer before it claims and after it has committed. */
    atomic_compare_exchange_strong(&slot->holder, &holder, holder_fence(holder));
}

int process_fence(struct arena *arena, uint32_t index, uint32_t incarnation)
{
    struct arena_process *entry;

    if (arena->forked)
        return -ECHILD;
    if (!arena->owner)
        return -EPERM;
    if (index == arena->process_index)
        return -EBUSY;
    if (index >= arena->geometry.process_count)
        return -ENOENT;
    entry = arena_process_at(arena, index);
    if (!atomic_load(&entry->attached) || process_incarnation(entry) != incarnation)
        return -ENOENT;
    /* Before the slots. Partner: the load in ring_writer_init, after its CAS of a slot. */
    atomic_store(&entry->fenced, incarnation + 1);
    for (uint32_t owner = 1; owner <= arena->geometry.slot_count; owner++)
        process_fence_slot(arena, owner, origin_pack(incarnation, index));
    return 0;
}

uint32_t process_fenced(const struct arena *arena, uint32_t index)
{
    if (arena->forked || index >= arena->geometry.process_count)
        return 0;
    return atomic_load(&arena_process_at(arena, index)->fenced);
}

bool process_is_fenced(const struct arena *arena)
{
    return !arena->forked && arena->joined &&
           atomic_load(&arena_process_at(arena, arena->process_index)->fenced) ==
               arena->incarnation + 1;
}

int process_of_owner(const struct arena *arena, uint32_t owner)
{
    int32_t process;

    if (arena->forked || !arena_has_owner(arena, owner))
        return -ENOENT;
    process = holder_process(atomic_load(&arena_slot_of(arena, owner)->holder));
    return process < 0 || (uint32_t)process >= arena->geometry.process_count ? -ENOENT : process;
}

bool process_take_news(struct arena *arena)
{
    /* Partner: arena_announce. */
    return !arena->forked && atomic_exchange(&arena->shared->process_news, 0) != 0;
}
