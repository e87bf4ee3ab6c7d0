/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving memory and places back. For a user, in this order:
 *
 *   1. idle: CAS the tail, as it has stood all the time, to CLOSED. A claim came first: not idle.
 *      Won: everything was handed out and released, so the user's order does not suffer from a
 *      next ring elsewhere. A damaged ring is QUARANTINED already and takes no claims
 *   2. the entry RETIRING, and out of its chain: nobody finds it any more
 *   3. wait until no slot names a ring of it. A writer names the ring before it loads the tail;
 *      the slots are looked at after the tail was closed: one of the two sees the other
 *   4. from the largest class down: punch the hole, then the header: positions go on at the next
 *      lap, which becomes lap 0, as fresh memory says. The first class comes last: its closed tail
 *      is what says that there are larger rings
 *   5. the entry FREE, of the next generation: leases of the old one are stale
 *
 * An owner that dies in between leaves an entry whose word or tail says how far it came; the next
 * one repeats the step, which changes nothing if it was done. A ring that was outgrown, and handed
 * out to its end, goes through 3 and the hole of 4 alone: its header stays closed as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "ring/directory-internal.h"
#include "ring/reader-internal.h"
#include "ring/steps.h"
#include "ring/successor.h"

static bool reclaim_is_released(struct ring_reader *reader, uint32_t ring, uint64_t position)
{
    const struct reader_ring *r = &reader->rings[ring];

    return r->cursor == position && r->consumed == position && r->freed == position;
}

static bool reclaim_is_outgrown(struct ring_reader *reader, uint32_t ring)
{
    uint64_t tail = atomic_load(&arena_ring_header(reader->arena, ring)->tail);

    return reader->rings[ring].open && tail_is_closed(tail, CLOSED_GROWN) &&
           reclaim_is_released(reader, ring, tail_unpack(tail).position) &&
           reader_is_finished(reader, ring);
}

static bool reclaim_can_punch(struct ring_reader *reader, uint32_t ring)
{
    return !reader->rings[ring].punched && reclaim_is_outgrown(reader, ring);
}

/* Whether the tail has stood still, with everything released, for idle_ms. */
static bool reclaim_is_idle(
    struct ring_reader *reader, uint32_t ring, uint64_t tail, uint64_t now_ms, uint64_t idle_ms)
{
    struct reader_ring *r = &reader->rings[ring];

    if (tail != r->idle_tail || r->idle_since_ms == 0 ||
        !reclaim_is_released(reader, ring, tail_unpack(tail).position)) {
        r->idle_tail = tail;
        r->idle_since_ms = now_ms;
        return false;
    }
    return idle_ms != 0 && now_ms - r->idle_since_ms >= idle_ms;
}

/* Step 1. */
static bool reclaim_close(struct ring_reader *reader, uint32_t ring, uint64_t tail)
{
    RING_STEP(idle_seen);
    /* Partner: the CASes in writer_claim and writer_grow: one of all wins. */
    return atomic_compare_exchange_strong(&arena_ring_header(reader->arena, ring)->tail, &tail,
        tail_close(tail_unpack(tail).position, CLOSED_RETIRED));
}

/* Step 2. */
static bool reclaim_retire(struct ring_reader *reader, uint32_t entry)
{
    struct reader_ring *first = &reader->rings[entry];

    if (!first->unlinked)
        first->unlinked = directory_retire(reader->arena, entry) == 0;
    return first->unlinked;
}

/* A user in possession. True: its entry is RETIRING, or a ring of it can be punched. */
static bool reclaim_visit_user(
    struct ring_reader *reader, uint32_t entry, uint64_t now_ms, uint64_t idle_ms)
{
    struct arena *arena = reader->arena;
    uint32_t newest = arena_newest_ring(arena, entry), ring;
    bool outgrown = false, all = true;
    uint64_t tail;

    for (ring = entry; ring < newest; ring += arena->geometry.user_count) {
        outgrown |= reader_admit(reader, ring) > 0 && reclaim_can_punch(reader, ring);
        all &= reclaim_is_outgrown(reader, ring);
    }
    if (reader_admit(reader, newest) <= 0)
        return outgrown;
    tail = atomic_load(&arena_ring_header(arena, newest)->tail);
    if (!tail_is_closed(tail, CLOSED_RETIRED) &&
        (!reclaim_is_idle(reader, newest, tail, now_ms, idle_ms) || !all ||
            !reclaim_close(reader, newest, tail)))
        return outgrown;
    RING_STEP(ring_retired);
    return reclaim_retire(reader, entry);
}

/* Steps 1 and 2 for one entry. True: there is something for the steps that follow. */
static bool reclaim_visit(
    struct ring_reader *reader, uint32_t entry, uint64_t now_ms, uint64_t idle_ms)
{
    switch (entry_state_of(atomic_load(&arena_entry(reader->arena, entry)->word))) {
    case ENTRY_READY: return reclaim_visit_user(reader, entry, now_ms, idle_ms);
    case ENTRY_QUARANTINED:
    case ENTRY_RETIRING: return reclaim_retire(reader, entry);
    case ENTRY_FREE:
    case ENTRY_TAKEN: break;
    }
    return false;
}

/* Step 3: what the slots name, after all that was closed in this call. */
static void reclaim_note_named(struct ring_reader *reader)
{
    const struct arena *arena = reader->arena;

    memset(reader->named, 0, arena_bit_words(arena) * sizeof *reader->named);
    for (uint32_t owner = 1; owner <= arena->geometry.slot_count; owner++) {
        /* Partner: writer_enter, before the tail is loaded. Also the dead's, until reaped. */
        uint32_t ring = atomic_load(&arena_slot_of(arena, owner)->current_ring) - 1;

        if (ring < arena->rings)
            reader->named[ring / 64] |= UINT64_C(1) << ring % 64;
    }
}

