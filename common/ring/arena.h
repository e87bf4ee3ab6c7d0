/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process's mapping of a node's arena.
 *
 * An arena is a directory (mode 0700) with three files of mode 0600: `arena` (the shared memory),
 * `lock` (one byte for the owner, one a process, held as open-file-description locks: the kernel's
 * word on who lives) and `bell` (a FIFO the owner's loop sleeps on). One process owns it: it is the
 * reader. All others attach to write. The files outlive every process.
 *
 * fork: a child that does not exec must not use the parent's arena. The mapping does not exist
 * there and the locks are given up in it; every call that could touch it answers -ECHILD. Children
 * made with a raw clone(2), which runs no fork handlers, must exec at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ARENA_RING_COUNT_DEFAULT 16384u
#define ARENA_RING_BYTES_DEFAULT 262144u
#define ARENA_FIRST_RING_BYTES_DEFAULT 16384u
#define ARENA_SPILL_COUNT 64u /* payloads spilled at once */
#define ARENA_PROCESS_COUNT_DEFAULT 512u
#define ARENA_SLOT_COUNT_DEFAULT 4094u

struct arena;

struct arena_options {
    const char *directory;     /* such as /dev/shm/ringside-<node>; made if missing */
    uint32_t ring_count;       /* users. 0: the default, here and below. A multiple of 64 */
    uint32_t ring_bytes;       /* a user's ring at its largest: a power of two, 16 KiB to 16 MiB */
    uint32_t first_ring_bytes; /* at first, likewise; it grows fourfold. At most ring_bytes */
    uint32_t spill_bytes;    /* largest payload, in whole pages up to 8 MiB; 0: no record is longer
                                than a quarter of the largest ring */
    uint64_t memory_bytes;   /* the arena may take; 0: what the file system has */
    uint32_t process_count;  /* at most 4096 */
    uint32_t slot_count;     /* threads that write, at most 4094 */
    const char **ret_reason; /* may be NULL: why it failed, or why an arena was replaced */
};

enum arena_outcome {
    ARENA_CREATED,  /* there was none */
    ARENA_RESUMED,  /* attached to a valid one, whose own geometry holds, not the options' */
    ARENA_REPLACED, /* there was a damaged one, or one of another version at rest, used by nobody */
};

/*
 * Become the owner of the arena in the directory: resume a valid one, else make one. The arena is
 * the caller's until arena_detach. An owner is a writing process as well (it has a process entry).
 *   -EBUSY    another owner lives
 *   -EUCLEAN  the arena there is damaged and live processes use it
 *   -EPROTO   it is of another version and was not left at rest (arena_settle): events may be in it
 *   -ENOSPC   the file system has no room for it
 *   -EPERM    directory or file belongs to someone else or is open to others
 *   -ELOOP    a symbolic link where a file should be; -EINVAL bad options; else from the kernel
 */
int arena_create(struct arena **ret_arena, const struct arena_options *options);

/*
 * Attach to an existing arena to write; works while the owner is away. The arena is the caller's
 * until arena_detach and may be used by all threads of the process.
 *   -ENOENT   no arena there            -EUCLEAN  not an arena, truncated or damaged
 *   -EPROTO   another version           -EUSERS   the process table is full
 *   -EPERM, -ELOOP as above
 * Waits while an owner is just making the arena.
 */
int arena_attach(struct arena **ret_arena, const char *directory);

/*
 * Give the arena up; takes NULL, returns NULL. Writers must have been deinitialised before; if some
 * were not, the owner finds the process dead and takes back what it held.
 */
struct arena *arena_detach(struct arena *arena);

/*
 * Before an owner's arena_detach, when it has drained every ring: says in the arena that nothing is
 * left in it, so that a program of another version may replace it. Whoever attaches takes that
 * back. Owner only (-EPERM); -EBUSY while another process is, or just gets, attached.
 */
int arena_settle(struct arena *arena);

/* Remove the arena's files and directory, as a batch run does with its own. Owner only (-EPERM);
 * -EBUSY while another process is attached. The mapping stays valid until arena_detach. */
int arena_unlink(struct arena *arena);

/* What became of arena_create. */
enum arena_outcome arena_outcome(const struct arena *arena);
bool arena_is_owner(const struct arena *arena);
/* True in a forked child: nothing of this arena may be used. */
bool arena_is_forked(const struct arena *arena);
/* Random, made with the arena: a position means something only together with it. */
uint64_t arena_id(const struct arena *arena);
/* Borrowed, until arena_detach. */
const char *arena_directory(const struct arena *arena);
/* Users that can have rings at once. */
uint32_t arena_user_count(const struct arena *arena);
/* Rings of all classes: ring numbers are below it. */
uint32_t arena_ring_count(const struct arena *arena);
/* Of the largest class. */
uint32_t arena_ring_bytes(const struct arena *arena);
uint32_t arena_process_count(const struct arena *arena);
/* This process's entry in the process table. */
uint32_t arena_process_index(const struct arena *arena);
/* The largest payload that lies in a ring, in bytes; longer ones are spilled. */
uint32_t arena_payload_max(const struct arena *arena);
/* The largest payload at all. */
uint32_t arena_spill_max(const struct arena *arena);
