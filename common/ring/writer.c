/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emit, step by step, and why in this order.
 *
 *   1. name the ring in the slot. From here on the ring cannot be given to another user, and if
 * this thread dies the reaper knows where to look for a claim or an unrung bell.
 *   2. load the tail; closed: stale. THEN check the generation: a ring is closed before its
 *      generation changes, so an open tail seen after step 1 followed by the lease's generation
 *      means this ring stays this user's until the slot lets go of it.
 *   3. give the last claim its header if its claimer has not come to it. So at most one record has
 *      no header at any time, and the tail names it.
 *   4. room? If not, the ring is closed in favour of a larger one, when that is granted; else it is
 *      full. `free_seen` saves the reader's cache line; it is never ahead of `freed`.
 *   5. CAS the tail. What is left before the wrap is claimed first, as padding, in its own right.
 *   6. fill, CAS the control word to COMMITTED, ring, let go of the slot's word.
 */

#include "ring/writer.h"

#include <errno.h>
#include <string.h>

#include "ring/claim.h"
#include "ring/directory-internal.h"
#include "ring/doorbell.h"
#include "ring/process.h"
#include "ring/share.h"
#include "ring/spill.h"
#include "ring/steps.h"
#include "ring/successor.h"
#include "ring/writer-internal.h"

static bool writer_take_slot(struct ring_writer *writer, uint32_t owner, uint64_t holder)
{
    struct arena_slot *slot = arena_slot_of(writer->arena, owner);
    uint64_t expected = 0;

    /* Partner: the store in process_reap or ring_writer_deinit that freed it, after everything the
     * owner before had done under this id. */
    if (atomic_load(&slot->holder) ||
        !atomic_compare_exchange_strong(&slot->holder, &expected, holder))
        return false;
    writer->slot = slot;
    writer->owner = owner;
    writer->holder = holder;
    return true;
}

/* A slot taken while the process was being fenced may have been missed by that. */
static int writer_refuse_fenced(struct ring_writer *writer)
{
    /* Partner: the store in process_fence, before it looks at the slots. */
    if (!process_is_fenced(writer->arena))
        return 0;
    ring_writer_deinit(writer);
    return -EOWNERDEAD;
}

int ring_writer_init(struct ring_writer *writer, struct arena *arena)
{
    uint32_t count = arena->geometry.slot_count;
    uint64_t holder = holder_pack(origin_pack(arena->incarnation, arena->process_index));

    *writer = (struct ring_writer){.arena = arena};
    if (arena->forked)
        return -ECHILD;
    /* Processes begin at different places, so that they do not meet. */
    for (uint32_t i = 0; i < count; i++) {
        if (writer_take_slot(writer, 1 + (arena->process_index * 8 + i) % count, holder)) {
            atomic_fetch_add(&arena->writers, 1);
            return writer_refuse_fenced(writer);
        }
    }
    return -EUSERS;
}

uint32_t ring_writer_owner(const struct ring_writer *writer)
{
    return writer->owner;
}

/* Rings for the commits of a batch so far. */
static void writer_pay(struct ring_writer *writer)
{
    if (!writer->owed)
        return;
    doorbell_ring(writer->arena, writer->owed - 1);
    writer->owed = 0;
}

void writer_enter(struct ring_writer *writer, uint32_t ring)
{
    if (writer->owed != ring + 1)
        writer_pay(writer);
    /* Sequentially consistent. Partners: the closing of a tail, followed by a look at the slots;
     * and process_reap, which reads it once this process is dead. */
    atomic_store(&writer->slot->current_ring, ring + 1);
    RING_STEP(current_ring_set);
}

void writer_leave(struct ring_writer *writer)
{
    /* The word stands for the bell that is owed, should this thread die. */
    if (writer->owed)
        return;
    atomic_store_explicit(&writer->slot->current_ring, 0, memory_order_release);
}

