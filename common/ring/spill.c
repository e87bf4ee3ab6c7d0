/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/spill.h"

#include <errno.h>

#include "ring/share.h"
#include "ring/steps.h"

#define PAGE 4096u

static struct spill_place *spill_at(const struct arena *arena, uint32_t place)
{
    return (struct spill_place *)(void *)(arena->base + arena->geometry.spills_offset) + place;
}

void *spill_data(const struct arena *arena, uint32_t place)
{
    return arena->base + arena->geometry.spill_data_offset +
           (uint64_t)place * arena->geometry.spill_bytes;
}

static uint32_t spill_pages(uint32_t length)
{
    return (length + PAGE - 1) / PAGE;
}

/* What stands in the words. */
struct spill_sum {
    uint64_t held_bytes; /* by the entry */
    uint32_t held;
    uint32_t free;
    uint32_t first_free;
};

static void spill_count(struct spill_sum *ret_sum, const struct arena *arena, uint32_t entry)
{
    struct spill_sum sum = {0};

    for (uint32_t i = arena->geometry.spill_count; i-- > 0;) {
        uint64_t word = atomic_load(&spill_at(arena, i)->word);

        if (spill_state_of(word) == SPILL_FREE) {
            sum.free++;
            sum.first_free = i;
        } else if (spill_entry_of(word) == entry) {
            sum.held++;
            sum.held_bytes += (uint64_t)spill_pages_of(word) * PAGE;
        }
    }
    *ret_sum = sum;
}

uint64_t spill_held(const struct arena *arena, uint32_t entry)
{
    struct spill_sum sum;

    spill_count(&sum, arena, entry);
    return sum.held_bytes;
}

static int spill_grant(
    const struct arena *arena, const struct spill_sum *sum, uint32_t entry, uint32_t length)
{
    uint64_t bytes = (uint64_t)spill_pages(length) * PAGE;
    int r = share_check(sum->held, 1, sum->free);

    if (r == 0)
        r = share_grant(arena, share_held_rings(arena, entry) + sum->held_bytes, bytes);
    /* What is held will be given back. */
    return r < 0 && sum->held > 0 ? -EAGAIN : r;
}

int spill_check(const struct arena *arena, uint32_t entry, uint32_t length)
{
    struct spill_sum sum;

    spill_count(&sum, arena, entry);
    return spill_grant(arena, &sum, entry, length);
}

static uint64_t spill_version_after(uint64_t word)
{
    return spill_pack(SPILL_FREE, 0, 0, 0, (uint32_t)word + 1);
}

/* Nobody else touches a place that is FREEING. */
static void spill_finish(const struct arena *arena, uint32_t place, uint64_t word)
{
    struct spill_place *p = spill_at(arena, place);

    RING_STEP(spill_freeing);
    atomic_store(&p->end, 0);
    if (arena_punch(arena,
            arena->geometry.spill_data_offset + (uint64_t)place * arena->geometry.spill_bytes,
            (uint64_t)spill_pages_of(word) * PAGE) < 0)
        return; /* the reader tries again */
    RING_STEP(spill_punched);
    /* Partner: the CAS in spill_take. */
    atomic_store(&p->word, spill_version_after(word));
}

/* `owner`: who does it, 0 for the reader. */
static void spill_free_as(const struct arena *arena, uint32_t place, uint64_t word, uint32_t owner)
{
    uint64_t freeing = spill_pack(
        SPILL_FREEING, owner, spill_pages_of(word), spill_entry_of(word), (uint32_t)word);

    /* Whoever wins frees. */
    if (atomic_compare_exchange_strong(&spill_at(arena, place)->word, &word, freeing))
        spill_finish(arena, place, freeing);
}

void spill_free(const struct arena *arena, uint32_t place, uint64_t word)
{
    spill_free_as(arena, place, word, spill_owner_of(word));
}

