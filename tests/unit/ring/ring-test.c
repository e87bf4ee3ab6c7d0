/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fixture_up_empty(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    snprintf(f->parent, sizeof f->parent, "%s/ringside-test-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(f->parent))
        return -1;
    f->ring_bytes = FIXTURE_RING_BYTES;
    snprintf(f->directory, sizeof f->directory, "%s/node", f->parent);
    *state = f;
    return 0;
}

void fixture_own(struct fixture *f)
{
    struct arena_options options = {
        .directory = f->directory,
        .ring_count = FIXTURE_RINGS,
        .ring_bytes = f->ring_bytes,
        .first_ring_bytes = FIXTURE_RING_BYTES,
        .spill_bytes = f->spill_bytes,
        .memory_bytes = f->memory_bytes,
        .process_count = 16,
        .slot_count = 32,
    };

    assert_int_equal(arena_create(&f->arena, &options), 0);
    assert_int_equal(ring_reader_new(&f->reader, f->arena), 0);
}

void fixture_disown(struct fixture *f)
{
    f->reader = ring_reader_free(f->reader);
    f->arena = arena_detach(f->arena);
}

int fixture_up(void **state)
{
    if (fixture_up_empty(state) < 0)
        return -1;
    fixture_own(*state);
    return 0;
}

int fixture_up_growing(void **state)
{
    struct fixture *f;

    if (fixture_up_empty(state) < 0)
        return -1;
    f = *state;
    f->ring_bytes = 16 * FIXTURE_RING_BYTES;
    fixture_own(f);
    return 0;
}

void fixture_remove(struct fixture *f)
{
    static const char *const names[] = {
        "node/arena", "node/arena.new", "node/bell", "node/lock", "node", "target"};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", f->parent, names[i]);
        (void)remove(path);
    }
}

int fixture_down(void **state)
{
    struct fixture *f = *state;

    if (f->arena)
        fixture_disown(f);
    fixture_remove(f);
    if (rmdir(f->parent) < 0)
        perror(f->parent);
    free(f);
    return 0;
}

struct ring_lease writer_up(struct ring_writer *w, struct arena *arena, const char *user)
{
    struct ring_lease lease;

    assert_int_equal(ring_writer_init(w, arena), 0);
    assert_int_equal(ring_lease_for_user(&lease, w, user, strlen(user)), 0);
    return lease;
}

int try_value(
    struct ring_writer *w, const struct ring_lease *lease, uint64_t value, uint32_t length)
{
    static const uint8_t filler[65536];
    struct iovec iov[2] = {
        {.iov_base = &value, .iov_len = sizeof value},
        {.iov_base = (void *)(uintptr_t)filler, .iov_len = length - sizeof value},
    };

    return ring_emit(NULL, w, lease, iov, 2);
}

int try_value_for(struct ring_writer *w, const char *user, uint64_t value, uint32_t length)
{
    struct ring_lease lease;
    int r;

    do {
        r = ring_lease_for_user(&lease, w, user, strlen(user));
        if (r == 0)
            r = try_value(w, &lease, value, length);
    } while (r == -ESTALE);
    return r;
}

void emit_value(
    struct ring_writer *w, const struct ring_lease *lease, uint64_t value, uint32_t length)
{
    assert_int_equal(try_value(w, lease, value, length), 0);
}

struct ring_record drain_value(struct fixture *f, uint32_t ring, uint64_t value)
{
    struct ring_record record;
    uint64_t found;

    assert_int_equal(ring_reader_next(&record, f->reader, ring), 1);
    assert_true(record.payload_length >= sizeof found);
    memcpy(&found, record.payload, sizeof found);
    assert_int_equal(found, value);
    return record;
}

void drain_nothing(struct fixture *f, uint32_t ring)
{
    struct ring_record record;

    assert_int_equal(ring_reader_next(&record, f->reader, ring), 0);
}

void release_all(struct fixture *f, uint32_t ring)
{
    assert_int_equal(ring_reader_release(f->reader, ring, ring_reader_cursor(f->reader, ring)), 0);
}

struct reap_context {
    process_reap_fn fn;
    void *userdata;
    uint32_t discarded;
};

static void reap_one(void *userdata, const struct process_reaped *reaped)
{
    struct reap_context *context = userdata;

    context->discarded += reaped->discarded;
    if (context->fn)
        context->fn(context->userdata, reaped);
}

uint32_t reap_dead(struct arena *arena, process_reap_fn fn, void *userdata)
{
    struct reap_context context = {fn, userdata, 0};
    struct process_info info;
    uint32_t cursor = 0;

    while (process_next(&info, arena, &cursor) > 0)
        if (!info.live)
            assert_int_equal(process_reap(arena, info.index, reap_one, &context), 0);
    return context.discarded;
}