static int writer_check_lease(
    const struct ring_writer *writer, const struct ring_lease *lease, uint64_t tail)
{
    struct directory_entry *entry =
        arena_entry(writer->arena, arena_entry_of(writer->arena, lease->ring));
    uint64_t word;

    if (atomic_load_explicit(&writer->slot->holder, memory_order_acquire) != writer->holder)
        return -EOWNERDEAD;
    if (tail_unpack(tail).owner == RING_OWNER_CLOSED)
        return -ESTALE;
    /* After the tail, never before: the tail was loaded by the caller. Partner: directory_complete,
     * and directory_retire by whoever gives the ring to another user. Sequentially consistent for
     * a ring that is damaged: its tail is not closed before the slots are looked at. */
    word = atomic_load(&entry->word);
    if (word == entry_pack(ENTRY_QUARANTINED, 0, lease->generation))
        return -EUCLEAN;
    if (word != entry_pack(ENTRY_READY, 0, lease->generation) ||
        atomic_load_explicit(&entry->user_tag, memory_order_acquire) != lease->user_tag)
        return -ESTALE;
    return 0;
}

/* A tail loaded long ago may lie before what was freed since: no reason to call the ring full, the
 * CAS of the tail will fail. */
static bool writer_is_within(uint64_t end, uint64_t freed, uint64_t capacity)
{
    return end <= freed || end - freed <= capacity;
}

static bool writer_fits(const struct arena *arena, uint32_t ring, uint64_t end)
{
    struct ring_header *header = arena_ring_header(arena, ring);
    uint64_t capacity = arena_capacity(arena, ring), freed;

    /* Partner: the store below, by another writer that had seen `freed` there. */
    if (writer_is_within(
            end, atomic_load_explicit(&header->free_seen, memory_order_acquire), capacity))
        return true;
    /* Partner: the store in reader_give_back, after the stamps. Sequentially consistent for
     * ring_wait_space: store `progress_wanted`, load `freed`. */
    freed = atomic_load(&header->freed);
    atomic_store_explicit(&header->free_seen, freed, memory_order_release);
    return writer_is_within(end, freed, capacity);
}

int writer_plan(struct writer_plan *ret_plan, const struct ring_writer *writer,
    const struct ring_lease *lease, uint32_t length)
{
    struct ring_header *header = arena_ring_header(writer->arena, lease->ring);
    /* Sequentially consistent: not before the slot's word is out. */
    uint64_t word = atomic_load(&header->tail), rest;
    struct writer_plan plan = {.tail = word, .last = tail_unpack(word), .length = length};
    int r = writer_check_lease(writer, lease, word);

    if (r < 0)
        return r;
    if (length > claim_units_max(arena_capacity(writer->arena, lease->ring)))
        return -EAGAIN; /* fits only a larger one */
    plan.base_lap = atomic_load_explicit(&header->base_lap, memory_order_relaxed);
    rest = arena_lap_rest(writer->arena, lease->ring, plan.last.position);
    if (rest < length) {
        plan.padding = true;
        plan.length = (uint32_t)rest;
        length += (uint32_t)rest; /* both must fit, or the padding is for nothing */
    }
    if (plan.last.position + length >= RING_POSITION_END)
        return -EOVERFLOW;
    if (!writer_fits(writer->arena, lease->ring, plan.last.position + length))
        return -EAGAIN;
    *ret_plan = plan;
    return 0;
}

/* Claims what was planned. False: another claim came first. */
static bool writer_claim(
    struct ring_writer *writer, const struct ring_lease *lease, const struct writer_plan *plan)
{
    struct ring_header *header = arena_ring_header(writer->arena, lease->ring);
    uint64_t expected = plan->tail;

    /* A thread's own last claim was settled before it comes here. */
    if (plan->last.owner != writer->owner)
        claim_help(writer->arena, lease->ring, plan->base_lap, plan->last);
    /* Partner: the load in writer_plan of the next claimer, which then sees the header given above,
     * and those of the reader. */
    return atomic_compare_exchange_strong(&header->tail, &expected,
        tail_pack(plan->last.position + plan->length, plan->length, writer->owner));
}

