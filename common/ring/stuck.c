/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims of living writers that hold their users up: stopped, swapping, dumping core, or just slow.
 * Nothing is ever taken from them here. Who wants the user to go on ends the process; its death
 * then settles the claim as any other's.
 */
#include "ring/reader-internal.h"
#include "ring/word.h"

/* The owner of the claim in flight at the cursor, or 0. */
static uint32_t stuck_owner(struct ring_reader *reader, uint32_t ring, struct tail tail)
{
    const struct arena *arena = reader->arena;
    const struct reader_ring *r = &reader->rings[ring];
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

/* Whether the same claim has been there for after_ms. The cursor is never again where it was. */
static bool stuck_for(struct reader_ring *r, uint32_t owner, uint64_t now_ms, uint64_t after_ms)
{
    if (r->stuck_owner != owner || r->stuck_at != r->cursor) {
        r->stuck_owner = (uint16_t)owner;
        r->stuck_at = r->cursor;
        r->stuck_since_ms = now_ms;
    }
    return now_ms - r->stuck_since_ms >= after_ms;
}

/* The places of a user come one behind the other; what it has not grown into is passed over. */
static uint32_t stuck_ring(const struct arena *arena, uint32_t place)
{
    return place / arena->geometry.class_count +
           place % arena->geometry.class_count * arena->geometry.user_count;
}

static uint32_t stuck_next_user(const struct arena *arena, uint32_t place)
{
    return (place / arena->geometry.class_count + 1) * arena->geometry.class_count;
}

/* Whether the claim in flight at *cursor, if there is one, has been for long; moves *cursor on. */
static bool stuck_visit(struct ring_stuck *ret_stuck, struct ring_reader *reader, uint32_t *cursor,
    uint64_t now_ms, uint64_t after_ms)
{
    const struct arena *arena = reader->arena;
    uint32_t ring = stuck_ring(arena, *cursor), owner;
    struct reader_ring *r = &reader->rings[ring];
    uint64_t tail, holder;

    if (!r->open || r->damage) {
        *cursor = stuck_next_user(arena, *cursor);
        return false;
    }
    tail = atomic_load(&arena_ring_header(arena, ring)->tail);
    *cursor = tail_is_closed(tail, CLOSED_GROWN) ? *cursor + 1 : stuck_next_user(arena, *cursor);
    if (r->finished)
        return false;
    owner = stuck_owner(reader, ring, tail_unpack(tail));
    if (!arena_has_owner(arena, owner) || !stuck_for(r, owner, now_ms, after_ms))
        return false;
    holder = atomic_load(&arena_slot_of(arena, owner)->holder);
    if (holder == 0)
        return false;
    *ret_stuck = (struct ring_stuck){
        .ring = ring,
        .process = origin_process(holder_origin(holder)),
        .incarnation = origin_incarnation(holder_origin(holder)),
        .position = r->cursor,
        .for_ms = now_ms - r->stuck_since_ms,
    };
    return true;
}

bool ring_reader_next_stuck(struct ring_stuck *ret_stuck, struct ring_reader *reader,
    uint32_t *cursor, uint64_t now_ms, uint64_t after_ms)
{
    uint32_t classes = reader->arena->geometry.class_count;

    if (*cursor < reader->window_begin * classes)
        *cursor = reader->window_begin * classes;
    while (!reader->arena->forked && *cursor < reader->window_end * classes)
        if (stuck_visit(ret_stuck, reader, cursor, now_ms, after_ms))
            return true;
    return false;
}
