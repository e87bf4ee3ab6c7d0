/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a ring's reader stands: freed <= consumed <= cursor <= tail <= freed + capacity.
 *
 *   cursor    private: what has been handed out
 *   consumed  everything before it is kept by the owner and need not be handed out again
 *   freed     everything before it is stamped FREE for its next lap and may be claimed
 *
 * consumed is stored first, then [freed, consumed) is stamped, then freed is stored. A reader that
 * dies in between is replaced by one that stamps the same range again, which changes nothing, since
 * nobody can claim it before freed has passed. The reader's own copies of its positions count, not
 * what others may have written over the shared ones; those are read once, when a ring is opened.
 */

#include "ring/reader.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pages.h"
#include "ring/directory-internal.h"
#include "ring/doorbell.h"
#include "ring/progress.h"
#include "ring/reader-internal.h"
#include "ring/spill.h"
#include "ring/steps.h"
#include "ring/successor.h"

#define FETCHED 512 /* bytes of a ring, ahead of its being read */

int reader_quarantine(struct ring_reader *reader, uint32_t ring, const char *reason)
{
    struct arena *arena = reader->arena;
    struct directory_entry *entry = arena_entry(arena, arena_entry_of(arena, ring));
    uint64_t word = atomic_load(&entry->word);

    /* What comes after it in the user's order cannot be handed out either. */
    for (uint32_t r = arena_entry_of(arena, ring); r < arena->rings;
         r += arena->geometry.user_count) {
        reader->rings[r].damage = reason;
        reader->rings[r].open = true;
    }
    reader->stats.quarantined++;
    /* Partner: the load in writer_check_lease; writers that wait for room are woken to see it. */
    atomic_store(&entry->word, entry_pack(ENTRY_QUARANTINED, 0, entry_generation_of(word)));
    progress_notify(arena);
    return -EUCLEAN;
}

static void reader_stamp(
    const struct arena *arena, uint32_t ring, const struct reader_ring *r, uint64_t end)
{
    for (uint64_t p = r->freed; p < end;) {
        unsigned char *unit = (unsigned char *)arena_record(arena, ring, p);
        uint64_t rest = arena_lap_rest(arena, ring, p);
        uint64_t word = control_free(arena_lap(arena, ring, p, r->base_lap) + 1);

        for (uint64_t left = rest < end - p ? rest : end - p; left > 0;
             left--, p++, unit += RING_UNIT) {
            /* Partner: the load in claim_help and the CAS in claim_settle, ordered by `freed`. */
            atomic_store_explicit(
                &((struct record_header *)(void *)unit)->control, word, memory_order_relaxed);
            RING_STEP(stamping);
        }
    }
}

static bool reader_needs_spill(const struct ring_reader *reader, const struct spill_look *look)
{
    const struct arena *arena = reader->arena;
    uint32_t owner = spill_owner_of(look->word);
    uint64_t word;

    if (spill_state_of(look->word) == SPILL_FREEING)
        return owner != 0; /* a writer's, or the reaper's when it is dead */
    /* Not named: still being filled, or the reaper frees it. */
    if (look->end == 0 || look->ring >= arena->rings)
        return arena_has_owner(arena, owner) && atomic_load(&arena_slot_of(arena, owner)->holder);
    word = atomic_load(&arena_entry(arena, arena_entry_of(arena, look->ring))->word);
    if (entry_generation_of(word) != look->generation)
        return false; /* the ring was reclaimed, with no writer in it */
    return !reader->rings[look->ring].open || look->end > reader->rings[look->ring].consumed;
}

void reader_sweep_spills(struct ring_reader *reader)
{
    struct spill_look look;
    uint32_t cursor = 0;

    while (spill_next(&look, reader->arena, &cursor))
        if (!reader_needs_spill(reader, &look))
            spill_free_read(reader->arena, &look);
}

