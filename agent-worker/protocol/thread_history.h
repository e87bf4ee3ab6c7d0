/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "base/identifier.h"

/*
 * What was said in a thread before a run, folded from the user's events: which of them are to be
 * read, a page at a time, and what they come to. Looks at a window of the newest events, which
 * begins nearer to the end when it turns out to have too many bytes. Pure.
 */
#define THREAD_HISTORY_LIMIT 1000
#define THREAD_HISTORY_EVENTS_MIN 512
#define THREAD_HISTORY_EVENTS_MAX 4096
#define THREAD_HISTORY_BYTES_MAX (4u << 20)

struct thread_history {
    char thread_id[IDENTIFIER_SIZE];
    char message_id[IDENTIFIER_SIZE]; /* what the run itself was asked; "" for nothing */
    uint64_t limit;                   /* messages */
    bool known;                       /* where it begins and ends */
    bool done;
    uint64_t at;        /* up to here it is read */
    uint64_t end;       /* the last that counts */
    uint64_t read;      /* bytes, since the window began */
    struct buffer kept; /* encoded events that matter */
};

/* One page, as the broker's HISTORY has it. */
struct thread_page {
    bool asked; /* for events; else it only tells where they lie */
    uint64_t after;
    bool trimmed; /* those above `after` are gone */
    bool damaged; /* those from there to `last` cannot be read */
    uint64_t oldest;
    uint64_t end;
    uint64_t last;
    struct span events;
};

void thread_history_init(
    struct thread_history *history, const char *thread_id, const char *message_id, uint64_t limit);
void thread_history_deinit(struct thread_history *history);
/* Takes in a page; one that was not asked for last is passed over. -EBADMSG, -ENOMEM. */
int thread_history_take(struct thread_history *history, const struct thread_page *page);
/* Appends the messages, a list, once it is `done`. Errors are the buffer's. */
void thread_history_append(struct buffer *out, const struct thread_history *history);
