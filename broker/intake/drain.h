/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "intake/processes.h"
#include "ring/arena.h"
#include "ring/reader.h"
#include "stream/pipeline.h"

/*
 * From the rings into the pipeline. A ring's records are taken in order, within a budget, and given
 * back only after the turn's commit, in which history is told how far each ring was drained. So a
 * broker that dies in between meets the same records again and knows them by their position.
 */
struct drain;

struct drain_options {
    struct arena *arena; /* borrowed, as all here */
    struct processes *processes;
    struct pipeline *pipeline;
    struct users *users;
    struct history *history;
    struct counters *counters;
    size_t max_staged;    /* bytes taken in before a commit must come */
    uint64_t user_rate;   /* events a second that are taken of one user; 0: any number */
    uint64_t worker_rate; /* of one process */
};

#define DRAIN_TURN_RECORDS 2048

int drain_new(struct drain **ret_drain, const struct drain_options *options);
void drain_free(struct drain *drain);
/*
 * Drains rings that have news: an equal share of `budget` records of each, and of the batch's
 * bytes, one record at least, until the turn has DRAIN_TURN_RECORDS or the batch is full; the next
 * turn begins with the ring behind. Such a turn's bytes are still in the cache when it is
 * committed. Rings whose user or writer is over its rate are left alone (pacing.h). Returns how
 * many were drained; rings that have more are marked at the doorbell again.
 */
size_t drain_turn(struct drain *drain, size_t budget);
/* When a ring that was left alone is to be looked at again, on the monotonic clock; 0: none is. */
uint64_t drain_due_ns(const struct drain *drain);
/* As much was taken in without a commit as may be. */
bool drain_full(const struct drain *drain);
/* Drains until nothing is committed in any ring; commits on the way when a batch is full. What the
 * commit says, if it failed: then something is left. */
int drain_everything(struct drain *drain);
/* Where the user's ring ends now: everything emitted for the user so far lies before it. */
struct ring_mark drain_mark(struct drain *drain, const struct user *user);
/* Whether all before the mark was drained (a ring set aside as damaged brings nothing more). */
bool drain_passed(const struct drain *drain, const struct ring_mark *mark);
/* After the commit: gives the drained records' space back. */
void drain_release(struct drain *drain);
/* As a sync begins: what was released by now is what it makes durable. */
void drain_sync_begins(struct drain *drain);
/* Once it is through: tells writers who wait for it that this is durable. */
void drain_durable(struct drain *drain);
/* A client of the user has acknowledged more: tells emitters what of theirs that reaches. */
void drain_acknowledged(struct drain *drain, const struct user *user);
/* Somebody began or ceased to watch the user. */
void drain_watch(struct drain *drain, const struct user *user);
/*
 * About once a second, before the three below, which look at rings without being told to. Where
 * there are many users, at a share of them each time, so that all have their turn in DRAIN_ROUND
 * seconds; DRAIN_LOOKED_AT of them cost too little to be shared out.
 */
#define DRAIN_ROUND 8
#define DRAIN_LOOKED_AT 16384
void drain_look_on(struct drain *drain);
/* About once a second: gives back the memory of rings outgrown, unused for idle_ms, or damaged. */
void drain_reclaim(struct drain *drain, uint64_t now_ms, uint64_t idle_ms);

/* What becomes of living processes that stand within an emit. */
struct drain_stuck {
    uint64_t after_ms; /* from when on that is told, once each */
    bool kill;         /* and then ends the process */
    bool kill_fenced;  /* one that was given up is ended at once */
};

/* About once a second. What the process had claimed is taken back when the kernel says it is dead.
 */
void drain_unstick(struct drain *drain, uint64_t now_ms, const struct drain_stuck *stuck);
/* Marks rings whose bell may have been lost. */
void drain_sweep(struct drain *drain);
void drain_stats(const struct drain *drain, struct ring_reader_stats *ret_stats);

/* What was taken of a user's events, or of a process's, since it is known. */
struct drain_account {
    uint64_t events;
    uint64_t bytes; /* of payloads */
    uint64_t events_per_s;
    uint64_t held;       /* how often it was over its rate and waited */
    uint64_t ring_bytes; /* a user's: written and not given back */
};
void drain_user_account(
    const struct drain *drain, const struct user *user, struct drain_account *ret_account);
/* All 0 when the process has written nothing. */
void drain_process_account(const struct drain *drain, uint32_t process, uint64_t incarnation,
    struct drain_account *ret_account);