int writer_grow(struct ring_writer *writer, const struct ring_lease *lease)
{
    struct arena *arena = writer->arena;
    struct ring_header *header = arena_ring_header(arena, lease->ring);
    uint32_t entry = arena_entry_of(arena, lease->ring);
    uint32_t successor = lease->ring + arena->geometry.user_count;
    uint64_t word = atomic_load(&header->tail);
    struct tail last = tail_unpack(word);

    if (!arena_has_successor(arena, lease->ring))
        return -EAGAIN;
    if (last.owner == RING_OWNER_CLOSED)
        return -ESTALE;
    /* Memory first: once the tail is closed, everybody goes on in the successor. */
    if (share_grant(arena, share_held_rings(arena, entry) + spill_held(arena, entry),
            arena_capacity(arena, successor) * RING_UNIT) < 0 ||
        arena_allocate_ring(arena, successor) < 0)
        return -EAGAIN;
    RING_STEP(successor_allocated);
    /* The closed tail names no claim any more, so the last one gets its header, as for a claim. */
    claim_help(arena, lease->ring, atomic_load(&header->base_lap), last);
    /* Partner: arena_newest_ring, and the reader, who then takes up the successor. */
    if (!atomic_compare_exchange_strong(
            &header->tail, &word, tail_close(last.position, CLOSED_GROWN)))
        return -EINPROGRESS;
    RING_STEP(tail_closed);
    return -ESTALE;
}

static int writer_claim_room(struct claim_place *ret_place, struct ring_writer *writer,
    const struct ring_lease *lease, uint32_t length)
{
    struct writer_plan plan;

    for (;;) {
        int r = writer_plan(&plan, writer, lease, length);

        if (r == -EAGAIN)
            r = writer_grow(writer, lease);
        if (r == -EINPROGRESS)
            continue;
        if (r < 0)
            return r;
        if (!writer_claim(writer, lease, &plan))
            continue;
        struct claim_place place = {
            .ring = lease->ring,
            .owner = writer->owner,
            .length = plan.length,
            .base_lap = plan.base_lap,
            .begin = plan.last.position,
        };
        if (!plan.padding) {
            *ret_place = place;
            return 0;
        }
        RING_STEP(padding_claimed);
        r = claim_settle(writer->arena, &place, CONTROL_PADDING);
        if (r < 0)
            return r;
        RING_STEP(padding_settled);
        /* The reader may have stopped before the padding, with others' records behind it whose bell
         * is spent; and the record may not fit any more, so that no commit follows. */
        doorbell_ring(writer->arena, lease->ring);
    }
}

/* Returns where the payload goes. */
static void *writer_fill_header(const struct ring_writer *writer, const struct claim_place *place,
    const struct ring_lease *lease, uint32_t payload_length)
{
    struct record_header *record = arena_record(writer->arena, place->ring, place->begin);

    /* Plain: published by the CAS to COMMITTED. */
    record->payload_length = (uint16_t)payload_length;
    record->type = RECORD_BYTES;
    record->origin = origin_pack(writer->arena->incarnation, writer->arena->process_index);
    record->user_tag = lease->user_tag;
    return record + 1;
}

bool writer_spills(const struct ring_writer *writer, uint32_t payload_length)
{
    return payload_length > arena_payload_max(writer->arena);
}

uint32_t writer_units(const struct ring_writer *writer, uint32_t payload_length)
{
    return record_units(writer_spills(writer, payload_length)
                            ? (uint32_t)sizeof(struct spill_reference)
                            : payload_length);
}

int writer_admit(
    const struct ring_writer *writer, const struct ring_lease *lease, uint32_t payload_length)
{
    if (writer->arena->forked)
        return -ECHILD;
    if (writer->claim_open)
        return -EBUSY;
    if (payload_length > arena_spill_max(writer->arena))
        return -EMSGSIZE;
    return lease->ring < writer->arena->rings ? 0 : -ESTALE;
}

