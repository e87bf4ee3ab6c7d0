/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's view of the processes attached. Whether one lives is the kernel's word: the lock on
 * its byte of the lock file is gone once the process is dead (also unreaped, whatever its pid or
 * pid namespace) and stays while it is stopped. For speed the owner opens a pidfd of the pid given
 * here and, once open, asks process_is_live again: if it still is, the pidfd is the right one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;

struct process_info {
    uint32_t index;
    uint32_t incarnation; /* tells apart the processes that had this entry one after the other */
    pid_t pid;
    bool live;
    bool fenced; /* process_fence */
    bool self;   /* this very mapping's entry */
};

struct process_reaped {
    uint32_t index;
    uint32_t incarnation;
    pid_t pid;
    uint32_t slots;     /* threads it had */
    uint32_t discarded; /* claims in flight, resolved */
    uint32_t completed; /* directory claims in flight, completed */
};

/*
 * Called when the dead process's claims are resolved and its bells rung again, while its owner ids
 * still name it. Draining here hands out all it had committed, but for what lies behind a living
 * writer's open claim: that comes when the cursor passes the ring_reader_tail() of now.
 */
typedef void (*process_reap_fn)(void *userdata, const struct process_reaped *reaped);

/* Iterate the entries taken: start with *cursor = 0; 1 and an entry, or 0 at the end. */
int process_next(struct process_info *ret_info, struct arena *arena, uint32_t *cursor);
/* False for a free entry and for a dead process's. */
bool process_is_live(struct arena *arena, uint32_t index);

/*
 * Take back everything a dead process held. Owner only (-EPERM), the thread that reads. fn may be
 * NULL. -EBUSY: the kernel does not say it is dead (it lives, or another process is just looking
 * for a free entry: ask again on the next sweep). -ENOENT: the entry is free.
 */
int process_reap(struct arena *arena, uint32_t index, process_reap_fn fn, void *userdata);

/*
 * Give a living process up. From here on its writers get -EOWNERDEAD: an emit that answers 0 was
 * committed before this call, and lies before the ring_reader_tail() of after it. What it has
 * claimed stays its own, and its entry taken, until the kernel says that it is dead or has let go.
 * Lasts as long as the arena does. Owner only (-EPERM). -ENOENT: it is not there any more; -EBUSY:
 * the caller itself.
 */
int process_fence(struct arena *arena, uint32_t index, uint32_t incarnation);
/* 1 + the incarnation that was given up last at this index; 0: none. */
uint32_t process_fenced(const struct arena *arena, uint32_t index);
/* Whether this process of the caller's was given up. Any process. */
bool process_is_fenced(const struct arena *arena);

/* The process that has this owner id now, or -ENOENT. Who wrote a record is in the record. */
int process_of_owner(const struct arena *arena, uint32_t owner);

/* True once after processes attached or detached: iterate. Their arrival wakes the reader. */
bool process_take_news(struct arena *arena);
