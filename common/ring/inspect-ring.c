/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ring. Its positions are loaded the lagging ones first, so that an honest ring never looks out
 * of order, and again until nothing the reader owns changed in between. Then the claims from
 * `consumed` to the tail of that moment are walked. The reader may overtake the walk and stamp what
 * lies before it: then `consumed` has passed that place, and the walk goes on from there.
 */
#include <string.h>

#include "ring/inspect-internal.h"
#include "ring/successor.h"
#include "ring/user.h"

/* How often positions are taken again, and how often the walk is overtaken, before it is said that
 * the ring moves too fast. */
#define INSPECT_TRIES 16

struct inspect_walk {
    const struct inspect *view;
    struct inspect_ring *out;
    struct ring_header *header;
    struct tail last;
    uint64_t base_lap;
    uint64_t capacity; /* units */
    uint64_t position;
    inspect_claim_fn fn;
    void *userdata;
};

enum step { STEP_ON, STEP_OVERTAKEN, STEP_END };

static bool inspect_positions_once(struct inspect_walk *walk)
{
    struct inspect_ring *out = walk->out;

    out->durable = atomic_load(&walk->header->durable);
    out->freed = atomic_load(&walk->header->freed);
    out->consumed = atomic_load(&walk->header->consumed);
    walk->last = tail_unpack(atomic_load(&walk->header->tail));
    walk->base_lap = atomic_load(&walk->header->base_lap);
    out->tail = walk->last.position;
    return atomic_load(&walk->header->freed) == out->freed &&
           atomic_load(&walk->header->consumed) == out->consumed;
}

static const char *inspect_positions(struct inspect_walk *walk)
{
    struct inspect_ring *out = walk->out;
    int tries = 0;

    while (!inspect_positions_once(walk) && tries < INSPECT_TRIES)
        tries++;
    out->moving = tries == INSPECT_TRIES;
    if (out->consumed > out->tail || (!out->moving && out->tail - out->freed > walk->capacity))
        return "the tail is out of bounds";
    if (out->freed > out->consumed || out->durable > out->consumed)
        return "positions out of order";
    out->held_bytes = (out->tail - out->consumed) * RING_UNIT;
    return NULL;
}

static const char *inspect_user(struct inspect_ring *out, const struct directory_entry *entry)
{
    struct user_key key;

    out->user_tag = atomic_load(&entry->user_tag);
    if (user_key_load(&key, entry->user_id, atomic_load(&entry->user_id_length)) < 0)
        return "the user's id cannot be read";
    memcpy(out->user_id, key.words, sizeof out->user_id);
    return key.tag == out->user_tag ? NULL : "user id and tag do not match";
}

static enum inspect_state inspect_state(enum entry_state entry, struct tail last)
{
    if (entry == ENTRY_QUARANTINED)
        return INSPECT_QUARANTINED;
    if (entry == ENTRY_RETIRING)
        return INSPECT_RETIRING;
    if (last.owner != RING_OWNER_CLOSED)
        return INSPECT_OPEN;
    return last.length == CLOSED_GROWN ? INSPECT_GROWN : INSPECT_RETIRED;
}

/* ---- the claims */

static enum step inspect_in_flight(
    struct inspect_walk *walk, uint32_t owner, uint32_t length, bool headed)
{
    struct inspect_claim claim = {
        .begin = walk->position,
        .bytes = length * RING_UNIT,
        .headed = headed,
        .owner = {.owner = owner, .process = -1, .current_ring = -1},
    };

    walk->out->in_flight++;
    walk->position += length;
    /* Nobody holds the id: the reader will discard the claim. */
    (void)inspect_slot(&claim.owner, walk->view, owner);
    if (walk->fn)
        walk->fn(walk->userdata, &claim);
    return STEP_ON;
}

/* A word that cannot stand there: is it that the walk was overtaken? */
static enum step inspect_doubt(struct inspect_walk *walk, uint64_t word, _Atomic uint64_t *control)
{
    uint64_t consumed = atomic_load(&walk->header->consumed);

    if (consumed > walk->position && consumed <= walk->last.position) {
        walk->position = consumed;
        return STEP_OVERTAKEN;
    }
    if (consumed > walk->last.position) {
        walk->out->moving = true;
        return STEP_END;
    }
    if (atomic_load(control) != word)
        return STEP_OVERTAKEN;
    walk->out->note = "a control word that cannot be";
    walk->out->state = INSPECT_DAMAGED;
    return STEP_END;
}