/* The same for a spilled payload: the record carries the reference. */
static void *writer_fill_reference(const struct ring_writer *writer,
    const struct claim_place *place, const struct ring_lease *lease,
    const struct spill_reference *reference)
{
    struct record_header *record = arena_record(writer->arena, place->ring, place->begin);

    memcpy(
        writer_fill_header(writer, place, lease, sizeof *reference), reference, sizeof *reference);
    record->type = RECORD_SPILLED;
    spill_name(
        writer->arena, reference, place->ring, lease->generation, place->begin + place->length);
    RING_STEP(spill_named);
    return spill_data(writer->arena, reference->place);
}

/* Takes what the payload needs outside the ring, then room in it. */
static int writer_take_room(struct claim_place *ret_place, struct spill_reference *ret_spill,
    struct ring_writer *writer, const struct ring_lease *lease, uint32_t payload_length)
{
    struct spill_reference spill = {0};
    int r;

    if (writer_spills(writer, payload_length)) {
        r = spill_take(&spill, writer->arena, writer->owner,
            arena_entry_of(writer->arena, lease->ring), payload_length);
        if (r < 0)
            return r;
    }
    r = writer_claim_room(ret_place, writer, lease, writer_units(writer, payload_length));
    if (r < 0 && spill.word)
        spill_free(writer->arena, spill.place, spill.word);
    *ret_spill = spill;
    return r;
}

int ring_reserve(struct ring_claim *ret_claim, struct ring_writer *writer,
    const struct ring_lease *lease, uint32_t payload_length)
{
    struct spill_reference spill;
    struct claim_place place;
    int r = writer_admit(writer, lease, payload_length);

    if (r < 0)
        return r;
    writer_enter(writer, lease->ring);
    r = writer_take_room(&place, &spill, writer, lease, payload_length);
    if (r < 0) {
        writer_pay(writer); /* who now waits for room must not be waited for */
        writer_leave(writer);
        return r;
    }
    RING_STEP(tail_claimed);
    writer->place = place;
    writer->spill = spill.place;
    writer->spill_word = spill.word;
    writer->claim_open = 1;
    *ret_claim = (struct ring_claim){
        .payload = spill.word ? writer_fill_reference(writer, &place, lease, &spill)
                              : writer_fill_header(writer, &place, lease, payload_length),
        .payload_length = payload_length,
        .ring = place.ring,
        .begin = place.begin,
        .end = place.begin + place.length,
    };
    return 0;
}

/* An end for the open claim: what it becomes, and news for the reader. */
static int writer_settle(struct ring_writer *writer, enum control_state state)
{
    int r = claim_settle(writer->arena, &writer->place, state);

    RING_STEP(committed);
    if (r == 0 && state == CONTROL_DISCARDED && writer->spill_word)
        spill_free(writer->arena, writer->spill, writer->spill_word);
    if (r == 0 && writer->batch)
        writer->owed = writer->place.ring + 1;
    else if (r == 0)
        doorbell_ring(writer->arena, writer->place.ring);
    writer_leave(writer);
    writer->claim_open = 0;
    return r;
}

static bool writer_has(const struct ring_writer *writer, const struct ring_claim *claim)
{
    return writer->claim_open && claim->ring == writer->place.ring &&
           claim->begin == writer->place.begin;
}

static bool writer_is_fenced(const struct ring_writer *writer)
{
    return atomic_load(&writer->slot->holder) != writer->holder;
}

int ring_commit(struct ring_writer *writer, const struct ring_claim *claim)
{
    int r;

    if (writer->arena->forked)
        return -ECHILD;
    if (!writer_has(writer, claim))
        return -EINVAL;
    RING_STEP(payload_written);
    /* Partner of both looks: process_fence. Before, so that one who wakes up publishes nothing.
     * After, so that a record whose writer is told success lies before what the owner then reads as
     * the tail; fenced just between the two, it is delivered and called no success. */
    if (writer_is_fenced(writer)) {
        (void)writer_settle(writer, CONTROL_DISCARDED);
        return -EOWNERDEAD;
    }
    r = writer_settle(writer, CONTROL_COMMITTED);
    return r == 0 && writer_is_fenced(writer) ? -EOWNERDEAD : r;
}