static void reader_give_back(struct ring_reader *reader, uint32_t ring, uint64_t upto)
{
    struct ring_header *header = arena_ring_header(reader->arena, ring);
    struct reader_ring *r = &reader->rings[ring];

    RING_STEP(handed_over);
    r->consumed = upto;
    /* Partner: ring_wait_position, and the next reader. */
    atomic_store(&header->consumed, upto);
    RING_STEP(consumed_stored);
    if (r->spilled) {
        reader_sweep_spills(reader);
        r->spilled = r->cursor > upto;
    }
    reader_stamp(reader->arena, ring, r, upto);
    RING_STEP(stamped);
    r->freed = upto;
    /* Partner: the load in writer_fits. Releases the stamps, and the payloads for overwriting. */
    atomic_store(&header->freed, upto);
    RING_STEP(freed_stored);
    progress_notify(reader->arena);
}

static const char *reader_load_user(struct reader_ring *r, const struct arena *arena, uint32_t ring)
{
    struct directory_entry *entry = arena_entry(arena, arena_entry_of(arena, ring));
    uint64_t word = atomic_load(&entry->word);
    struct user_key key;

    r->generation = entry_generation_of(word);
    if (entry_state_of(word) == ENTRY_QUARANTINED)
        return "quarantined by an earlier reader";
    if (user_key_load(&key, entry->user_id, atomic_load(&entry->user_id_length)) < 0 ||
        key.tag != atomic_load(&entry->user_tag))
        return "user id and tag do not match";
    if (r->generation == 0)
        return "impossible generation";
    r->user_tag = key.tag;
    return NULL;
}

static const char *reader_load_positions(
    struct reader_ring *r, const struct arena *arena, uint32_t ring)
{
    const struct ring_class *class = arena_class_of(arena, ring);
    struct ring_header *header = arena_ring_header(arena, ring);

    r->base_lap = atomic_load(&header->base_lap);
    r->freed = atomic_load(&header->freed);
    r->consumed = atomic_load(&header->consumed);
    r->durable = atomic_load(&header->durable);
    r->delivered = atomic_load(&header->delivered);
    r->tail_seen = tail_unpack(atomic_load(&header->tail)).position;
    r->cursor = r->handed = r->consumed;
    if (r->freed > r->consumed || r->consumed > r->tail_seen || r->durable > r->consumed ||
        r->delivered > r->consumed || r->tail_seen - r->freed > class->capacity ||
        (r->consumed >> class->shift) < r->base_lap)
        return "positions out of order";
    return NULL;
}

/* Takes a ring up where the last reader left it. */
static int reader_open_ring(struct ring_reader *reader, uint32_t ring)
{
    struct reader_ring *r = &reader->rings[ring];
    const char *damage = reader_load_user(r, reader->arena, ring);

    if (!damage)
        damage = reader_load_positions(r, reader->arena, ring);
    if (damage)
        return reader_quarantine(reader, ring, damage);
    r->open = true;
    if (r->freed < r->consumed)
        reader_give_back(reader, ring, r->consumed);
    /* Found finished: its memory may be gone, so it must never be looked at. */
    (void)reader_is_finished(reader, ring);
    return 0;
}

int reader_admit(struct ring_reader *reader, uint32_t ring)
{
    struct arena *arena = reader->arena;
    enum entry_state state;
    struct reader_ring *r;

    if (arena->forked)
        return -ECHILD;
    if (ring >= arena->rings)
        return 0;
    r = &reader->rings[ring];
    if (r->damage)
        return -EUCLEAN;
    if (r->open)
        return 1;
    state = directory_state(arena, ring);
    if ((state != ENTRY_READY && state != ENTRY_QUARANTINED) || !arena_is_in_use(arena, ring))
        return 0;
    return reader_open_ring(reader, ring) < 0 ? -EUCLEAN : 1;
}

/* It may have waited for this ring, its own bell spent; whoever sees that the ring is at its end,
 * and every time, since rings between the two may have been so before. */
static void reader_mark_successor(struct ring_reader *reader, uint32_t ring)
{
    if (arena_has_successor(reader->arena, ring))
        doorbell_mark(reader->arena, ring + reader->arena->geometry.user_count);
}

