/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the rings share: an arena in a directory of its own, with its reader. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ring/arena.h"
#include "ring/directory.h"
#include "ring/doorbell.h"
#include "ring/process.h"
#include "ring/reader.h"
#include "ring/writer.h"

#define FIXTURE_RINGS 64u
#define FIXTURE_RING_BYTES 16384u
#define FIXTURE_CAPACITY (FIXTURE_RING_BYTES / 32)

struct fixture {
    char parent[64];
    char directory[80];
    struct arena *arena; /* the owner's */
    struct ring_reader *reader;
    uint32_t ring_bytes; /* of the largest class */
    uint32_t spill_bytes;
    uint64_t memory_bytes;
};

/* cmocka setup and teardown: a small arena, owned, with a reader. */
int fixture_up(void **state);
int fixture_down(void **state);
/* The same, with rings that grow from FIXTURE_RING_BYTES to 16 times that. */
int fixture_up_growing(void **state);
/* Only the directory's name, nothing in it. */
int fixture_up_empty(void **state);
/* Take the arena up (again) as its owner. */
void fixture_own(struct fixture *f);
/* Let the owner go as at its death: nothing is released. */
void fixture_disown(struct fixture *f);

/* Remove the arena's files, nobody using them. */
void fixture_remove(struct fixture *f);

/* A writer of this process with a lease on a user's ring. */
struct ring_lease writer_up(struct ring_writer *w, struct arena *arena, const char *user);
/* Emits one 8-byte value in a payload of length bytes (at least 8) and asserts it went. */
void emit_value(
    struct ring_writer *w, const struct ring_lease *lease, uint64_t value, uint32_t length);
/* The same, returning what ring_emit said. */
int try_value(
    struct ring_writer *w, const struct ring_lease *lease, uint64_t value, uint32_t length);
/* The same, whatever ring the user has by now; -EAGAIN is left for the caller. */
int try_value_for(struct ring_writer *w, const char *user, uint64_t value, uint32_t length);
/* Asserts that the ring's next record carries the value; does not release. */
struct ring_record drain_value(struct fixture *f, uint32_t ring, uint64_t value);
/* Asserts there is no record. */
void drain_nothing(struct fixture *f, uint32_t ring);
/* Releases everything handed out. */
void release_all(struct fixture *f, uint32_t ring);
/* Reaps every dead process; returns how many claims were discarded. */
uint32_t reap_dead(struct arena *arena, process_reap_fn fn, void *userdata);
