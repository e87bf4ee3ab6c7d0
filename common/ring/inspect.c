/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file, and the tables of processes and slots. Who lives is asked of the lock file, opened for
 * reading and never locked: F_OFD_GETLK only looks.
 */
#include "ring/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring/files.h"
#include "ring/inspect-internal.h"
#include "ring/locks.h"
#include "ring/spill.h"

#define INSPECT_PAGE 4096
#define INSPECT_OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* ---- the file */

static int inspect_fail(char ret_reason[static INSPECT_REASON_SIZE], const char *path, int r)
{
    if (r == -ENOENT || r == -ENOTDIR)
        snprintf(ret_reason, INSPECT_REASON_SIZE, "there is no arena at %.150s", path);
    else
        snprintf(ret_reason, INSPECT_REASON_SIZE, "%.120s: %s", path, strerror(-r));
    return r == -ENOTDIR ? -ENOENT : r;
}

static int inspect_open_in(struct inspect *view, int directory)
{
    int fd = openat(directory, FILE_ARENA, INSPECT_OPEN_FLAGS | O_NOFOLLOW), r = errno;

    if (fd >= 0)
        view->lock_fd = openat(directory, FILE_LOCK, INSPECT_OPEN_FLAGS | O_NOFOLLOW);
    close(directory);
    return fd < 0 ? -r : fd;
}

/* The directory a path to a file of the arena's own name is in: there its locks are. */
static int inspect_parent(const char *path)
{
    const char *name = strrchr(path, '/');
    char parent[4096];
    int length = name ? (int)(name - path) : 0;

    if (strcmp(name ? name + 1 : path, FILE_ARENA) != 0 || length >= (int)sizeof parent)
        return -1;
    snprintf(parent, sizeof parent, "%.*s%s", length, path, name ? "/" : ".");
    return open(parent, INSPECT_OPEN_FLAGS | O_DIRECTORY);
}

/* Descriptors of the arena's file and, when there is one, of its locks. */
static int inspect_open_files(struct inspect *view, const char *path)
{
    int fd = open(path, INSPECT_OPEN_FLAGS), parent;
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return inspect_open_in(view, fd);
    parent = inspect_parent(path);
    if (parent >= 0) {
        view->lock_fd = openat(parent, FILE_LOCK, INSPECT_OPEN_FLAGS | O_NOFOLLOW);
        close(parent);
    }
    return fd;
}

static int inspect_check_version(
    const struct arena_header *header, ssize_t length, char ret_reason[static INSPECT_REASON_SIZE])
{
    if (length < (ssize_t)(offsetof(struct arena_header, version) + sizeof header->version) ||
        header->magic != LAYOUT_MAGIC || header->version == LAYOUT_VERSION)
        return 0;
    snprintf(ret_reason, INSPECT_REASON_SIZE,
        "the arena has layout version %u; this program reads version %u", header->version,
        LAYOUT_VERSION);
    return -EPROTO;
}

static int inspect_read_header(struct inspect *view, struct arena_header *ret_header,
    const char *path, char ret_reason[static INSPECT_REASON_SIZE])
{
    struct stat status;
    ssize_t length;
    const char *reason;
    int r;

    memset(ret_header, 0, sizeof *ret_header);
    if (fstat(view->arena->fd, &status) < 0)
        return inspect_fail(ret_reason, path, -errno);
    length =
        S_ISREG(status.st_mode) ? pread(view->arena->fd, ret_header, sizeof *ret_header, 0) : 0;
    if (length < 0)
        return inspect_fail(ret_reason, path, -errno);
    r = inspect_check_version(ret_header, length, ret_reason);
    if (r < 0)
        return r;
    view->file_bytes = (uint64_t)status.st_size;
    view->allocated_bytes = (uint64_t)status.st_blocks * 512;
    r = layout_header_check(
        ret_header, length < (ssize_t)sizeof *ret_header ? 0 : view->file_bytes, &reason);
    if (r < 0)
        snprintf(ret_reason, INSPECT_REASON_SIZE, "%.130s: %s", path, reason);
    return r;
}

