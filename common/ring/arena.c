/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, joining and leaving an arena.
 *
 * Order of an owner's start: owner lock, bell, arena file (which appears under its name complete),
 * mapping, process entry. Whoever can open the arena file therefore finds everything else.
 *
 * An arena is replaced only under the gate (no one is attaching) and with every process lock in the
 * replacer's hands (no one is attached). Who attaches holds the gate shared from opening the file
 * until it holds its process lock.
 *
 * An arena of another version is replaced only when its last owner left it at rest: nobody attached
 * and every ring drained. The word that says so is written under the gate by the owner
 * (arena_settle) and taken back by whoever joins; both hold the gate or the owner's lock, so no
 * writer is missed.
 */

#include "ring/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "ring/doorbell.h"
#include "ring/files.h"
#include "ring/fork.h"
#include "ring/locks.h"
#include "ring/mapping.h"
#include "ring/share.h"
#include "ring/successor.h"

static struct arena *arena_new(const char *directory)
{
    size_t length = strlen(directory) + 1;
    struct arena *arena = calloc(1, sizeof *arena + length);

    if (!arena)
        return NULL;
    memcpy(arena->path, directory, length);
    arena->directory_fd = arena->fd = arena->lock_fd = arena->bell_fd = -1;
    if (fork_guard_add(arena) < 0) {
        free(arena);
        return NULL;
    }
    return arena;
}

static int arena_open_locks(struct arena *arena, bool make)
{
    int r = files_open_directory(arena->path, make);

    if (r < 0)
        return r;
    arena->directory_fd = r;
    r = files_open(arena->directory_fd, FILE_LOCK, make);
    if (r < 0)
        return r;
    arena->lock_fd = r;
    return 0;
}

static int arena_lock_owner(struct arena *arena)
{
    int r = lock_try(arena->lock_fd, LOCK_OWNER, 1);

    if (r < 0)
        return r;
    /* A lock on a file that was removed meanwhile excludes nobody. */
    if (!files_is_current(arena->directory_fd, FILE_LOCK, arena->lock_fd))
        return -EBUSY;
    arena->owner = true;
    return 0;
}

static int arena_make_file(
    struct arena *arena, struct arena_header *ret_header, const struct arena_geometry *geometry)
{
    uint64_t id;
    int r;

    if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
        return -EIO;
    layout_header_init(ret_header, geometry, id);
    r = files_make_arena(arena->directory_fd, ret_header);
    if (r < 0)
        return r;
    arena->fd = r;
    return 0;
}

static int arena_replace_file(
    struct arena *arena, struct arena_header *ret_header, const struct arena_geometry *geometry)
{
    int r = lock_try(arena->lock_fd, LOCK_GATE, 1);

    if (r < 0)
        return r;
    r = lock_try(arena->lock_fd, LOCK_PROCESS, 4096);
    if (r == 0) {
        close(arena->fd);
        arena->fd = -1;
        arena->outcome = ARENA_REPLACED;
        r = arena_make_file(arena, ret_header, geometry);
        lock_release(arena->lock_fd, LOCK_PROCESS, 4096);
    }
    lock_release(arena->lock_fd, LOCK_GATE, 1);
    return r;
}

static const char *arena_say_undrained(const char *why)
{
    static _Thread_local char text[320];

    snprintf(text, sizeof text,
        "%s, and events may be left in its rings: start the release that made it once more and "
        "stop "
        "it, which drains them; or remove the directory, and they are lost",
        why);
    return text;
}

static int arena_obtain_file(struct arena *arena, struct arena_header *ret_header,
    const struct arena_geometry *geometry, const char **ret_reason)
{
    int r = files_open(arena->directory_fd, FILE_ARENA, false), replaced;

    if (r == -ENOENT) {
        arena->outcome = ARENA_CREATED;
        return arena_make_file(arena, ret_header, geometry);
    }
    if (r < 0)
        return r;
    arena->fd = r;
    arena->outcome = ARENA_RESUMED;
    r = files_read_header(ret_header, arena->fd, ret_reason);
    if (r != -EUCLEAN && r != -EPROTO)
        return r;
    if (r == -EPROTO && !files_is_at_rest(arena->fd)) {
        *ret_reason = arena_say_undrained(*ret_reason);
        return r;
    }
    replaced = arena_replace_file(arena, ret_header, geometry);
    return replaced == -EBUSY ? r : replaced;
}

