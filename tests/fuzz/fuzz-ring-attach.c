/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching to, and taking over, an arena whose file holds anything. The first byte says what is
 * done to the rest: its checksum made right, so that what it says about sizes is looked at; the
 * file made as long as it says; the owner's side or a writer's.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "ring/arena.h"
#include "ring/layout.h"
#include "ring/reader.h"
#include "ring/writer.h"

#define LENGTH_MAX (UINT64_C(1) << 28)

/* Bits of the first byte. */
#define RIGHT_CHECKSUM 1
#define RIGHT_LENGTH 2
#define AS_OWNER 4
#define CHANGED_HEADER 8

static char directory[64];
static struct arena_header sound;

static void remove_files(void)
{
    static const char *const names[] = {"arena", "arena.new", "bell", "lock"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[96];

        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
}

static void clean_up(void)
{
    remove_files();
    rmdir(directory);
}

/* An arena of the smallest size first, for its lock and its bell. */
static void set_up(void)
{
    struct arena_options options = {.directory = directory,
        .ring_count = 64,
        .ring_bytes = LAYOUT_RING_BYTES_MIN,
        .process_count = 2,
        .slot_count = 2};
    struct arena *arena;
    char path[96];
    int fd;

    strcpy(directory, "/dev/shm/ringside-fuzz-XXXXXX");
    FUZZ_CHECK(mkdtemp(directory));
    atexit(clean_up);
    FUZZ_CHECK(arena_create(&arena, &options) == 0);
    arena_detach(arena);
    snprintf(path, sizeof path, "%s/arena", directory);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && read(fd, &sound, sizeof sound) == sizeof sound);
    close(fd);
}

/* The sound header with a few bytes changed: how many, then place and value of each. Returns how
 * much of the input that took. */
static size_t change_header(struct arena_header *header, const uint8_t *data, size_t size)
{
    size_t count = size > 0 ? data[0] % 8 : 0;

    *header = sound;
    if (size < 1 + 2 * count)
        return size;
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)header)[data[1 + 2 * i] % sizeof *header] = data[2 + 2 * i];
    return 1 + 2 * count;
}

static void write_at(int fd, const void *bytes, size_t size, off_t at)
{
    FUZZ_CHECK(pwrite(fd, bytes, size, at) == (ssize_t)size);
}

/* The header is the input's, or a sound one changed; then comes the rest of the input. */
static void write_arena(const uint8_t *data, size_t size, uint8_t how)
{
    struct arena_header header;
    size_t took = sizeof header;
    char path[96];
    int fd;

    snprintf(path, sizeof path, "%s/arena", directory);
    unlink(path);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0);
    if (how & CHANGED_HEADER)
        took = change_header(&header, data, size);
    else if (size >= sizeof header)
        memcpy(&header, data, sizeof header);
    else
        how = 0;
    if (how & RIGHT_CHECKSUM)
        header.checksum = XXH3_64bits(&header, offsetof(struct arena_header, checksum));
    if (how & RIGHT_LENGTH && header.geometry.total_bytes <= LENGTH_MAX)
        FUZZ_CHECK(ftruncate(fd, (off_t)header.geometry.total_bytes) == 0);
    if (how == 0)
        write_at(fd, data, size, 0);
    else {
        write_at(fd, &header, sizeof header, 0);
        write_at(fd, data + took, size - took, 4096);
    }
    close(fd);
}

static void attach(void)
{
    struct ring_writer writer;
    struct arena *arena;
    int r = arena_attach(&arena, directory);

    FUZZ_CHECK(r <= 0);
    if (r < 0)
        return;
    if (ring_writer_init(&writer, arena) == 0)
        ring_writer_deinit(&writer);
    arena_detach(arena);
}

static void take_over(void)
{
    struct arena_options options = {.directory = directory,
        .ring_count = 64,
        .ring_bytes = LAYOUT_RING_BYTES_MIN,
        .process_count = 2,
        .slot_count = 2};
    struct ring_reader *reader;
    struct arena *arena;

    if (arena_create(&arena, &options) < 0)
        return;
    if (ring_reader_new(&reader, arena) == 0)
        ring_reader_free(reader);
    arena_detach(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!*directory)
        set_up();
    if (size == 0)
        return 0;
    write_arena(data + 1, size - 1, *data & 15);
    if (*data & AS_OWNER)
        take_over();
    else
        attach();
    return 0;
}
