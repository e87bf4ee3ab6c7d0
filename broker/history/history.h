/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/retention.h"
#include "history/usage.h"

/*
 * What the broker keeps. One writer thread (the broker's); nothing here is thread-safe.
 *
 * A *stream* is one user's events, numbered 1, 2, 3, … without holes, under an *epoch* that names
 * this numbering and changes only when numbers may have been lost. What belongs to one turn of the
 * broker is staged and then committed at once: events, how far each ring was drained, runs,
 * accepted messages. After a crash either all of it is there or nothing. commit: it survives the
 * death of this process. sync: it survives the host's.
 */
struct history;
struct history_stream;

#define HISTORY_EPOCH_SIZE 32
#define HISTORY_REASON_SIZE 256

enum history_sync {
    HISTORY_SYNC_ALWAYS,   /* each commit is synced: nothing acknowledged is ever lost */
    HISTORY_SYNC_INTERVAL, /* by timer: power loss may cost the last interval, and tells so */
    HISTORY_SYNC_NEVER,    /* the kernel decides */
};

struct history_options {
    const char *directory;
    enum history_sync sync;
    uint64_t max_bytes;           /* of retained batches; the oldest go first; 0: no limit */
    uint64_t max_age_ms;          /* of retained batches; 0: no limit */
    uint64_t max_events_per_user; /* 0: no limit */
    uint64_t max_bytes_per_user;  /* of events, as history_stream_usage counts; 0: no limit */
    uint64_t keep_records_ms;     /* closed runs and messages, if not for longer */
    uint64_t fold_after_ms;       /* text of ended runs, this long after it was kept; 0: never */
    uint32_t journal_bytes;       /* of the journal; 0, and under HISTORY_SYNC_ALWAYS: none */
    uint64_t map_bytes;           /* first address space of the store; grows by itself; 0: 4 GiB */
};

/* Opens or creates the store in `directory` (made, 0700, when missing). On failure `ret_reason`
 * says what is wrong in a sentence and the result is -errno: -EBUSY another process has it open,
 * -EUCLEAN damaged or of another version, -ENOSPC, -EACCES, … */
int history_open(struct history **ret_history, const struct history_options *options,
    char ret_reason[HISTORY_REASON_SIZE]);
/* Stores and syncs what was committed; takes NULL. */
void history_close(struct history *history);

/* ---- streams */

/* The user's stream, made (empty, in memory) when new. NULL when memory is out or the identifier
 * is empty or above IDENTIFIER_MAX. Lives as long as the history. */
struct history_stream *history_stream(struct history *history, struct span user_id);
/* The user's stream, or NULL when there was never any. */
struct history_stream *history_find_stream(struct history *history, struct span user_id);
/* Visits a few streams, in no order, as map_scan does. */
uint64_t history_scan_streams(struct history *history, uint64_t cursor,
    void (*visit)(void *context, void *stream), void *context);
/* Gets into the cache what appending looks at, and what staging a ring's position does. */
void history_fetch(const struct history_stream *stream);
void history_fetch_position(const struct history *history, uint64_t ring);
/* Whose stream it is. */
struct span history_stream_user(const struct history_stream *stream);
/* The newest number, staged events included; 0 when there was never any. */
uint64_t history_head(const struct history_stream *stream);
/* The newest committed number. */
uint64_t history_committed_head(const struct history_stream *stream);
/* The newest one that may be shown: the committed, or after history_show_staged the staged head. */
uint64_t history_shown_head(const struct history_stream *stream);
/* The oldest retained number; committed head + 1 when none is. */
uint64_t history_oldest(const struct history_stream *stream);
/* Letters and digits. Valid until the epoch changes. */
const char *history_epoch(const struct history_stream *stream);
/* Gives the stream a new epoch, at once and durably. Numbers go on. */
int history_renew_epoch(struct history *history, struct history_stream *stream);
/*
 * Appends encoded events with numbers above `after`, up to the shown head, to `out`, in order, at
 * least one and then while they fit `max_bytes`. *ret_last: the last number read (`after` when
 * none).
 * -ERANGE when numbers just above `after` are no longer retained; -ENODATA when they are lost
 * because what had them is damaged: *ret_last is the last of them (what was read before it is
 * handed over first).
 */
int history_read(const struct history_stream *stream, uint64_t after, size_t max_bytes,
    struct buffer *out, uint64_t *ret_last);

/* ---- the batch being staged: each 0, -ENOMEM, or -EINVAL for an identifier that is empty or above
 * IDENTIFIER_MAX; what it is given is copied */

/* `seq` must be history_head + 1 (else -EINVAL); `encoded` is an event as event/codec.h writes it.
 * -ENOBUFS when the batch is full (256 MiB, or 2^20 streams): commit first. */
int history_append(
    struct history *history, struct history_stream *stream, uint64_t seq, struct span encoded);
/* Without a copy: what is appended behind what this buffer holds is staged by history_append_end,
 * or taken out when that fails. `ret_encoded` is good until more is staged. */
struct buffer *history_append_begin(struct history *history);
int history_append_end(
    struct history *history, struct history_stream *stream, uint64_t seq, struct span *ret_encoded);
/* A ring was drained up to `position` (bytes of its life, monotonic within a generation). */
struct history_position {
    uint64_t arena_id;
    uint64_t ring;
    uint64_t generation;
    uint64_t position;
};
/* One arena at a time: another one's first position retires the former's, as a new generation. */
int history_stage_position(struct history *history, const struct history_position *position);
/* A run's record under its identifier, opaque here; `open` runs are the ones found at start. */
int history_stage_run(struct history *history, struct span run_id, bool open, struct span record);
/* That this user's message was accepted as that run. */
int history_stage_message(
    struct history *history, struct span user_id, struct span message_id, struct span run_id);

/*
 * Commits what is staged (nothing staged: 0). On failure (-ENOSPC: disk full; -EIO; …) the batch
 * stays staged and a later call tries it again, so that numbers given stay given. With
 * HISTORY_SYNC_ALWAYS it returns after the sync. Small ones go to the journal (sync.h).
 */
int history_commit(struct history *history);
/* Whether what failed with `rc` failed for want of room, which may come back. */
bool history_is_full(int rc);
/*
 * For when commits fail and events are to be shown all the same: notes in the file `state`, which
 * needs no room for it, that numbers were shown that are not kept. From here on all that is staged
 * can be read, until a commit succeeds, which takes the note back. A history opened with the note
 * begins a new epoch. To be called again when more was staged. On failure nothing more may be
 * shown.
 */
int history_show_staged(struct history *history);
/* Events that wait for a commit. */
uint64_t history_staged_events(const struct history *history);
/* Commits since opening, and how many of them are synced. */
uint64_t history_commit_count(const struct history *history);
uint64_t history_synced_count(const struct history *history);
/* Makes all commits durable. May take milliseconds. After it failed once it fails until the history
 * is opened anew: what the kernel has dropped cannot be known. */
int history_sync(struct history *history);

/* ---- looking up what was committed or staged */

/* 0, or -ENOENT when nothing was drained of that ring in that arena and generation. */
int history_find_position(struct history *history, struct history_position *position);
/* Appends the record to `out`. -ENOENT. */
int history_find_run(struct history *history, struct span run_id, struct buffer *out);
/* Appends the identifier of the run to `out`. -ENOENT. */
int history_find_message(
    struct history *history, struct span user_id, struct span message_id, struct buffer *out);
/* Calls back for each open run, in order of identifier; stops at the first non-zero result. */
int history_each_open_run(struct history *history,
    int (*callback)(void *context, struct span run_id, struct span record), void *context);