static void arena_bind_classes(struct arena *arena)
{
    const struct arena_geometry *g = &arena->geometry;
    uint64_t offset = g->data_offset;

    arena->rings = g->user_count * g->class_count;
    for (uint32_t c = 0; c < g->class_count; c++) {
        uint64_t capacity = class_bytes(g, c) / RING_UNIT;

        arena->classes[c] =
            (struct ring_class){capacity, offset, (unsigned)__builtin_ctzll(capacity)};
        offset += g->user_count * class_bytes(g, c);
    }
}

void arena_bind(struct arena *arena, void *base, const struct arena_header *header)
{
    const struct arena_geometry *g = &header->geometry;

    arena->base = base;
    arena->geometry = *g;
    arena->arena_id = header->arena_id;
    arena->shared = (struct arena_shared *)(void *)(arena->base + g->shared_offset);
    arena->summary = (_Atomic uint64_t *)(void *)(arena->base + g->summary_offset);
    arena->bits = (_Atomic uint64_t *)(void *)(arena->base + g->bits_offset);
    arena->heads = (_Atomic uint64_t *)(void *)(arena->base + g->heads_offset);
    arena_bind_classes(arena);
}

static int arena_map(struct arena *arena, const struct arena_header *header)
{
    const struct arena_geometry *g = &header->geometry;
    void *base = mmap(
        NULL, g->total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, arena->fd, 0);

    if (base == MAP_FAILED)
        return -errno;
    arena_bind(arena, base, header);
    if (madvise(base, g->total_bytes, MADV_DONTDUMP) < 0 ||
        madvise(base, g->total_bytes, MADV_DONTFORK) < 0)
        return -errno;
    return 0;
}

/* The process table changed: partner of process_take_news. */
static void arena_announce(struct arena *arena)
{
    atomic_store(&arena->shared->process_news, 1);
    doorbell_wake(arena);
}

/*
 * `attached` is written by the process that holds the entry's lock, and taken back by it or, with
 * the lock in its hands, by the owner (process_reap). An entry that is not free is left alone: its
 * process lives, or is dead and the owner has yet to look through what it left.
 */
static int arena_try_entry(struct arena *arena, uint32_t index)
{
    struct arena_process *entry = arena_process_at(arena, index);
    int r;

    if (atomic_load(&entry->attached))
        return -EBUSY;
    r = lock_try(arena->lock_fd, LOCK_PROCESS + index, 1);
    if (r < 0)
        return r;
    if (atomic_load(&entry->attached)) {
        lock_release(arena->lock_fd, LOCK_PROCESS + index, 1);
        return -EBUSY;
    }
    arena->process_index = index;
    arena->incarnation = (atomic_fetch_add(&entry->incarnation, 1) + 1) & ORIGIN_INCARNATION_MAX;
    atomic_store(&entry->pid, (int32_t)getpid());
    atomic_store(&entry->attached, 1);
    arena->joined = true;
    return 0;
}

static _Atomic uint64_t *arena_rest_word(const struct arena *arena)
{
    return (_Atomic uint64_t *)(void *)(arena->base + LAYOUT_REST_OFFSET);
}

static int arena_join(struct arena *arena)
{
    for (uint32_t i = 0; i < arena->geometry.process_count; i++) {
        int r = arena_try_entry(arena, i);

        if (r == -EBUSY)
            continue;
        if (r < 0)
            return r;
        atomic_store(arena_rest_word(arena), 0); /* partner: files_is_at_rest, after this process */
        arena_announce(arena);
        return 0;
    }
    return -EUSERS;
}

static int arena_start_owner(
    struct arena *arena, const struct arena_geometry *geometry, const char **ret_reason)
{
    struct arena_header header;
    int r;

