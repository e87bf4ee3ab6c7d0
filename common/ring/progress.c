/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/progress.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ring/spill.h"
#include "ring/writer-internal.h"

static int64_t progress_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static long progress_futex(
    _Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
    return syscall(SYS_futex, (void *)word, operation, value, timeout, NULL, 0);
}

static void progress_sleep(struct arena *arena, uint32_t seen, int64_t ms)
{
    if (ms > PROGRESS_SLICE_MS)
        ms = PROGRESS_SLICE_MS;
    struct timespec timeout = {.tv_sec = 0, .tv_nsec = (long)ms * 1000000};

    /* Woken, changed, interrupted or timed out: the caller looks again in any case. */
    (void)progress_futex(&arena->shared->progress, FUTEX_WAIT, seen, &timeout);
}

int progress_wait(struct arena *arena, progress_fn fn, void *userdata, int timeout_ms)
{
    int64_t deadline = progress_now_ms() + timeout_ms;

    for (;;) {
        uint32_t seen = atomic_load(&arena->shared->progress);
        int64_t left = timeout_ms < 0 ? PROGRESS_SLICE_MS : deadline - progress_now_ms();
        int r;

        atomic_store(&arena->shared->progress_wanted, 1);
        r = fn(userdata);
        if (r)
            return r < 0 ? r : 0;
        if (left <= 0)
            return -ETIMEDOUT;
        progress_sleep(arena, seen, left);
    }
}

void progress_notify(struct arena *arena)
{
    if (!atomic_load(&arena->shared->progress_wanted) ||
        !atomic_exchange(&arena->shared->progress_wanted, 0))
        return;
    atomic_fetch_add(&arena->shared->progress, 1);
    progress_futex(&arena->shared->progress, FUTEX_WAKE, INT_MAX, NULL);
}

struct space_wait {
    struct ring_writer *writer;
    const struct ring_lease *lease;
    uint32_t payload_length;
};

static int space_is_there(void *userdata)
{
    struct space_wait *wait = userdata;
    const struct arena *arena = wait->writer->arena;
    struct writer_plan plan;
    int r;

    writer_enter(wait->writer, wait->lease->ring);
    r = writer_plan(
        &plan, wait->writer, wait->lease, writer_units(wait->writer, wait->payload_length));
    /* What is denied now may be granted later; and what is too long for this ring never fits it. */
    if (r == -EAGAIN)
        r = writer_grow(wait->writer, wait->lease);
    if (r == 0 && writer_spills(wait->writer, wait->payload_length))
        r = spill_check(arena, arena_entry_of(arena, wait->lease->ring), wait->payload_length);
    writer_leave(wait->writer);
    if (r == -EAGAIN)
        return 0;
    return r < 0 && r != -EINPROGRESS ? r : 1;
}

int ring_wait_space(struct ring_writer *writer, const struct ring_lease *lease,
    uint32_t payload_length, int timeout_ms)
{
    struct space_wait wait = {writer, lease, payload_length};
    int r = writer_admit(writer, lease, payload_length);

    return r < 0 ? r : progress_wait(writer->arena, space_is_there, &wait, timeout_ms);
}

struct place_wait {
    const struct arena *arena;
    const struct ring_place *place;
    enum ring_position_kind kind;
};

static const _Atomic uint64_t *position_word(
    const struct arena *arena, uint32_t ring, enum ring_position_kind kind)
{
    const struct ring_header *header = arena_ring_header(arena, ring);

    switch (kind) {
    case RING_DURABLE: return &header->durable;
    case RING_DELIVERED: return &header->delivered;
    case RING_SEQUENCED: break;
    }
    return &header->consumed;
}

/* A ring is taken back only when it was drained and synced, but perhaps not delivered; and what is
 * delivered of its next user says nothing of this one. */
static bool place_is_gone(const struct arena *arena, const struct ring_place *place)
{
    const struct directory_entry *entry = arena_entry(arena, arena_entry_of(arena, place->ring));

    /* Partner: the store in reclaim_finish. Looked at after the position. */
    return entry_generation_of(atomic_load(&entry->word)) != place->generation;
}

int ring_place_reached(
    const struct arena *arena, const struct ring_place *place, enum ring_position_kind kind)
{
    uint64_t position;

    if (arena->forked)
        return -ECHILD;
    if (place->ring >= arena->rings)
        return -EINVAL;
    /* Partners: reader_give_back, ring_reader_set_durable, ring_reader_set_delivered. */
    position = atomic_load(position_word(arena, place->ring, kind));
    if (kind == RING_DELIVERED && place_is_gone(arena, place))
        return -ESTALE;
    return position >= place->position;
}

static int place_is_reached(void *userdata)
{
    const struct place_wait *wait = userdata;

    return ring_place_reached(wait->arena, wait->place, wait->kind);
}

int ring_wait_place(struct arena *arena, const struct ring_place *place,
    enum ring_position_kind kind, int timeout_ms)
{
    struct place_wait wait = {arena, place, kind};
    /* Long past, as a rule: then nobody has to be told. */
    int r = ring_place_reached(arena, place, kind);

    if (r != 0)
        return r < 0 ? r : 0;
    return progress_wait(arena, place_is_reached, &wait, timeout_ms);
}

int ring_wait_position(struct arena *arena, uint32_t ring, uint64_t position,
    enum ring_position_kind kind, int timeout_ms)
{
    struct ring_place place = {.ring = ring, .position = position};

    if (!arena->forked && ring < arena->rings)
        place.generation = entry_generation_of(
            atomic_load(&arena_entry(arena, arena_entry_of(arena, ring))->word));
    return ring_wait_place(arena, &place, kind, timeout_ms);
}

uint64_t ring_unwatched_since(const struct arena *arena, const struct ring_lease *lease)
{
    struct ring_place place = {.ring = lease->ring, .generation = lease->generation};
    uint64_t since;

    if (arena->forked || lease->ring >= arena->rings)
        return 0;
    /* Partner: ring_reader_set_unwatched. */
    since = atomic_load(&arena_entry(arena, arena_entry_of(arena, lease->ring))->unwatched_since);
    return place_is_gone(arena, &place) ? 0 : since;
}
