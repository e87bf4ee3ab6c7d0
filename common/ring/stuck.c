/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims of living writers that hold their users up: stopped, swapping, dumping core, or just slow.
 * Nothing is ever taken from them here. Who wants the user to go on ends the process; its death
 * then settles the claim as any other's.
 */
#include "ring/reader-internal.h"
#include "ring/word.h"

/* The owner of the claim in flight at the cursor, or 0. */
static uint32_t stuck_owner(struct ring_reader *reader, uint32_t ring)
{
    const struct arena *arena = reader->arena;
    const struct reader_ring *r = &reader->rings[ring];
    struct tail tail = tail_unpack(atomic_load(&arena_ring_header(arena, ring)->tail));
    struct control control;

    if (tail.position == r->cursor || r->cursor - r->freed >= arena_capacity(arena, ring))
        return 0;
    control = control_unpack(atomic_load(&arena_record(arena, ring, r->cursor)->control));
    if (control.lap != arena_lap(arena, ring, r->cursor, r->base_lap))
        return 0;
    if (control.state == CONTROL_BUSY)
        return control.owner;
    return control.state == CONTROL_FREE && tail.position - tail.length == r->cursor ? tail.owner
                                                                                     : 0;
}

/* Whether the same claim has been there for after_ms. */
static bool stuck_for(struct reader_ring *r, uint32_t owner, uint64_t now_ms, uint64_t after_ms)
{
    if (owner == 0 || r->stuck_owner != owner || r->stuck_at != r->cursor) {
        r->stuck_owner = owner;
        r->stuck_at = r->cursor;
        r->stuck_since_ms = now_ms;
    }
    return owner != 0 && now_ms - r->stuck_since_ms >= after_ms;
}

bool ring_reader_next_stuck(struct ring_stuck *ret_stuck, struct ring_reader *reader,
    uint32_t *cursor, uint64_t now_ms, uint64_t after_ms)
{
    const struct arena *arena = reader->arena;

    while (!arena->forked && *cursor < arena->rings) {
        uint32_t ring = (*cursor)++, owner;
        struct reader_ring *r = &reader->rings[ring];
        uint64_t holder;

        if (!r->open || r->damage || r->finished)
            continue;
        owner = stuck_owner(reader, ring);
        if (!arena_has_owner(arena, owner))
            owner = 0;
        if (!stuck_for(r, owner, now_ms, after_ms))
            continue;
        holder = atomic_load(&arena_slot_of(arena, owner)->holder);
        if (holder == 0)
            continue;
        *ret_stuck = (struct ring_stuck){
            .ring = ring,
            .process = origin_process(holder_origin(holder)),
            .incarnation = origin_incarnation(holder_origin(holder)),
            .position = r->cursor,
            .for_ms = now_ms - r->stuck_since_ms,
        };
        return true;
    }
    return false;
}
