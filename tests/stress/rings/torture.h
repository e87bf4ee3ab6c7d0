/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the torture and the processes it kills say to each other.
 *
 * A writer thread has a number of its own, never used twice in a round, and numbers its events: seq
 * over all users, user_seq for each user. Once an event's emit has returned success, and only then,
 * it stores seq + 1 in its word of the acknowledgements, memory that outlives it and is no part of
 * the arena. The reader passes what it is handed through a pipe before it releases it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/arena.h"

#define TORTURE_SHARED_USERS 6u /* all write to these */
#define TORTURE_OWN_USERS 8u    /* new to the directory, and the next writers' as well */
#define TORTURE_USERS (TORTURE_SHARED_USERS + TORTURE_OWN_USERS) /* of one writer */
#define TORTURE_WRITERS_MAX 4000u                                /* numbers in a round */
#define TORTURE_PAYLOAD_MAX 196608u /* three times what fits a ring: the rest is spilled */
#define TORTURE_FD 3                /* a writer's acknowledgements, a reader's pipe */
#define TORTURE_STUCK_S 20
#define TORTURE_IDLE_MS 8 /* then a user's rings are taken back */
#define TORTURE_EXIT_STUCK 3

/* Head of every payload; what follows is a pattern made from seq. */
struct torture_payload {
    uint64_t seq;
    uint32_t writer;
    uint32_t user;
    uint32_t user_seq;
    uint32_t length; /* of the whole payload */
};

struct torture_ack {
    _Atomic uint64_t next; /* every event before it was acknowledged */
};

#define TORTURE_AT_REST UINT32_MAX /* for a ring: nobody is there, and nothing is left */

/* What a reader keeps of a record. */
struct torture_kept {
    uint64_t generation;
    uint64_t begin;
    uint64_t seq;
    uint32_t length; /* units, of the claim */
    uint32_t ring;
    uint32_t writer;
    uint32_t user;
    uint32_t user_seq;
    uint32_t intact; /* bytes as written, under the tag of the user they were written for */
};

/*
 * The arena all of them use: rings small at first, so that padding, full rings and growth are
 * common, and far fewer places than there are users, so that idle ones have to be taken back.
 */
static inline struct arena_options torture_options(const char *directory)
{
    return (struct arena_options){
        .directory = directory,
        .ring_count = 256,
        .ring_bytes = 262144,
        .first_ring_bytes = 16384,
        .spill_bytes = TORTURE_PAYLOAD_MAX,
        .process_count = 64,
        .slot_count = 128,
    };
}

/* A user's number by its place among a writer's users, and back; TORTURE_USERS: none of its. */
uint32_t torture_user(uint32_t writer, uint32_t place);
uint32_t torture_place(uint32_t writer, uint32_t user);
/* The user id with a NUL; returns its length. */
size_t torture_user_name(char ret_name[static 32], uint32_t user);

void torture_fill(struct torture_payload *payload);
bool torture_intact(const struct torture_payload *payload, uint32_t payload_length);

/* xorshift: repeatable by its seed. */
uint32_t torture_random(uint64_t *state);
int64_t torture_now_us(void);

/* Has this process die (SIGKILL) or stop (SIGSTOP) at the count-th pass of a step; "any": of all
 * steps taken together, "-": never. */
void torture_arm(const char *step, uint32_t count, int signal_number);

struct torture_writing {
    struct arena *arena;
    struct torture_ack *acks; /* by number */
    uint32_t number;
    uint64_t seed;
    uint64_t events;
};
/* One writing thread, with a ring_writer of its own; ends the process when something fails. */
void torture_write_events(const struct torture_writing *writing);

struct ring_record;
/* What is to be kept of a record; its bytes are checked here. */
void torture_keep(struct torture_kept *ret_kept, const struct ring_record *record);

/* The two kinds of process, with the arguments after the signal; they return an exit status. */
int torture_write(const char *directory, int argc, char **argv);
int torture_read(const char *directory, int argc, char **argv);