    r = arena_open_locks(arena, true);
    if (r < 0)
        return r;
    r = arena_lock_owner(arena);
    if (r < 0)
        return r;
    r = files_open_bell(arena->directory_fd, true);
    if (r < 0)
        return r;
    arena->bell_fd = r;
    r = arena_obtain_file(arena, &header, geometry, ret_reason);
    if (r < 0)
        return r;
    r = arena_map(arena, &header);
    return r < 0 ? r : arena_join(arena);
}

static int arena_start_process(struct arena *arena)
{
    struct arena_header header;
    const char *reason;
    int r;

    r = files_open(arena->directory_fd, FILE_ARENA, false);
    if (r < 0)
        return r;
    arena->fd = r;
    r = files_read_header(&header, arena->fd, &reason);
    if (r < 0)
        return r;
    r = files_open_bell(arena->directory_fd, false);
    if (r < 0)
        return r;
    arena->bell_fd = r;
    r = arena_map(arena, &header);
    return r < 0 ? r : arena_join(arena);
}

static uint32_t arena_or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static struct arena_geometry arena_counts(const struct arena_options *options)
{
    uint32_t last = arena_or_default(options->ring_bytes, ARENA_RING_BYTES_DEFAULT);
    uint32_t first = arena_or_default(options->first_ring_bytes, ARENA_FIRST_RING_BYTES_DEFAULT);

    return (struct arena_geometry){
        .user_count = arena_or_default(options->ring_count, ARENA_RING_COUNT_DEFAULT),
        .first_bytes = first < last ? first : last,
        .last_bytes = last,
        .process_count = arena_or_default(options->process_count, ARENA_PROCESS_COUNT_DEFAULT),
        .slot_count = arena_or_default(options->slot_count, ARENA_SLOT_COUNT_DEFAULT),
        .spill_count = options->spill_bytes ? ARENA_SPILL_COUNT : 0,
        .spill_bytes = options->spill_bytes,
        .memory_bytes = options->memory_bytes,
    };
}

int arena_create(struct arena **ret_arena, const struct arena_options *options)
{
    struct arena_geometry geometry, counts = arena_counts(options);
    const char *reason = NULL;
    struct arena *arena;
    int r;

    if (!options->directory || layout_compute(&geometry, &counts) < 0)
        return -EINVAL;
    arena = arena_new(options->directory);
    if (!arena)
        return -ENOMEM;
    r = arena_start_owner(arena, &geometry, &reason);
    if (options->ret_reason && reason)
        *options->ret_reason = reason;
    if (r < 0) {
        arena_detach(arena);
        return r;
    }
    *ret_arena = arena;
    return 0;
}

int arena_attach(struct arena **ret_arena, const char *directory)
{
    struct arena *arena = arena_new(directory);
    int r;

    if (!arena)
        return -ENOMEM;
    r = arena_open_locks(arena, false);
    if (r == 0)
        r = lock_wait_shared(arena->lock_fd, LOCK_GATE);
    if (r == 0) {
        r = arena_start_process(arena);
        lock_release(arena->lock_fd, LOCK_GATE, 1);
    }
    if (r < 0) {
        arena_detach(arena);
        return r;
    }
    *ret_arena = arena;
    return 0;
}

static void arena_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* The entry is free for the next process, unless writers remain: then it is for process_reap. */
static void arena_leave(struct arena *arena)
{
    if (atomic_load(&arena->writers) == 0)
        atomic_store(&arena_process_at(arena, arena->process_index)->attached, 0);
    close(arena->lock_fd); /* from here on the kernel says this process is gone */
    arena->lock_fd = -1;
    arena_announce(arena);
}

struct arena *arena_detach(struct arena *arena)
{
    if (!arena)
        return NULL;
    /* A forked child has neither mapping nor descriptors; the addresses may be others' by now. */
    fork_guard_remove(arena);
    if (!arena->forked) {
        if (arena->joined)
            arena_leave(arena);
        if (arena->base)
            munmap(arena->base, arena->geometry.total_bytes);
        arena_close(arena->lock_fd);
        arena_close(arena->fd);
        arena_close(arena->bell_fd);
        arena_close(arena->directory_fd);
    }
    free(arena);
    return NULL;
}

