/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader on an arena of arbitrary bytes behind a valid header. A sound arena with a few records
 * is made once; each input is a list of changes to it, made before the reader looks or while it
 * drains, as a writer gone mad could make them. Whatever it finds, the reader stays in its memory,
 * comes to an end, and hands out no record that is not within its ring.
 *
 * A change: kind, ring, length, a position of four bytes, then the bytes.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/arena.h"
#include "ring/directory.h"
#include "ring/doorbell.h"
#include "ring/mapping.h"
#include "ring/process.h"
#include "ring/reader.h"
#include "ring/writer.h"

#define USERS 8u
#define PAGE 4096u
#define RECORDS_MAX 100000u

static struct {
    char directory[64];
    struct arena *arena;
    size_t bytes;
    uint8_t *file; /* the arena, mapped once more */
    uint8_t *sound;
    uint32_t rings[USERS];
} fixed;

static void clean_up(void)
{
    memcpy(fixed.file, fixed.sound, fixed.bytes);
    arena_unlink(fixed.arena);
    arena_detach(fixed.arena);
}

static void write_records(struct arena *arena)
{
    static uint8_t payload[6000]; /* the longest are spilled */
    struct ring_writer writer;

    FUZZ_CHECK(ring_writer_init(&writer, arena) == 0);
    for (uint32_t user = 0; user < USERS; user++) {
        struct ring_lease lease;
        char name[16];

        snprintf(name, sizeof name, "user-%u", (unsigned)user);
        FUZZ_CHECK(ring_lease_for_user(&lease, &writer, name, strlen(name)) == 0);
        fixed.rings[user] = lease.ring;
        for (uint32_t i = 0; i < 6; i++) {
            struct iovec iov = {payload, i == 5 ? sizeof payload : user * 7 + i * 311};

            FUZZ_CHECK(ring_emit(NULL, &writer, &lease, &iov, 1) == 0);
        }
    }
    ring_writer_deinit(&writer);
}

static void map_again(void)
{
    char path[96];
    int fd;

    snprintf(path, sizeof path, "%s/arena", fixed.directory);
    fd = open(path, O_RDWR | O_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    fixed.bytes = (size_t)lseek(fd, 0, SEEK_END);
    fixed.file = mmap(NULL, fixed.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    fixed.sound = malloc(fixed.bytes);
    FUZZ_CHECK(fixed.file != MAP_FAILED && fixed.sound);
    memcpy(fixed.sound, fixed.file, fixed.bytes);
    close(fd);
}

static void set_up(void)
{
    struct arena_options options = {.directory = fixed.directory,
        .ring_count = 64,
        .ring_bytes = 16384,
        .spill_bytes = 8192,
        .process_count = 4,
        .slot_count = 8};

    strcpy(fixed.directory, "/dev/shm/ringside-fuzz-XXXXXX");
    FUZZ_CHECK(mkdtemp(fixed.directory));
    FUZZ_CHECK(arena_create(&fixed.arena, &options) == 0);
    write_records(fixed.arena);
    map_again();
    atexit(clean_up);
}

static void restore(void)
{
    for (size_t at = 0; at < fixed.bytes; at += PAGE)
        if (memcmp(fixed.file + at, fixed.sound + at, PAGE) != 0)
            memcpy(fixed.file + at, fixed.sound + at, PAGE);
}

/* Where a change goes: anywhere, a ring's header, its records, or what lies before the headers. */
static size_t place_of(uint8_t kind, uint8_t user, uint32_t position)
{
    const struct arena *arena = fixed.arena;
    uint32_t ring = fixed.rings[user % USERS];

    switch (kind % 4) {
    case 0: return position;
    case 1:
        return (size_t)((uint8_t *)arena_ring_header(arena, ring) - arena->base) +
               position % sizeof(struct ring_header);
    case 2:
        return (size_t)((uint8_t *)arena_record(arena, ring, position / 32) - arena->base) +
               position % 32;
    default: return PAGE + position % (arena->geometry.headers_offset - PAGE);
    }
}

/* Makes one change; returns how much of the input it took, 0 at the end. */
static size_t change(const uint8_t *data, size_t size)
{
    uint32_t position;
    size_t length, at;

    if (size < 7)
        return 0;
    length = 1 + data[2] % 16;
    memcpy(&position, data + 3, sizeof position);
    if (size < 7 + length)
        return 0;
    at = place_of(data[0], data[1], position);
    if (at >= PAGE && at <= fixed.bytes - length)
        memcpy(fixed.file + at, data + 7, length);
    return 7 + length;
}

struct draining {
    struct ring_reader *reader;
    const uint8_t *data;
    size_t size;
    uint32_t records;
};

static void drain_ring(void *userdata, uint32_t ring)
{
    struct draining *d = userdata;
    struct ring_record record;
    uint64_t end = 0;
    char user[128];

    FUZZ_CHECK(ring < arena_ring_count(fixed.arena));
    while (ring_reader_next(&record, d->reader, ring) > 0) {
        const uint8_t *payload = record.payload;
        size_t took = change(d->data, d->size);

        FUZZ_CHECK(++d->records < RECORDS_MAX);
        FUZZ_CHECK(record.begin < record.end && record.ring == ring);
        FUZZ_CHECK(payload > fixed.arena->base);
        FUZZ_CHECK(payload + record.payload_length <= fixed.arena->base + fixed.bytes);
        d->data += took;
        d->size -= took;
        end = record.end;
        if (d->records % 3 == 0 && ring_reader_release(d->reader, ring, end) == 0)
            end = 0;
    }
    if (end > 0)
        (void)ring_reader_release(d->reader, ring, end);
    (void)directory_user_id(user, fixed.arena, ring);
    (void)ring_reader_held_bytes(d->reader, ring);
}

static void look_at_processes(void)
{
    struct process_info info;
    uint32_t cursor = 0;

    process_take_news(fixed.arena);
    while (process_next(&info, fixed.arena, &cursor) > 0)
        if (!info.live)
            (void)process_reap(fixed.arena, info.index, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct draining d = {.data = data, .size = size};
    unsigned before;

    if (!fixed.arena)
        set_up();
    restore();
    if (size == 0)
        return 0;
    before = *d.data++ % 16; /* so many changes before the reader looks; 16: it reclaims */
    d.size--;
    for (size_t took = 1; before > 0 && took > 0; before--) {
        took = change(d.data, d.size);
        d.data += took;
        d.size -= took;
    }
    FUZZ_CHECK(ring_reader_new(&d.reader, fixed.arena) == 0);
    for (int turn = 0; turn < 3; turn++) {
        look_at_processes();
        doorbell_take(fixed.arena, drain_ring, &d);
        ring_reader_sweep(d.reader);
        if (*data & 16)
            ring_reader_reclaim(d.reader, 1000 + (uint64_t)turn * 1000, 500);
    }
    ring_reader_free(d.reader);
    return 0;
}