static int inspect_map(struct inspect *view, const struct arena_header *header)
{
    const struct arena_geometry *g = &header->geometry;
    void *base =
        mmap(NULL, g->total_bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, view->arena->fd, 0);

    if (base == MAP_FAILED)
        return -errno;
    /* A look must not end as a core dump of everybody's data. */
    (void)madvise(base, g->total_bytes, MADV_DONTDUMP);
    arena_bind(view->arena, base, header);
    return 0;
}

static int inspect_start(
    struct inspect *view, const char *path, char ret_reason[static INSPECT_REASON_SIZE])
{
    struct arena_header header;
    int r = inspect_open_files(view, path);

    if (r < 0)
        return inspect_fail(ret_reason, path, r);
    view->arena->fd = r;
    r = inspect_read_header(view, &header, path, ret_reason);
    if (r < 0)
        return r;
    r = inspect_map(view, &header);
    return r < 0 ? inspect_fail(ret_reason, path, r) : 0;
}

int inspect_open(
    struct inspect **ret_view, const char *path, char ret_reason[static INSPECT_REASON_SIZE])
{
    struct inspect *view = calloc(1, sizeof *view);
    struct arena *arena = calloc(1, sizeof *arena + 1);
    int r = -ENOMEM;

    if (view && arena) {
        arena->fd = view->lock_fd = -1;
        view->arena = arena;
        r = inspect_start(view, path, ret_reason);
        if (r < 0) {
            inspect_free(view);
            return r;
        }
        *ret_view = view;
        return 0;
    }
    free(view);
    free(arena);
    return inspect_fail(ret_reason, path, r);
}

struct inspect *inspect_free(struct inspect *view)
{
    if (!view)
        return NULL;
    if (view->arena->base)
        munmap(view->arena->base, view->arena->geometry.total_bytes);
    if (view->arena->fd >= 0)
        close(view->arena->fd);
    if (view->lock_fd >= 0)
        close(view->lock_fd);
    free(view->arena);
    free(view);
    return NULL;
}

/* ---- what it says */

uint32_t inspect_spilled(uint64_t *ret_bytes, const struct arena *arena, uint32_t ring)
{
    uint64_t pages = 0;
    uint32_t cursor = 0, count = 0;
    struct spill_look look;

    while (spill_next(&look, arena, &cursor)) {
        if (ring != INSPECT_ALL_RINGS && (look.end == 0 || look.ring != ring))
            continue;
        pages += spill_pages_of(look.word);
        count++;
    }
    *ret_bytes = pages * INSPECT_PAGE;
    return count;
}

static enum inspect_life inspect_life(const struct inspect *view, uint32_t byte)
{
    if (view->lock_fd < 0)
        return INSPECT_UNKNOWN;
    return lock_is_held(view->lock_fd, byte, 1) ? INSPECT_LIVE : INSPECT_DEAD;
}

void inspect_arena(struct inspect_arena *ret_arena, const struct inspect *view)
{
    const struct arena_geometry *g = &view->arena->geometry;

    *ret_arena = (struct inspect_arena){
        .arena_id = view->arena->arena_id,
        .layout_version = LAYOUT_VERSION,
        .file_bytes = view->file_bytes,
        .allocated_bytes = view->allocated_bytes,
        .table_bytes = g->initial_bytes,
        .user_count = g->user_count,
        .ring_count = view->arena->rings,
        .process_count = g->process_count,
        .slot_count = g->slot_count,
        .memory_limit = g->memory_bytes,
        .spill_count = g->spill_count,
        .class_count = g->class_count,
        .owner = inspect_life(view, LOCK_OWNER),
    };
    ret_arena->spilled = inspect_spilled(&ret_arena->spilled_bytes, view->arena, INSPECT_ALL_RINGS);
    for (uint32_t c = 0; c < g->class_count; c++)
        ret_arena->class_bytes[c] = class_bytes(g, c);
}

