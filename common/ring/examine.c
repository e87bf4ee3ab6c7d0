/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands at the reader's cursor. Every word is loaded once and then believed only as far as it
 * fits what must hold; addresses come from the cursor, never from what was loaded.
 *
 *   FREE       the tail is here: empty. Or the tail's last claim begins here: in flight, its header
 *              not yet written. Otherwise a header must have been given before the tail moved on
 *   BUSY       in flight
 *   in flight  whose owner id nobody holds: nobody can ever settle it, so it is discarded here.
 *              Claims of processes found dead were discarded before their ids were given up
 */
#include <errno.h>
#include <string.h>

#include "ring/reader-internal.h"
#include "ring/spill.h"

/* A word that keeps changing under the reader is no protocol's. */
#define EXAMINE_TRIES 8

enum verdict { VERDICT_NOTHING, VERDICT_SETTLED, VERDICT_AGAIN, VERDICT_DAMAGED };

struct examine {
    const struct arena *arena;
    struct reader_ring *state;
    _Atomic uint64_t *control;
    const char *damage;
    uint32_t ring;
    uint32_t lap;
};

static enum verdict examine_damaged(struct examine *x, const char *reason)
{
    x->damage = reason;
    return VERDICT_DAMAGED;
}

static enum verdict examine_in_flight(
    struct examine *x, uint64_t raw, uint32_t owner, uint32_t length)
{
    uint64_t discarded = control_pack(CONTROL_DISCARDED, owner, length, x->lap);

    if (!arena_has_owner(x->arena, owner))
        return examine_damaged(x, "a claim of an impossible owner");
    /* Partner: the stores that free a slot, after the claims under its id were settled. */
    if (atomic_load(&arena_slot_of(x->arena, owner)->holder) != 0)
        return VERDICT_NOTHING;
    atomic_compare_exchange_strong(x->control, &raw, discarded);
    return VERDICT_AGAIN;
}

/* Loads the tail, partner of the CAS in writer_claim. False: it cannot be. */
static bool examine_tail(struct tail *ret_tail, struct examine *x)
{
    *ret_tail = tail_unpack(atomic_load(&arena_ring_header(x->arena, x->ring)->tail));
    x->state->tail_seen = ret_tail->position;
    return ret_tail->position >= x->state->cursor &&
           ret_tail->position - x->state->freed <= arena_capacity(x->arena, x->ring);
}

static enum verdict examine_free(struct examine *x, uint64_t raw)
{
    struct tail tail;

    if (raw != control_free(x->lap))
        return examine_damaged(x, "a free unit with an owner");
    if (!examine_tail(&tail, x))
        return examine_damaged(x, "the tail is out of bounds");
    if (tail.position == x->state->cursor)
        return VERDICT_NOTHING;
    if (tail.position - tail.length == x->state->cursor && tail.owner != RING_OWNER_CLOSED)
        return examine_in_flight(x, raw, tail.owner, tail.length);
    /* The tail went on after the control word was loaded: the header came before that. */
    if (atomic_load(x->control) == raw)
        return examine_damaged(x, "a claim without a header before the last one");
    return VERDICT_AGAIN;
}

static const char *examine_shape(struct examine *x, struct control control)
{
    uint64_t rest = arena_lap_rest(x->arena, x->ring, x->state->cursor);
    struct tail tail;

    if (control.length == 0 ||
        control.length > claim_units_max(arena_capacity(x->arena, x->ring)) ||
        control.length > rest)
        return "a claim of impossible length";
    if (!arena_has_owner(x->arena, control.owner))
        return "a claim of an impossible owner";
    if (control.state == CONTROL_PADDING && control.length != rest)
        return "padding that does not end the lap";
    if (x->state->cursor + control.length > x->state->tail_seen &&
        (!examine_tail(&tail, x) || x->state->cursor + control.length > tail.position))
        return "a claim beyond the tail";
    return NULL;
}

static enum verdict examine_once(struct control *ret_control, struct examine *x)
{
    /* Partner: claim_settle and claim_help, and, for the bell, doorbell_ring after the commit. */
    uint64_t raw = atomic_load(x->control);

    *ret_control = control_unpack(raw);
    if (ret_control->lap != x->lap)
        return examine_damaged(x, "a control word of another lap");
    if (ret_control->state > CONTROL_DISCARDED)
        return examine_damaged(x, "an unknown state");
    if (ret_control->state == CONTROL_FREE)
        return examine_free(x, raw);
    x->damage = examine_shape(x, *ret_control);
    if (x->damage)
        return VERDICT_DAMAGED;
    if (ret_control->state == CONTROL_BUSY)
        return examine_in_flight(x, raw, ret_control->owner, ret_control->length);
    return VERDICT_SETTLED;
}

int reader_examine(struct control *ret_control, struct ring_reader *reader, uint32_t ring)
{
    struct reader_ring *state = &reader->rings[ring];
    struct examine x = {
        .arena = reader->arena,
        .state = state,
        .control = &arena_record(reader->arena, ring, state->cursor)->control,
        .ring = ring,
        .lap = arena_lap(reader->arena, ring, state->cursor, state->base_lap),
    };

    /* A whole lap handed out and not released: the unit at the cursor is still of the last lap. */
    if (state->cursor - state->freed >= arena_capacity(reader->arena, ring))
        return 0;
    for (int i = 0; i < EXAMINE_TRIES; i++) {
        switch (examine_once(ret_control, &x)) {
        case VERDICT_NOTHING: return 0;
        case VERDICT_SETTLED: return 1;
        case VERDICT_DAMAGED: return reader_quarantine(reader, ring, x.damage);
        case VERDICT_AGAIN: break;
        }
    }
    return reader_quarantine(reader, ring, "a control word that does not come to rest");
}

/* Replaces the reference by what it refers to. */
static int examine_spilled(struct ring_record *record, struct ring_reader *reader)
{
    struct spill_reference reference;

    if (record->payload_length != sizeof reference)
        return reader_quarantine(reader, record->ring, "a reference of impossible length");
    memcpy(&reference, record->payload, sizeof reference);
    if (!spill_is_sound(reader->arena, &reference, arena_entry_of(reader->arena, record->ring)))
        return reader_quarantine(reader, record->ring, "a reference to nothing");
    record->payload = spill_data(reader->arena, reference.place);
    record->payload_length = reference.length;
    reader->rings[record->ring].spilled = true;
    return 1;
}

int reader_load_record(struct ring_record *ret_record, struct ring_reader *reader, uint32_t ring,
    struct control control)
{
    struct reader_ring *state = &reader->rings[ring];
    const volatile struct record_header *record = arena_record(reader->arena, ring, state->cursor);
    uint32_t payload_length = record->payload_length, type = record->type;
    uint32_t origin = record->origin;
    uint64_t tag = record->user_tag;

    if (record_units(payload_length) != control.length)
        return reader_quarantine(reader, ring, "payload and claim differ in length");
    if (type != RECORD_BYTES && type != RECORD_SPILLED)
        return reader_quarantine(reader, ring, "an unknown type of record");
    if (tag != state->user_tag)
        return 0;
    *ret_record = (struct ring_record){
        .payload = arena_record(reader->arena, ring, state->cursor) + 1,
        .payload_length = payload_length,
        .ring = ring,
        .owner = control.owner,
        .process = origin_process(origin),
        .incarnation = origin_incarnation(origin),
        .user_tag = tag,
        .generation = state->generation,
        .begin = state->cursor,
        .end = state->cursor + control.length,
    };
    return type == RECORD_SPILLED ? examine_spilled(ret_record, reader) : 1;
}