bool reader_is_finished(struct ring_reader *reader, uint32_t ring)
{
    struct reader_ring *r = &reader->rings[ring];
    struct tail tail;

    if (r->finished)
        return true;
    /* Partner: the CAS in writer_grow, after the last claim had its header. */
    tail = tail_unpack(atomic_load(&arena_ring_header(reader->arena, ring)->tail));
    r->finished = tail.owner == RING_OWNER_CLOSED && tail.position == r->cursor;
    if (r->finished)
        reader_mark_successor(reader, ring);
    return r->finished;
}

/* A user's rings are handed out one after the other: order is kept. */
static int reader_is_its_turn(struct ring_reader *reader, uint32_t ring)
{
    uint32_t count = reader->arena->geometry.user_count;

    for (uint32_t r = arena_entry_of(reader->arena, ring); r < ring; r += count) {
        int admitted = reader_admit(reader, r);

        if (admitted <= 0)
            return admitted;
        if (!reader_is_finished(reader, r))
            return 0;
    }
    return 1;
}

/* Claims that were skipped with nothing handed out before them wait for no one's release. */
static void reader_drop_skipped(struct ring_reader *reader, uint32_t ring)
{
    struct reader_ring *r = &reader->rings[ring];

    if (r->handed <= r->consumed && r->cursor > r->consumed)
        reader_give_back(reader, ring, r->cursor);
}

int ring_reader_next(struct ring_record *ret_record, struct ring_reader *reader, uint32_t ring)
{
    int r = reader_admit(reader, ring);

    if (r > 0)
        r = reader_is_its_turn(reader, ring);
    /* Of a finished ring nothing is touched: its memory may be gone. */
    if (r > 0 && reader->rings[ring].finished) {
        reader_mark_successor(reader, ring);
        return 0;
    }
    while (r > 0) {
        struct reader_ring *state = &reader->rings[ring];
        struct control control;

        r = reader_examine(&control, reader, ring);
        if (r == 0) {
            reader_drop_skipped(reader, ring);
            (void)reader_is_finished(reader, ring);
        }
        if (r <= 0)
            return r;
        if (control.state == CONTROL_DISCARDED)
            reader->stats.discarded++;
        if (control.state == CONTROL_COMMITTED) {
            r = reader_load_record(ret_record, reader, ring, control);
            if (r < 0)
                return r;
            if (r > 0) {
                state->cursor = state->handed = ret_record->end;
                reader->stats.records++;
                return 1;
            }
            reader->stats.misaddressed++;
        }
        state->cursor += control.length;
        r = 1;
    }
    return r;
}

void ring_reader_fetch(const struct ring_reader *reader, uint32_t ring)
{
    const struct reader_ring *r = &reader->rings[ring];

    for (const char *at = (const char *)r; at < (const char *)(r + 1); at += 64)
        __builtin_prefetch(at);
}

void ring_reader_fetch_record(const struct ring_reader *reader, uint32_t ring)
{
    const struct reader_ring *r = &reader->rings[ring];
    const char *record;

    if (!r->open || r->punched)
        return;
    if (r->cursor >= r->tail_seen) /* else the tail is not looked at */
        __builtin_prefetch(arena_ring_header(reader->arena, ring));
    record = (const char *)arena_record(reader->arena, ring, r->cursor);
    for (size_t at = 0; at < FETCHED; at += 64)
        __builtin_prefetch(record + at);
}

void ring_reader_fetch_release(const struct ring_reader *reader, uint32_t ring)
{
    const struct reader_ring *r = &reader->rings[ring];

    if (!r->open || r->punched)
        return;
    __builtin_prefetch(&arena_ring_header(reader->arena, ring)->consumed, 1);
    __builtin_prefetch(arena_record(reader->arena, ring, r->freed), 1);
}

