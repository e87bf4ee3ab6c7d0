/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into an arena without being part of it: a live one, whatever its owner does, or a copy of
 * a dead one. The file is mapped for reading only; no process entry, slot, lock or bell is taken,
 * and only memory that is in use is touched, so that looking allocates nothing. What is read moves
 * under the view: numbers are taken again until they agree, and what cannot be so is said, never
 * believed.
 *
 * Positions count units of 32 bytes. For one thread. A file that another process truncates while it
 * is mapped is a SIGBUS, here as in everybody who has it mapped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring/layout.h"

#define INSPECT_REASON_SIZE 200

struct inspect;

/* What the kernel says through the lock file beside the arena; without one it is not known. */
enum inspect_life { INSPECT_UNKNOWN, INSPECT_LIVE, INSPECT_DEAD };

struct inspect_arena {
    uint64_t arena_id;
    uint32_t layout_version;
    uint64_t file_bytes;      /* as if everything were in use */
    uint64_t allocated_bytes; /* what the file has on its file system */
    uint64_t table_bytes;     /* of those, allocated when the arena was made */
    uint32_t user_count;
    uint32_t ring_count;
    uint32_t process_count;
    uint32_t slot_count;
    uint32_t class_count;
    uint64_t class_bytes[LAYOUT_CLASSES_MAX]; /* of a ring of the class */
    uint64_t memory_limit;                    /* the file may take; 0: no limit but the system's */
    uint32_t spill_count;                     /* payloads beside the rings at once */
    uint32_t spilled;                         /* there are now */
    uint64_t spilled_bytes;                   /* and the memory they take, whole pages */
    enum inspect_life owner;                  /* the broker */
};

/* A number the arena keeps. The strings are static. */
struct inspect_counter {
    const char *name;
    const char *meaning;
    uint64_t value;
};
#define INSPECT_COUNTERS 6

struct inspect_process {
    uint32_t index;
    uint32_t incarnation; /* which of the processes that had the entry */
    pid_t pid;            /* as it was in its own namespace */
    uint32_t slots;
    enum inspect_life life; /* dead: the owner has yet to take back what it held */
};

struct inspect_slot {
    uint32_t owner;  /* the id in claims */
    int32_t process; /* its holder's entry; -1: impossible */
    pid_t pid;       /* 0: unknown */
    enum inspect_life life;
    int64_t current_ring; /* the ring it stands in, -1 for none, -2 for an impossible one */
};

enum inspect_state {
    INSPECT_OPEN,
    INSPECT_GROWN,       /* closed: a larger ring goes on; drained to its end, then given back */
    INSPECT_RETIRED,     /* closed for being idle */
    INSPECT_RETIRING,    /* its user is being taken out of the directory */
    INSPECT_QUARANTINED, /* the reader found it damaged */
    INSPECT_DAMAGED,     /* this view did */
};

/* A claim that is neither committed nor given up. */
struct inspect_claim {
    uint64_t begin;
    uint32_t bytes;
    bool headed; /* has its header: BUSY. Else only the tail names it */
    struct inspect_slot owner;
};

struct inspect_ring {
    uint32_t ring;
    uint32_t class_number;
    uint64_t capacity_bytes;
    uint64_t held_bytes; /* claimed and not yet consumed */
    uint64_t tail;
    uint64_t consumed;
    uint64_t freed;
    uint64_t durable;
    uint64_t generation;
    uint64_t user_tag;
    char user_id[LAYOUT_USER_ID_SIZE]; /* "" when it cannot be read */
    enum inspect_state state;
    const char *note; /* what is not as it should be, static; or NULL */
    bool moving;      /* read while it changed: the figures are of different moments */
    bool marked;      /* its bit at the doorbell is set */
    uint32_t committed;
    uint32_t skipped; /* padding and discarded claims */
    uint32_t in_flight;
    uint64_t spilled_bytes; /* of payloads that lie beside it, whole pages */
};

typedef void (*inspect_claim_fn)(void *userdata, const struct inspect_claim *claim);

/*
 * Look into the arena of a directory, or into the file itself. The view is the caller's until
 * inspect_free. On failure `ret_reason` is a sentence.
 *   -ENOENT no arena there   -EPROTO of another layout   -EUCLEAN not an arena, or a damaged one
 *   -ENOMEM, else from the kernel
 */
int inspect_open(
    struct inspect **ret_view, const char *path, char ret_reason[static INSPECT_REASON_SIZE]);
/* Takes NULL, returns NULL. */
struct inspect *inspect_free(struct inspect *view);

void inspect_arena(struct inspect_arena *ret_arena, const struct inspect *view);
void inspect_counters(
    struct inspect_counter ret_counters[static INSPECT_COUNTERS], const struct inspect *view);
/* 1, or 0 for a free entry and beyond process_count. */
int inspect_process(
    struct inspect_process *ret_process, const struct inspect *view, uint32_t index);
/* 1, or 0 for a free slot and beyond slot_count. Ids begin at 1. */
int inspect_slot(struct inspect_slot *ret_slot, const struct inspect *view, uint32_t owner);
/* 1, or 0 for a ring not in use and beyond ring_count. `fn` (may be NULL) gets each claim in
 * flight, in order. */
int inspect_ring(struct inspect_ring *ret_ring, const struct inspect *view, uint32_t ring,
    inspect_claim_fn fn, void *userdata);
