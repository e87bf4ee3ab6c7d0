/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a claim's control word within one lap:
 *
 *   FREE ──help──> BUSY ──commit──> COMMITTED
 *     └───commit, abandon, padding, owner dead──> COMMITTED | DISCARDED | PADDING
 *
 * Every step is a CAS from FREE of this lap or from BUSY of this owner and lap, so a late helper, a
 * fenced writer or a resolver that is not needed any more changes nothing. Partner of every CAS
 * here is the load in reader_examine and every other CAS here; the stamp that made the word FREE
 * came before `freed`, which the claimer has seen passed.
 */
#include "ring/claim.h"

#include <errno.h>

#include "ring/steps.h"

/*
 * A helper that was held up may look at a word that lies within a later lap's payload by now, which
 * its owner writes without atomics. What it reads there is compared with the FREE of its own lap,
 * and is none: so the race is meant, and the sanitizer is told not to look.
 */
__attribute__((no_sanitize("thread"))) void claim_help(
    const struct arena *arena, uint32_t ring, uint64_t base_lap, struct tail last)
{
    uint64_t begin = last.position - last.length, expected;
    uint32_t lap = arena_lap(arena, ring, begin, base_lap);
    _Atomic uint64_t *control;

    if (last.length == 0)
        return;
    control = &arena_record(arena, ring, begin)->control;
    expected = control_free(lap);
    if (atomic_load_explicit(control, memory_order_acquire) == expected)
        atomic_compare_exchange_strong(
            control, &expected, control_pack(CONTROL_BUSY, last.owner, last.length, lap));
}

int claim_settle(
    const struct arena *arena, const struct claim_place *place, enum control_state state)
{
    uint32_t lap = arena_lap(arena, place->ring, place->begin, place->base_lap);
    _Atomic uint64_t *control = &arena_record(arena, place->ring, place->begin)->control;
    uint64_t busy = control_pack(CONTROL_BUSY, place->owner, place->length, lap);
    uint64_t settled = control_pack(state, place->owner, place->length, lap);
    uint64_t expected = control_free(lap);

    /* Sequentially consistent: the doorbell's loads must not come before it. */
    if (atomic_compare_exchange_strong(control, &expected, settled))
        return 0;
    /* A helper was faster; BUSY is left only by its owner or because its owner is dead. */
    if (expected == busy && atomic_compare_exchange_strong(control, &expected, settled))
        return 0;
    return -EOWNERDEAD;
}

static bool claim_discard_at(
    const struct arena *arena, const struct claim_place *place, uint64_t expected)
{
    uint32_t lap = arena_lap(arena, place->ring, place->begin, place->base_lap);

    return atomic_compare_exchange_strong(&arena_record(arena, place->ring, place->begin)->control,
        &expected, control_pack(CONTROL_DISCARDED, place->owner, place->length, lap));
}

/* Walks the records in [place->begin, end) up to the first that has no header. */
static uint32_t claim_discard_busy(
    const struct arena *arena, struct claim_place *place, uint64_t end)
{
    while (place->begin < end) {
        _Atomic uint64_t *word = &arena_record(arena, place->ring, place->begin)->control;
        uint64_t raw = atomic_load_explicit(word, memory_order_acquire);
        struct control control = control_unpack(raw);

        if (control.state == CONTROL_FREE || control.length == 0 ||
            control.lap != arena_lap(arena, place->ring, place->begin, place->base_lap))
            return 0;
        place->length = control.length;
        if (control.state == CONTROL_BUSY && control.owner == place->owner)
            return claim_discard_at(arena, place, raw);
        place->begin += control.length;
    }
    return 0;
}

uint32_t claim_discard_of(const struct arena *arena, uint32_t ring, uint32_t owner)
{
    struct ring_header *header = arena_ring_header(arena, ring);
    /* The dead claim no more: whatever it claimed lies before the tail loaded here. */
    struct tail last = tail_unpack(atomic_load(&header->tail));
    uint64_t consumed = atomic_load(&header->consumed);
    struct claim_place place = {
        .ring = ring,
        .owner = owner,
        .length = last.length,
        .base_lap = atomic_load(&header->base_lap),
        .begin = last.position - last.length,
    };

    if (consumed > last.position || last.position - consumed > arena_capacity(arena, ring))
        return 0; /* damaged: the reader will say so */
    /* First the claim only the tail names: if a helper is faster, the walk finds it BUSY. */
    if (last.owner == owner && last.length > 0 && place.begin >= consumed &&
        claim_discard_at(
            arena, &place, control_free(arena_lap(arena, ring, place.begin, place.base_lap))))
        return 1;
    place.begin = consumed;
    return claim_discard_busy(arena, &place, last.position);
}