int spill_take(struct spill_reference *ret_reference, const struct arena *arena, uint32_t owner,
    uint32_t entry, uint32_t length)
{
    uint64_t begin, bytes = (uint64_t)spill_pages(length) * PAGE, free, word;
    struct spill_sum sum;
    int r;

    do {
        spill_count(&sum, arena, entry);
        r = spill_grant(arena, &sum, entry, length);
        if (r < 0)
            return r;
        free = atomic_load(&spill_at(arena, sum.first_free)->word);
        word = spill_pack(SPILL_TAKEN, owner, spill_pages(length), entry, (uint32_t)free);
    } while (spill_state_of(free) != SPILL_FREE ||
             /* Partner: the store in spill_finish, after the memory was punched. */
             !atomic_compare_exchange_strong(&spill_at(arena, sum.first_free)->word, &free, word));
    RING_STEP(spill_taken);
    begin =
        arena->geometry.spill_data_offset + (uint64_t)sum.first_free * arena->geometry.spill_bytes;
    r = arena_allocate(arena, begin, bytes);
    if (r < 0) {
        spill_free(arena, sum.first_free, word);
        return sum.held > 0 ? -EAGAIN : r;
    }
    *ret_reference = (struct spill_reference){word, sum.first_free, length};
    return 0;
}

void spill_name(const struct arena *arena, const struct spill_reference *reference, uint32_t ring,
    uint64_t generation, uint64_t end)
{
    struct spill_place *p = spill_at(arena, reference->place);

    atomic_store(&p->ring, ring);
    atomic_store(&p->generation, generation);
    /* Last. Partner: spill_is_needed. */
    atomic_store(&p->end, end);
}

bool spill_is_sound(
    const struct arena *arena, const struct spill_reference *reference, uint32_t entry)
{
    return reference->place < arena->geometry.spill_count &&
           spill_state_of(reference->word) == SPILL_TAKEN &&
           spill_entry_of(reference->word) == entry && reference->length > 0 &&
           reference->length <= arena->geometry.spill_bytes &&
           spill_pages(reference->length) <= spill_pages_of(reference->word) &&
           atomic_load(&spill_at(arena, reference->place)->word) == reference->word;
}

void spill_resolve(const struct arena *arena, uint32_t owner)
{
    for (uint32_t i = 0; i < arena->geometry.spill_count; i++) {
        struct spill_place *p = spill_at(arena, i);
        uint64_t word = atomic_load(&p->word);

        if (spill_owner_of(word) != owner)
            continue;
        if (spill_state_of(word) == SPILL_FREEING)
            spill_finish(arena, i, word);
        /* Named: the record decides, committed or discarded, when the reader has passed it. */
        else if (spill_state_of(word) == SPILL_TAKEN && atomic_load(&p->end) == 0)
            spill_free_as(arena, i, word, 0);
    }
}

bool spill_next(struct spill_look *ret_look, const struct arena *arena, uint32_t *cursor)
{
    while (*cursor < arena->geometry.spill_count) {
        uint32_t i = (*cursor)++;
        struct spill_place *p = spill_at(arena, i);
        uint64_t word = atomic_load(&p->word);

        if (spill_state_of(word) == SPILL_FREE)
            continue;
        *ret_look = (struct spill_look){
            .word = word,
            .place = i,
            /* Partner: spill_name. */
            .end = atomic_load(&p->end),
            .generation = atomic_load(&p->generation),
            .ring = atomic_load(&p->ring),
        };
        return true;
    }
    return false;
}

void spill_free_read(const struct arena *arena, const struct spill_look *look)
{
    /* What an owner before this one had begun to free. */
    if (spill_state_of(look->word) == SPILL_FREEING && spill_owner_of(look->word) == 0)
        spill_finish(arena, look->place, look->word);
    else if (spill_state_of(look->word) == SPILL_TAKEN)
        spill_free_as(arena, look->place, look->word, 0);
}