static bool inspect_shape(const struct inspect_walk *walk, struct control control)
{
    uint64_t rest = walk->capacity - (walk->position & (walk->capacity - 1));

    return control.length > 0 && control.length <= claim_units_max(walk->capacity) &&
           control.length <= rest && walk->position + control.length <= walk->last.position &&
           arena_has_owner(walk->view->arena, control.owner) &&
           (control.state != CONTROL_PADDING || control.length == rest);
}

static enum step inspect_step(struct inspect_walk *walk)
{
    const struct arena *arena = walk->view->arena;
    _Atomic uint64_t *word = &arena_record(arena, walk->out->ring, walk->position)->control;
    uint64_t raw = atomic_load(word);
    struct control control = control_unpack(raw);
    uint32_t lap = arena_lap(arena, walk->out->ring, walk->position, walk->base_lap);

    if (raw == control_free(lap) && walk->last.owner != RING_OWNER_CLOSED &&
        walk->last.length > 0 && walk->last.length <= claim_units_max(walk->capacity) &&
        walk->position + walk->last.length == walk->last.position)
        return inspect_in_flight(walk, walk->last.owner, walk->last.length, false);
    if (control.lap != lap || control.state == CONTROL_FREE || control.state > CONTROL_DISCARDED ||
        !inspect_shape(walk, control))
        return inspect_doubt(walk, raw, word);
    if (control.state == CONTROL_BUSY)
        return inspect_in_flight(walk, control.owner, control.length, true);
    if (control.state == CONTROL_COMMITTED)
        walk->out->committed++;
    else
        walk->out->skipped++;
    walk->position += control.length;
    return STEP_ON;
}

static void inspect_claims(struct inspect_walk *walk)
{
    enum step step = STEP_ON;

    walk->position = walk->out->consumed;
    for (int overtaken = 0; walk->position < walk->last.position && step != STEP_END;) {
        step = inspect_step(walk);
        if (step == STEP_OVERTAKEN && ++overtaken == INSPECT_TRIES)
            step = STEP_END;
        walk->out->moving |= step == STEP_OVERTAKEN || overtaken == INSPECT_TRIES;
    }
}

int inspect_ring(struct inspect_ring *ret_ring, const struct inspect *view, uint32_t ring,
    inspect_claim_fn fn, void *userdata)
{
    struct arena *arena = view->arena;
    struct directory_entry *entry;
    struct inspect_walk walk;
    enum entry_state state;
    uint64_t word;

    if (ring >= arena->rings)
        return 0;
    entry = arena_entry(arena, arena_entry_of(arena, ring));
    word = atomic_load(&entry->word);
    state = entry_state_of(word);
    /* An entry TAKEN has no user yet. Headers of rings not in use may have no memory: hands off. */
    if (state == ENTRY_FREE || state == ENTRY_TAKEN || !arena_is_in_use(arena, ring))
        return 0;
    *ret_ring = (struct inspect_ring){
        .ring = ring,
        .class_number = ring / arena->geometry.user_count,
        .capacity_bytes = arena_capacity(arena, ring) * RING_UNIT,
        .generation = entry_generation_of(word),
        .marked = atomic_load(&arena->bits[ring / 64]) >> ring % 64 & 1,
    };
    walk = (struct inspect_walk){.view = view,
        .out = ret_ring,
        .header = arena_ring_header(arena, ring),
        .capacity = arena_capacity(arena, ring),
        .fn = fn,
        .userdata = userdata};
    (void)inspect_spilled(&ret_ring->spilled_bytes, arena, ring);
    ret_ring->note = inspect_positions(&walk);
    if (!ret_ring->note)
        ret_ring->note = inspect_user(ret_ring, entry);
    ret_ring->state = state > ENTRY_RETIRING ? INSPECT_DAMAGED : inspect_state(state, walk.last);
    if (ret_ring->note)
        ret_ring->state =
            ret_ring->state == INSPECT_QUARANTINED ? INSPECT_QUARANTINED : INSPECT_DAMAGED;
    else if (ret_ring->state != INSPECT_QUARANTINED && ret_ring->state != INSPECT_DAMAGED)
        inspect_claims(&walk);
    return 1;
}