void ring_abandon(struct ring_writer *writer, const struct ring_claim *claim)
{
    /* The bell rings as well: the reader may have stopped before this claim. */
    if (!writer->arena->forked && writer_has(writer, claim))
        (void)writer_settle(writer, CONTROL_DISCARDED);
}

int ring_emit(uint64_t *ret_end, struct ring_writer *writer, const struct ring_lease *lease,
    const struct iovec *iov, int iov_count)
{
    struct ring_claim claim;
    uint8_t *to;
    size_t length = 0;
    int r;

    for (int i = 0; i < iov_count; i++) {
        if (iov[i].iov_len > UINT32_MAX - length)
            return -EMSGSIZE;
        length += iov[i].iov_len;
    }
    r = ring_reserve(&claim, writer, lease, (uint32_t)length);
    if (r < 0)
        return r;
    to = claim.payload;
    for (int i = 0; i < iov_count; i++) {
        if (iov[i].iov_len == 0)
            continue;
        memcpy(to, iov[i].iov_base, iov[i].iov_len);
        to += iov[i].iov_len;
    }
    r = ring_commit(writer, &claim);
    if (r == 0 && ret_end)
        *ret_end = claim.end;
    return r;
}

void ring_batch_begin(struct ring_writer *writer)
{
    writer->batch = true;
}

void ring_batch_ring(struct ring_writer *writer)
{
    if (!writer->owed || writer->arena->forked)
        return;
    writer_pay(writer);
    writer_leave(writer);
}

void ring_batch_end(struct ring_writer *writer)
{
    ring_batch_ring(writer);
    writer->batch = false;
}

int ring_lease_for_user(
    struct ring_lease *ret_lease, struct ring_writer *writer, const char *user_id, size_t length)
{
    struct directory_look look;
    int r;

    ring_batch_ring(writer);
    r = directory_obtain(&look, writer, user_id, length);
    if (r < 0)
        return r;
    if (look.quarantined)
        return -EUCLEAN;
    *ret_lease = (struct ring_lease){
        .generation = look.generation,
        .user_tag = user_tag(user_id, length),
        .ring = arena_newest_ring(writer->arena, look.entry),
    };
    return 0;
}

int ring_lease_renew(struct ring_lease *lease, const struct ring_writer *writer)
{
    const struct arena *arena = writer->arena;
    uint32_t ring, entry;
    uint64_t word;

    if (arena->forked)
        return -ECHILD;
    if (lease->ring >= arena->rings)
        return -ESTALE;
    entry = arena_entry_of(arena, lease->ring);
    ring = arena_newest_ring(arena, entry);
    word = atomic_load(&arena_entry(arena, entry)->word);
    if (word == entry_pack(ENTRY_QUARANTINED, 0, lease->generation))
        return -EUCLEAN;
    if (word != entry_pack(ENTRY_READY, 0, lease->generation) ||
        tail_is_closed(atomic_load(&arena_ring_header(arena, ring)->tail), CLOSED_RETIRED))
        return -ESTALE;
    lease->ring = ring;
    return 0;
}

void ring_writer_deinit(struct ring_writer *writer)
{
    if (!writer->slot || writer->arena->forked)
        return;
    if (writer->claim_open)
        (void)writer_settle(writer, CONTROL_DISCARDED);
    ring_batch_end(writer);
    /* Last, and only if it still is ours: a CAS, since a fenced writer's slot may be another's.
     * What cannot be given back is counted on, so that the entry is left to the reaper. */
    uint64_t holder = writer->holder;
    if (atomic_compare_exchange_strong(&writer->slot->holder, &holder, 0))
        atomic_fetch_sub(&writer->arena->writers, 1);
    writer->slot = NULL;
}