bool ring_reader_has_more(struct ring_reader *reader, uint32_t ring)
{
    struct reader_ring *r;
    struct tail tail;

    if (reader_admit(reader, ring) <= 0)
        return false;
    r = &reader->rings[ring];
    if (r->cursor < r->tail_seen)
        return true;
    /* Partner: the CASes in writer_claim and writer_grow. What they claim from here on is rung for
     * behind the caller's doorbell_take. */
    tail = tail_unpack(atomic_load(&arena_ring_header(reader->arena, ring)->tail));
    return tail.position != r->cursor || tail.owner == RING_OWNER_CLOSED;
}

int ring_reader_release(struct ring_reader *reader, uint32_t ring, uint64_t upto)
{
    int r = reader_admit(reader, ring);
    struct reader_ring *state;

    if (r < 0 || ring >= reader->arena->rings)
        return r < 0 ? r : -EINVAL;
    state = &reader->rings[ring];
    if (upto < state->consumed || upto > state->cursor)
        return -EINVAL;
    if (upto == state->handed)
        upto = state->cursor;
    if (upto > state->consumed)
        reader_give_back(reader, ring, upto);
    return 0;
}

void ring_reader_rewind(struct ring_reader *reader, uint32_t ring)
{
    struct reader_ring *r;

    if (ring >= reader->arena->rings)
        return;
    r = &reader->rings[ring];
    if (r->cursor != r->consumed)
        r->finished = false;
    r->cursor = r->handed = r->consumed;
}

int ring_reader_set_durable(struct ring_reader *reader, uint32_t ring, uint64_t upto)
{
    int r = reader_admit(reader, ring);
    struct reader_ring *state;

    /* A ring taken back meanwhile is nobody's, but some may still wait for what was in it. */
    if (r < 0 || ring >= reader->arena->rings)
        return r < 0 ? r : -EINVAL;
    state = &reader->rings[ring];
    if (upto > state->consumed)
        return -EINVAL;
    if (upto > state->durable) {
        state->durable = upto;
        /* Partner: ring_wait_position. */
        atomic_store(&arena_ring_header(reader->arena, ring)->durable, upto);
        progress_notify(reader->arena);
    }
    return 0;
}

int ring_reader_set_delivered(struct ring_reader *reader, uint32_t ring, uint64_t upto)
{
    int r = reader_admit(reader, ring);
    struct reader_ring *state;

    if (r <= 0 || ring >= reader->arena->rings)
        return r < 0 ? r : -EINVAL;
    state = &reader->rings[ring];
    if (upto > state->consumed)
        return -EINVAL;
    if (upto > state->delivered) {
        state->delivered = upto;
        /* Partner: ring_place_reached. */
        atomic_store(&arena_ring_header(reader->arena, ring)->delivered, upto);
        progress_notify(reader->arena);
    }
    return 0;
}

void ring_reader_set_unwatched(struct ring_reader *reader, uint32_t ring, uint64_t since_ms)
{
    if (reader_admit(reader, ring) <= 0)
        return;
    /* Partner: ring_unwatched_since. */
    atomic_store(&arena_entry(reader->arena, arena_entry_of(reader->arena, ring))->unwatched_since,
        since_ms);
}

uint64_t ring_reader_released(struct ring_reader *reader, uint32_t ring)
{
    return reader_admit(reader, ring) > 0 ? reader->rings[ring].consumed : 0;
}

void ring_reader_move_window(struct ring_reader *reader, uint32_t users)
{
    uint32_t all = reader->arena->geometry.user_count;
    uint32_t begin = reader->window_end < all ? reader->window_end : 0;

    reader->window_begin = begin;
    reader->window_end = users < all - begin ? begin + users : all;
}

/* A user's rings are visited together, as far as it has them: a visit costs cache lines, and there
 * may be a hundred thousand users. */
