/* SPDX-License-Identifier: Apache-2.0 */
#include "arenas.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "ring/doorbell.h"

#define PORTION 256 /* records of a ring before the next ring's turn */

void bench_owner_up(
    struct bench_owner *ret_owner, const char *directory, uint32_t users, uint32_t ring_bytes)
{
    struct arena_options options = {
        .directory = directory,
        .ring_count = (users + users / 4 + 64) / 64 * 64,
        .ring_bytes = ring_bytes,
        .process_count = 16,
        .slot_count = 64,
    };

    bench_need(arena_create(&ret_owner->arena, &options), "arena_create");
    bench_need(ring_reader_new(&ret_owner->reader, ret_owner->arena), "ring_reader_new");
}

void bench_owner_down(struct bench_owner *owner)
{
    ring_reader_free(owner->reader);
    arena_unlink(owner->arena);
    arena_detach(owner->arena);
}

struct ring_lease bench_lease(struct ring_writer *writer, uint32_t user)
{
    struct ring_lease lease;
    char name[32];
    size_t length = (size_t)snprintf(name, sizeof name, "user-%u", (unsigned)user);

    bench_need(ring_lease_for_user(&lease, writer, name, length), "ring_lease_for_user");
    return lease;
}

int bench_put(
    struct ring_writer *writer, struct ring_lease *lease, const void *bytes, uint32_t length)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, length};
    int r;

    while ((r = ring_emit(NULL, writer, lease, &iov, 1)) == -ESTALE)
        bench_need(ring_lease_renew(lease, writer), "ring_lease_renew");
    if (r != -EAGAIN)
        bench_need(r, "ring_emit");
    return r;
}

struct drain {
    struct bench_owner *owner;
    bench_record_fn fn;
    void *userdata;
    size_t count;
};

static void drain_ring(void *userdata, uint32_t ring)
{
    struct drain *drain = userdata;
    struct ring_record record;
    uint64_t end = 0;
    int r = 0;

    for (int left = PORTION; left > 0; left--) {
        r = ring_reader_next(&record, drain->owner->reader, ring);
        if (r <= 0)
            break;
        drain->fn(drain->userdata, &record);
        drain->count++;
        end = record.end;
    }
    bench_need(r, "ring_reader_next");
    if (end > 0)
        bench_need(ring_reader_release(drain->owner->reader, ring, end), "ring_reader_release");
    if (r > 0)
        doorbell_mark(drain->owner->arena, ring);
}

size_t bench_drain(struct bench_owner *owner, bench_record_fn fn, void *userdata)
{
    struct drain drain = {owner, fn, userdata, 0};

    doorbell_take(owner->arena, drain_ring, &drain);
    return drain.count;
}
