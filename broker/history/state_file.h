/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/history.h"

/*
 * The file `state` beside the store: its lock, and what must be known before the store is opened.
 *
 * - The lock (flock) keeps a second process out; it dies with its holder.
 * - A *slot* says which boot of the host wrote it, under which sync policy, whether the store was
 *   closed cleanly since, whether a loss is still to be settled by a new epoch, and whether numbers
 *   were shown that are not committed.
 * - An *anchored* slot also holds the store's first two pages as they were right after a sync.
 *   Putting them back turns the store to exactly that sync, as long as no page that the synced
 *   state needs has been written since; the store sees to that with a reader it keeps there.
 *
 * Two slots are written in turn, each with its checksum, so that a torn write leaves the other.
 * The file has its full size from the beginning: saving needs no space.
 */
#define STATE_BOOT_ID_SIZE 40
#define STATE_PAGES_MAX 65536

struct state_slot {
    uint64_t turn; /* the greater is the newer; 0: none */
    enum history_sync sync;
    bool clean;
    bool lost;
    bool shown;
    char boot_id[STATE_BOOT_ID_SIZE];
    uint32_t pages_size; /* of both pages; 0: not anchored */
    char *pages;
};

struct state_file {
    int fd;
    struct state_slot slot; /* the newest */
};

/* Opens, makes and locks. -EBUSY when another process has the lock, -EIO, -ENOSPC, … */
int state_file_open(struct state_file *ret_state, const char *path);
/* Gives up the lock. */
void state_file_close(struct state_file *state);
/* Durable when it returns 0. `turn` is filled in; `pages` is copied. */
int state_file_save(struct state_file *state, const struct state_slot *slot);
/* Which boot of the host this is; empty when the host does not tell. */
void state_boot_id(char ret_id[STATE_BOOT_ID_SIZE]);