static bool reclaim_is_named(const struct ring_reader *reader, uint32_t ring)
{
    return reader->named[ring / 64] >> ring % 64 & 1;
}

/* Where a ring begins again: behind all it ever had, at the beginning of a lap. */
static uint64_t reclaim_fresh_position(
    const struct ring_reader *reader, uint32_t ring, bool damaged)
{
    uint64_t capacity = arena_capacity(reader->arena, ring);
    uint64_t tail =
        tail_unpack(atomic_load(&arena_ring_header(reader->arena, ring)->tail)).position;
    uint64_t freed = reader->rings[ring].freed;

    /* By the protocol writers are never further; a damaged tail says nothing. */
    if (damaged && tail - freed > capacity)
        tail = freed + capacity;
    tail = (tail + capacity - 1) & ~(capacity - 1);
    /* Used up, or nonsense: from the beginning. The generation keeps names unique. */
    return tail + 2 * capacity < RING_POSITION_END ? tail : 0;
}

/* Step 4 for a ring in use. */
static void reclaim_refresh(struct ring_reader *reader, uint32_t ring, bool damaged)
{
    struct ring_header *header = arena_ring_header(reader->arena, ring);
    uint64_t begin = reclaim_fresh_position(reader, ring, damaged);

    atomic_store(&header->base_lap, begin >> arena_class_of(reader->arena, ring)->shift);
    atomic_store(&header->free_seen, begin);
    atomic_store(&header->freed, begin);
    atomic_store(&header->consumed, begin);
    if (atomic_load(&header->durable) > begin)
        atomic_store(&header->durable, begin);
    if (atomic_load(&header->delivered) > begin)
        atomic_store(&header->delivered, begin);
    RING_STEP(ring_refreshed);
    atomic_store(&header->tail, tail_pack(begin, 0, RING_OWNER_NONE));
    reader->rings[ring] =
        (struct reader_ring){.freed = begin, .consumed = begin, .cursor = begin, .handed = begin};
}

static bool reclaim_is_user_named(const struct ring_reader *reader, uint32_t entry)
{
    for (uint32_t r = entry; r < reader->arena->rings; r += reader->arena->geometry.user_count)
        if (reclaim_is_named(reader, r))
            return true;
    return false;
}

/* Steps 4 and 5. False: to be tried again. */
static bool reclaim_finish(struct ring_reader *reader, uint32_t entry)
{
    struct arena *arena = reader->arena;
    uint32_t count = arena->geometry.user_count, newest = arena_newest_ring(arena, entry);
    struct directory_entry *e = arena_entry(arena, entry);
    uint64_t word = atomic_load(&e->word);
    bool damaged = entry_owner_of(word) != 0;

    if (reclaim_is_user_named(reader, entry))
        return false;
    for (uint32_t c = arena->geometry.class_count; c-- > 0;) {
        uint32_t ring = entry + c * count;

        /* Tails that are damaged do not say which rings were in use: all count, and have a header.
         */
        if ((damaged && arena_allocate_ring(arena, ring) < 0) ||
            /* Also above the newest: a successor may have got memory and no claim. */
            arena_punch_ring(arena, ring) < 0)
            return false;
        RING_STEP(ring_punched);
        if (damaged || ring <= newest)
            reclaim_refresh(reader, ring, damaged);
    }
    atomic_store(&e->unwatched_since, 0);
    RING_STEP(rings_refreshed);
    /* Partner: the CAS in directory_take. */
    atomic_store(&e->word, entry_pack(ENTRY_FREE, 0, entry_generation_of(word) + 1));
    reader->stats.reclaimed++;
    return true;
}

/* Gives back the memory of the user's outgrown rings that nobody stands in. */
static void reclaim_punch_outgrown(struct ring_reader *reader, uint32_t entry)
{
    struct arena *arena = reader->arena;
    uint32_t newest = arena_newest_ring(arena, entry);

    for (uint32_t ring = entry; ring < newest; ring += arena->geometry.user_count) {
        if (!reclaim_can_punch(reader, ring) || reclaim_is_named(reader, ring) ||
            arena_punch_ring(arena, ring) < 0)
            continue;
        reader->rings[ring].punched = true;
        reader->stats.outgrown++;
        RING_STEP(outgrown_punched);
    }
}

size_t ring_reader_reclaim(struct ring_reader *reader, uint64_t now_ms, uint64_t idle_ms)
{
    size_t candidates = 0, done = 0;

    if (reader->arena->forked)
        return 0;
    /* Of claims that were skipped, not released. */
    reader_sweep_spills(reader);
    for (uint32_t entry = reader->window_begin; entry < reader->window_end; entry++)
        candidates += reclaim_visit(reader, entry, now_ms, idle_ms);
    if (candidates == 0)
        return 0;
    reclaim_note_named(reader);
    for (uint32_t entry = reader->window_begin; entry < reader->window_end; entry++) {
        enum entry_state state = directory_state(reader->arena, entry);

        if (state == ENTRY_RETIRING && reader->rings[entry].unlinked)
            done += reclaim_finish(reader, entry);
        else if (state == ENTRY_READY)
            reclaim_punch_outgrown(reader, entry);
    }
    return done;
}