size_t ring_reader_sweep(struct ring_reader *reader)
{
    struct arena *arena = reader->arena;
    uint32_t users = arena->geometry.user_count;
    size_t count = 0;

    for (uint32_t entry = reader->window_begin; entry < reader->window_end; entry++) {
        for (uint32_t ring = entry; ring < arena->rings; ring += users) {
            uint64_t tail;

            if (reader_admit(reader, ring) <= 0)
                break;
            tail = atomic_load(&arena_ring_header(arena, ring)->tail);
            if (tail_unpack(tail).position != reader->rings[ring].cursor) {
                doorbell_mark(arena, ring);
                count++;
            }
            if (!tail_is_closed(tail, CLOSED_GROWN))
                break;
        }
    }
    return count;
}

int ring_reader_new(struct ring_reader **ret_reader, struct arena *arena)
{
    struct ring_reader *reader;

    if (arena->forked)
        return -ECHILD;
    if (!arena->owner)
        return -EPERM;
    reader = calloc(1, sizeof *reader);
    if (!reader)
        return -ENOMEM;
    reader->arena = arena;
    reader->window_end = arena->geometry.user_count;
    reader->rings = pages_new(arena->rings, sizeof *reader->rings);
    reader->named = calloc(arena_bit_words(arena), sizeof *reader->named);
    if (!reader->rings || !reader->named) {
        ring_reader_free(reader);
        return -ENOMEM;
    }
    /* The reader before may have died with bits taken and not drained, or owing a wake-up. */
    doorbell_awake(arena);
    ring_reader_sweep(reader);
    reader_sweep_spills(reader);
    atomic_store(&arena->shared->progress_wanted, 1);
    progress_notify(arena);
    *ret_reader = reader;
    return 0;
}

struct ring_reader *ring_reader_free(struct ring_reader *reader)
{
    if (!reader)
        return NULL;
    pages_free(reader->rings, reader->arena->rings, sizeof *reader->rings);
    free(reader->named);
    free(reader);
    return NULL;
}

uint64_t ring_reader_cursor(const struct ring_reader *reader, uint32_t ring)
{
    return ring < reader->arena->rings ? reader->rings[ring].cursor : 0;
}

uint64_t ring_reader_tail(struct ring_reader *reader, uint32_t ring)
{
    if (reader_admit(reader, ring) <= 0)
        return 0;
    return tail_unpack(atomic_load(&arena_ring_header(reader->arena, ring)->tail)).position;
}

uint64_t ring_reader_held_bytes(const struct ring_reader *reader, uint32_t ring)
{
    uint64_t consumed, held;
    struct ring_header *header;
    enum entry_state state;

    if (reader->arena->forked || ring >= reader->arena->rings)
        return 0;
    state = directory_state(reader->arena, ring);
    if ((state != ENTRY_READY && state != ENTRY_QUARANTINED) ||
        !arena_is_in_use(reader->arena, ring))
        return 0;
    header = arena_ring_header(reader->arena, ring);
    consumed =
        reader->rings[ring].open ? reader->rings[ring].consumed : atomic_load(&header->consumed);
    held = tail_unpack(atomic_load(&header->tail)).position - consumed;
    /* A tail before what was consumed, or too far after it, is damage that a drain will find. */
    return held <= arena_capacity(reader->arena, ring) ? held * RING_UNIT : 0;
}

uint64_t ring_reader_user_bytes(const struct ring_reader *reader, uint32_t ring)
{
    uint32_t entry;
    uint64_t bytes = 0;

    if (reader->arena->forked || ring >= reader->arena->rings)
        return 0;
    entry = arena_entry_of(reader->arena, ring);
    for (uint32_t r = entry; r < reader->arena->rings; r += reader->arena->geometry.user_count)
        bytes += ring_reader_held_bytes(reader, r);
    return bytes + spill_held(reader->arena, entry);
}

const char *ring_reader_damage(const struct ring_reader *reader, uint32_t ring)
{
    return ring < reader->arena->rings ? reader->rings[ring].damage : NULL;
}

uint64_t ring_reader_generation(const struct ring_reader *reader, uint32_t ring)
{
    return ring < reader->arena->rings ? reader->rings[ring].generation : 0;
}

void ring_reader_stats(struct ring_reader_stats *ret_stats, const struct ring_reader *reader)
{
    *ret_stats = reader->stats;
}