/* Does what only an owner may do, and only while no other process is attached or can attach. */
static int arena_alone(struct arena *arena, int (*act)(struct arena *arena))
{
    int r;

    if (arena->forked)
        return -ECHILD;
    if (!arena->owner)
        return -EPERM;
    r = lock_try(arena->lock_fd, LOCK_GATE, 1);
    if (r < 0)
        return r;
    if (lock_is_held(arena->lock_fd, LOCK_PROCESS, arena->geometry.process_count))
        r = -EBUSY;
    else
        r = act(arena);
    lock_release(arena->lock_fd, LOCK_GATE, 1);
    return r;
}

static int arena_note_rest(struct arena *arena)
{
    atomic_store(arena_rest_word(arena), LAYOUT_AT_REST);
    return 0;
}

int arena_settle(struct arena *arena)
{
    return arena_alone(arena, arena_note_rest);
}

static int arena_remove_files(struct arena *arena)
{
    static const char *const names[] = {FILE_ARENA, FILE_BELL, FILE_LOCK};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (unlinkat(arena->directory_fd, names[i], 0) < 0 && errno != ENOENT)
            return -errno;
    return rmdir(arena->path) < 0 ? -errno : 0;
}

int arena_unlink(struct arena *arena)
{
    return arena_alone(arena, arena_remove_files);
}

static int arena_fallocate(const struct arena *arena, int mode, uint64_t begin, uint64_t bytes)
{
    int r;

    do
        r = fallocate(arena->fd, mode, (off_t)begin, (off_t)bytes);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static uint64_t arena_data_offset(const struct arena *arena, uint32_t ring)
{
    const struct ring_class *class = arena_class_of(arena, ring);

    return class->data_offset + arena_entry_of(arena, ring) * class->capacity * RING_UNIT;
}

int arena_allocate(const struct arena *arena, uint64_t begin, uint64_t bytes)
{
    return arena_fallocate(arena, 0, begin, bytes);
}

int arena_punch(const struct arena *arena, uint64_t begin, uint64_t bytes)
{
    return arena_fallocate(arena, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin, bytes);
}

int arena_allocate_ring(const struct arena *arena, uint32_t ring)
{
    uint64_t header =
        arena->geometry.headers_offset + (uint64_t)ring * arena->geometry.ring_header_stride;
    uint64_t bytes = arena_capacity(arena, ring) * RING_UNIT;
    int r = 0;

    if (arena->geometry.memory_bytes && share_free(arena) < bytes)
        return -ENOSPC;
    if (arena_has_predecessor(arena, ring))
        r = arena_allocate(arena, header, arena->geometry.ring_header_stride);
    return r < 0 ? r : arena_allocate(arena, arena_data_offset(arena, ring), bytes);
}

int arena_punch_ring(const struct arena *arena, uint32_t ring)
{
    return arena_punch(
        arena, arena_data_offset(arena, ring), arena_capacity(arena, ring) * RING_UNIT);
}

enum arena_outcome arena_outcome(const struct arena *arena)
{
    return arena->outcome;
}

bool arena_is_owner(const struct arena *arena)
{
    return arena->owner;
}

bool arena_is_forked(const struct arena *arena)
{
    return arena->forked;
}

uint64_t arena_id(const struct arena *arena)
{
    return arena->arena_id;
}

const char *arena_directory(const struct arena *arena)
{
    return arena->path;
}

uint32_t arena_user_count(const struct arena *arena)
{
    return arena->geometry.user_count;
}

uint32_t arena_ring_count(const struct arena *arena)
{
    return arena->rings;
}

uint32_t arena_ring_bytes(const struct arena *arena)
{
    return arena->geometry.last_bytes;
}

uint32_t arena_process_count(const struct arena *arena)
{
    return arena->geometry.process_count;
}

uint32_t arena_process_index(const struct arena *arena)
{
    return arena->process_index;
}

uint32_t arena_payload_max(const struct arena *arena)
{
    uint64_t capacity = arena->classes[arena->geometry.class_count - 1].capacity;

    return claim_units_max(capacity) * RING_UNIT - (uint32_t)sizeof(struct record_header);
}

uint32_t arena_spill_max(const struct arena *arena)
{
    return arena->geometry.spill_bytes > arena_payload_max(arena) ? arena->geometry.spill_bytes
                                                                  : arena_payload_max(arena);
}
