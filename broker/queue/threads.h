/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/heap.h"
#include "base/map.h"
#include "metrics/counters.h"

struct queue_line;

/*
 * A user's thread: the runs of it that are open, and where its last one was. A thread without open
 * runs is remembered for that alone, the THREADS_REMEMBERED that were used last; of one that is
 * forgotten the next run goes to whoever has most room.
 */
#define THREADS_REMEMBERED 16384

struct thread {
    char key[2 * IDENTIFIER_SIZE]; /* user, NUL, thread */
    size_t key_len;
    size_t runs;              /* open ones */
    struct list_link active;  /* struct run.thread_link: with a process, or about to end */
    struct list_link waiting; /* struct run.thread_link: queued, oldest first */

    uint32_t process; /* that has or had its last run, if `placed` */
    uint64_t incarnation;
    bool placed;

    struct queue_line *line;    /* whose `ready` it is in; NULL: it is not ready */
    struct heap_node ready;     /* by the number of the run that is next */
    struct list_link idle_link; /* in threads.idle */
};

struct threads {
    struct map map;        /* by key; owned */
    struct list_link idle; /* struct thread.idle_link: without open runs, longest unused first */
    size_t idle_count;
    size_t remembered;         /* idle ones at most */
    struct counters *counters; /* borrowed */
};

void threads_init(struct threads *threads, struct counters *counters);
void threads_deinit(struct threads *threads);
/* NULL when nothing is known of it. */
struct thread *threads_find(
    const struct threads *threads, struct span user_id, struct span thread_id);
/* The run becomes one of its thread's. -ENOMEM. */
int threads_join(struct threads *threads, struct run *run);
/* The run is one no more; the thread may be gone then. */
void threads_leave(struct threads *threads, struct run *run);
/* Remembers which process has the run. */
void thread_note_place(struct run *run);
