/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing. A ring_writer is one thread's slot in the arena: used by one thread at a time, with one
 * claim open at a time, on any number of rings. Nothing here waits for another writer. An event is
 * delivered, whoever dies afterwards, once commit or emit has returned 0, and only then.
 *
 * Positions count units of 32 bytes and never go back; (ring, generation, position) names a record.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct arena;
struct arena_slot;

/* Where a claim is. */
struct claim_place {
    uint64_t begin; /* position */
    uint64_t base_lap;
    uint32_t ring;
    uint32_t owner;
    uint32_t length; /* units */
};

struct ring_writer {
    struct arena *arena;     /* borrowed, must outlive the writer */
    struct arena_slot *slot; /* NULL: not initialised */
    uint64_t holder;
    uint32_t owner;
    uint32_t claim_open;
    uint32_t owed; /* in a batch: ring + 1 of commits whose bell has not rung */
    bool batch;
    struct claim_place place; /* of the open claim */
    uint64_t spill_word;      /* of its payload's place in the spill area; 0: it is in the ring */
    uint32_t spill;
};

/* The right to write into a user's ring. Plain data, may be copied; good for any writer. */
struct ring_lease {
    uint64_t generation;
    uint64_t user_tag;
    uint32_t ring;
};

struct ring_claim {
    void *payload; /* payload_length bytes of shared memory, 8-byte aligned, to be filled */
    uint32_t payload_length;
    uint32_t ring;
    uint64_t begin; /* positions of the record */
    uint64_t end;
};

/* A record's end, for as long as its user keeps the ring. */
struct ring_place {
    uint64_t generation;
    uint64_t position;
    uint32_t ring;
};

enum ring_position_kind {
    RING_SEQUENCED, /* the reader is through with it: it survives the reader */
    RING_DURABLE,   /* the reader says it is on disk */
    RING_DELIVERED, /* the reader says that a client has processed it */
};

/* Take a slot. -EUSERS: all taken; -ECHILD: forked. */
int ring_writer_init(struct ring_writer *writer, struct arena *arena);
/* Give the slot back; an open claim is abandoned. Takes a writer never initialised, if zeroed. */
void ring_writer_deinit(struct ring_writer *writer);
/* The id in the records of this writer: process_of_owner() of it is this process. */
uint32_t ring_writer_owner(const struct ring_writer *writer);

/* Find or claim the user's ring. Errors as directory_claim; -EUCLEAN: the ring is quarantined. */
int ring_lease_for_user(
    struct ring_lease *ret_lease, struct ring_writer *writer, const char *user_id, size_t length);

/* After -ESTALE: the lease for the larger ring that goes on, without looking the user up. -ESTALE:
 * the user's ring was retired, ring_lease_for_user finds or makes the next. -EUCLEAN, -ECHILD. */
int ring_lease_renew(struct ring_lease *lease, const struct ring_writer *writer);

/*
 * Claim room for a record of payload_length bytes (0 is allowed).
 *   -EAGAIN      full, or the user's share of the memory is: until the reader has released some
 *   -EDQUOT      the payload alone is over the user's share of what memory is left
 *   -ENOSPC      there is not that much memory for a spilled payload
 *   -EMSGSIZE    over arena_spill_max()
 *   -ESTALE      the ring was closed, perhaps just now for a larger one: get a new lease, try again
 *   -EUCLEAN     the ring is quarantined
 *   -EOWNERDEAD  this process was declared dead: detach, attach again
 *   -EBUSY       this writer has a claim open
 *   -EOVERFLOW   the ring's positions are used up (2^46 bytes)
 *   -ECHILD      forked
 */
int ring_reserve(struct ring_claim *ret_claim, struct ring_writer *writer,
    const struct ring_lease *lease, uint32_t payload_length);
/* Publish the record and ring the bell. -EOWNERDEAD: fenced, the record will not be delivered. */
int ring_commit(struct ring_writer *writer, const struct ring_claim *claim);
/* Give the claim up: the reader skips it. */
void ring_abandon(struct ring_writer *writer, const struct ring_claim *claim);

/* Reserve, copy the iovecs, commit. Errors as both. ret_end (may be NULL) is the record's end. */
int ring_emit(uint64_t *ret_end, struct ring_writer *writer, const struct ring_lease *lease,
    const struct iovec *iov, int iov_count);

/*
 * A batch: its commits owe the bell, which rings at the end and at ring_batch_ring, and by itself
 * before another ring is entered or a user looked up, and when a claim is refused. The slot names
 * the ring meanwhile: should the writer die it is rung for it, and it stays its user's. So be
 * short.
 */
void ring_batch_begin(struct ring_writer *writer);
void ring_batch_ring(struct ring_writer *writer);
void ring_batch_end(struct ring_writer *writer);

/* Wait until a record of that payload would fit: 0, -ETIMEDOUT, or an error as ring_reserve. It may
 * be full again at once: others write too. timeout_ms < 0 waits for ever. */
int ring_wait_space(struct ring_writer *writer, const struct ring_lease *lease,
    uint32_t payload_length, int timeout_ms);

/* Wait until the reader has passed the position (a record's end). 0, -ETIMEDOUT, -EINVAL for a ring
 * the arena does not have, -ECHILD. Any thread. */
int ring_wait_position(struct arena *arena, uint32_t ring, uint64_t position,
    enum ring_position_kind kind, int timeout_ms);
/* The same for a place. -ESTALE: its ring was taken back before it was said to be delivered. */
int ring_wait_place(struct arena *arena, const struct ring_place *place,
    enum ring_position_kind kind, int timeout_ms);
/* Whether it was passed: 1, 0, or an error as above. */
int ring_place_reached(
    const struct arena *arena, const struct ring_place *place, enum ring_position_kind kind);
/* Since when (monotonic ms) nobody has watched the lease's user. 0: somebody does, or nobody knows.
 */
uint64_t ring_unwatched_since(const struct arena *arena, const struct ring_lease *lease);
