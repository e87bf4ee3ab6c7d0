/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/frame.h"

/*
 * The file `journal` beside the store: the commits since the store's last batch, a frame each,
 * from the beginning of the file on. One is added in the kernel's memory of the file, which has its
 * full size from the beginning, so it takes no room on the disk. It survives the death of the
 * process, which is all that a commit promises where syncs come later; it is never synced, and
 * nothing of it counts after the host went down.
 *
 * That memory is mapped and a frame copied there: a write would also note its time with the file,
 * and wait whenever a sync of the store has the file system's own journal under way, which is for
 * milliseconds. Only a file system that may need room to overwrite (and so would end us by a
 * signal when it is full) is written to.
 *
 * Frames are of one batch that is still to be written. With the next batch the file begins anew,
 * and what it has is void by itself: its frames name the batch before.
 */
struct journal {
    int fd;    /* -1: none */
    char *map; /* of `size` bytes; NULL: it is written to */
    uint32_t used;
    uint32_t size;
    uint64_t former; /* of the next frame */
};

#define JOURNAL_INIT ((struct journal){.fd = -1})

/*
 * Opens the file in `directory`, and makes it when `size` is not 0; without one `fd` stays -1. No
 * room for it is no failure: there is none then. *ret_bytes: all that it has, to be freed.
 */
int journal_open(
    struct journal *journal, const char *directory, uint32_t size, struct buffer *ret_bytes);
void journal_close(struct journal *journal);
/* Nothing that it has counts any more. */
int journal_void(struct journal *journal);
/* The next frame is the first one of a batch. */
void journal_begin(struct journal *journal);
/* -ENOBUFS: no room for it. On failure nothing was added. */
int journal_add(struct journal *journal, struct frame_input *input);
/* The frame behind those that were taken so far, of what was read. 1, or 0: there is none. */
int journal_take(
    struct journal *journal, struct frame *ret_frame, struct span bytes, uint64_t batch);