static uint64_t inspect_marked(const struct arena *arena)
{
    uint64_t count = 0;

    for (uint32_t word = 0; word < arena_bit_words(arena); word++)
        count += (uint64_t)__builtin_popcountll(atomic_load(&arena->bits[word]));
    return count;
}

static uint64_t inspect_marked_words(const struct arena *arena)
{
    uint64_t count = 0;

    for (uint32_t word = 0; word < arena_summary_words(arena); word++)
        count += (uint64_t)__builtin_popcountll(atomic_load(&arena->summary[word]));
    return count;
}

void inspect_counters(
    struct inspect_counter ret_counters[static INSPECT_COUNTERS], const struct inspect *view)
{
    const struct arena_shared *shared = view->arena->shared;
    const struct inspect_counter counters[INSPECT_COUNTERS] = {
        {"sleeping", "1: the broker sleeps, and the next who has news wakes it",
            atomic_load(&shared->sleeping)},
        {"marked_rings", "rings with their bit set at the doorbell: news not yet taken",
            inspect_marked(view->arena)},
        {"marked_words", "words of such bits with theirs set, which is where the broker looks",
            inspect_marked_words(view->arena)},
        {"process_news", "1: processes came or went, and the broker has not looked yet",
            atomic_load(&shared->process_news)},
        {"progress", "how often those who wait for the broker were woken, modulo 2^32",
            atomic_load(&shared->progress)},
        {"progress_wanted", "1: somebody waits for room, or for the broker to come that far",
            atomic_load(&shared->progress_wanted)},
    };

    memcpy(ret_counters, counters, sizeof counters);
}

static void inspect_holder(struct inspect_slot *slot, const struct inspect *view, uint64_t holder)
{
    int32_t index = holder_process(holder);
    struct arena_process *entry;

    slot->process = -1;
    if (index < 0 || (uint32_t)index >= view->arena->geometry.process_count)
        return;
    entry = arena_process_at(view->arena, (uint32_t)index);
    slot->process = index;
    slot->life = inspect_life(view, LOCK_PROCESS + (uint32_t)index);
    /* The entry may be another process's by now: then the slot is about to be freed. */
    if ((atomic_load(&entry->incarnation) & ORIGIN_INCARNATION_MAX) ==
        origin_incarnation(holder_origin(holder)))
        slot->pid = atomic_load(&entry->pid);
}

int inspect_slot(struct inspect_slot *ret_slot, const struct inspect *view, uint32_t owner)
{
    struct arena_slot *slot;
    uint64_t holder;
    uint32_t named;

    if (!arena_has_owner(view->arena, owner))
        return 0;
    slot = arena_slot_of(view->arena, owner);
    holder = atomic_load(&slot->holder);
    if (holder == 0)
        return 0;
    named = atomic_load(&slot->current_ring);
    *ret_slot = (struct inspect_slot){
        .owner = owner,
        .current_ring = named > view->arena->rings ? -2 : (int64_t)named - 1,
    };
    inspect_holder(ret_slot, view, holder);
    return 1;
}

static uint32_t inspect_slots_of(const struct inspect *view, uint32_t index)
{
    const struct arena *arena = view->arena;
    uint32_t count = 0;

    for (uint32_t owner = 1; owner <= arena->geometry.slot_count; owner++)
        count +=
            holder_process(atomic_load(&arena_slot_of(arena, owner)->holder)) == (int32_t)index;
    return count;
}

int inspect_process(struct inspect_process *ret_process, const struct inspect *view, uint32_t index)
{
    struct arena_process *entry;

    if (index >= view->arena->geometry.process_count)
        return 0;
    entry = arena_process_at(view->arena, index);
    if (!atomic_load(&entry->attached))
        return 0;
    *ret_process = (struct inspect_process){
        .index = index,
        .incarnation = atomic_load(&entry->incarnation) & ORIGIN_INCARNATION_MAX,
        .pid = atomic_load(&entry->pid),
        .slots = inspect_slots_of(view, index),
        .life = inspect_life(view, LOCK_PROCESS + index),
    };
    return 1;
}
