/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: the owner's side, for one thread. Nothing the shared memory says is trusted: what a
 * record claims is checked once loaded, a ring that cannot be is quarantined (its writers are told
 * -EUCLEAN) and the others go on.
 *
 * The owner iterates with ring_reader_next, keeps what it got, and only then releases it. Until the
 * release the records stay where they are; a new owner after a crash gets them again, known by
 * (arena id, ring, generation, begin).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct ring_reader;

struct ring_record {
    const void *payload; /* shared memory, borrowed until the release. A hostile writer may change
                            it meanwhile: copy before checking what is inside */
    uint32_t payload_length;
    uint32_t ring;
    uint32_t owner;       /* the writer's slot, which may be another's by now */
    uint32_t process;     /* the process that wrote it, as it says: index and */
    uint32_t incarnation; /* incarnation are those of process_info, never used twice */
    uint64_t user_tag;
    uint64_t generation;
    uint64_t begin; /* positions, in units of 32 bytes */
    uint64_t end;
};

struct ring_reader_stats {
    uint64_t records;      /* handed out, repeats after a rewind included */
    uint64_t discarded;    /* claims of dead writers and abandoned ones, skipped */
    uint64_t misaddressed; /* records with another user's tag, skipped: never delivered */
    uint64_t quarantined;  /* rings found damaged */
    uint64_t reclaimed;    /* users whose rings were taken back, idle or damaged */
    uint64_t outgrown;     /* rings whose memory was given back because a larger one went on */
};

/* A reader on an owned arena (-EPERM otherwise), the caller's until ring_reader_free. Takes every
 * ring up where the last reader left it and marks those with news at the doorbell. */
int ring_reader_new(struct ring_reader **ret_reader, struct arena *arena);
/* Takes NULL, returns NULL. */
struct ring_reader *ring_reader_free(struct ring_reader *reader);

/*
 * The next committed record of a ring, from the reader's private cursor on.
 *   1         a record
 *   0         nothing more for now: empty, or a claim of a living writer is in the way (its commit
 *             will ring), or the ring is nobody's
 *   -EUCLEAN  damaged: quarantined just now or before
 */
int ring_reader_next(struct ring_record *ret_record, struct ring_reader *reader, uint32_t ring);
/* For who stops before ring_reader_next has said 0: whether the ring is to be looked at again. If
 * not, whoever writes next rings for it: behind the caller's doorbell_take, which came before. */
bool ring_reader_has_more(struct ring_reader *reader, uint32_t ring);
/* Gets what is known of the ring into the cache, and some time later what it says next, or what its
 * release writes: for who knows which rings come after this one. */
void ring_reader_fetch(const struct ring_reader *reader, uint32_t ring);
void ring_reader_fetch_record(const struct ring_reader *reader, uint32_t ring);
void ring_reader_fetch_release(const struct ring_reader *reader, uint32_t ring);

/*
 * Everything before `upto` (an end the reader was given) is kept: give the space back, wake those
 * who wait for it. Skipped claims after it are given back with it. -EINVAL: not between what is
 * released and the cursor.
 */
int ring_reader_release(struct ring_reader *reader, uint32_t ring, uint64_t upto);
/* Put the cursor back to the first record not released. */
void ring_reader_rewind(struct ring_reader *reader, uint32_t ring);
/* Publish that everything before `upto` is on disk. Never goes back. -EINVAL: beyond the released.
 */
int ring_reader_set_durable(struct ring_reader *reader, uint32_t ring, uint64_t upto);

/* Publish that a client of the user has processed everything before `upto`. The same. */
int ring_reader_set_delivered(struct ring_reader *reader, uint32_t ring, uint64_t upto);
/* Publish since when (monotonic ms) nobody has watched the user whose ring it is; 0: somebody does.
 */
void ring_reader_set_unwatched(struct ring_reader *reader, uint32_t ring, uint64_t since_ms);
/* Up to where it was released; 0 for a ring nobody has. */
uint64_t ring_reader_released(struct ring_reader *reader, uint32_t ring);

/* Where ring_reader_next will look. */
uint64_t ring_reader_cursor(const struct ring_reader *reader, uint32_t ring);
/*
 * Where writers will claim next. Everything committed before this call lies before it: what a dead
 * process had emitted for a user is all handed out once the cursor has come this far (a living
 * writer's open claim may keep it from that for a moment). 0 for a ring nobody has.
 */
uint64_t ring_reader_tail(struct ring_reader *reader, uint32_t ring);
/* Bytes writers hold in the ring and have not been given back; 0 for a ring nobody has. */
uint64_t ring_reader_held_bytes(const struct ring_reader *reader, uint32_t ring);
/* Bytes the user whose ring it is holds: in all of its rings, and spilled. */
uint64_t ring_reader_user_bytes(const struct ring_reader *reader, uint32_t ring);
/* -EUCLEAN's reason in words, static; NULL for a sound ring. */
const char *ring_reader_damage(const struct ring_reader *reader, uint32_t ring);
/* The ring's generation as the reader knows it, 0 for a ring nobody has. */
uint64_t ring_reader_generation(const struct ring_reader *reader, uint32_t ring);

/*
 * ring_reader_reclaim, ring_reader_next_stuck and ring_reader_sweep look at all users, unless a
 * window was ever set: then at so many, those behind the window before, and behind the last at the
 * first. So where there are many, a look costs a share of what they all cost, and each has its turn
 * once in so many.
 */
void ring_reader_move_window(struct ring_reader *reader, uint32_t users);

/*
 * Take back the memory of rings that were outgrown, of users with nothing written for idle_ms (0:
 * none for being idle) and of damaged rings; the places are then anybody's. Call about once a
 * second, with a clock that does not jump. Never waits: what a writer stands in is left for the
 * next call. Returns how many users' rings were taken back.
 */
size_t ring_reader_reclaim(struct ring_reader *reader, uint64_t now_ms, uint64_t idle_ms);

/* A claim of a living process that everything behind it waits for. */
struct ring_stuck {
    uint32_t ring;
    uint32_t process; /* who has it: as in process_info */
    uint32_t incarnation;
    uint64_t position;
    uint64_t for_ms; /* since a call of this first saw it */
};

/* Iterates the claims seen in flight for at least after_ms: start with *cursor = 0, about once a
 * second. Nothing is taken from their owners. */
bool ring_reader_next_stuck(struct ring_stuck *ret_stuck, struct ring_reader *reader,
    uint32_t *cursor, uint64_t now_ms, uint64_t after_ms);

/* The slow safety net: marks every ring that has claims beyond the cursor. Returns how many. */
size_t ring_reader_sweep(struct ring_reader *reader);
void ring_reader_stats(struct ring_reader_stats *ret_stats, const struct ring_reader *reader);
