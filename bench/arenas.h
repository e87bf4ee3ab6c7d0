/* SPDX-License-Identifier: Apache-2.0 */
/* The rings the measurements run on. */
#pragma once

#include "ring/arena.h"
#include "ring/reader.h"
#include "ring/writer.h"

struct bench_page;

#define BENCH_RING_SMALL 16384u
#define BENCH_RING_LARGE 262144u

/* An arena for so many users with rings that grow to so many bytes, owned by the caller, with its
 * reader. */
struct bench_owner {
    struct arena *arena;
    struct ring_reader *reader;
};

void bench_owner_up(
    struct bench_owner *ret_owner, const char *directory, uint32_t users, uint32_t ring_bytes);
void bench_owner_down(struct bench_owner *owner);
struct ring_lease bench_lease(struct ring_writer *writer, uint32_t user);

/* ring_emit, going on in the larger ring when a ring has grown. 0 or -EAGAIN. */
int bench_put(
    struct ring_writer *writer, struct ring_lease *lease, const void *bytes, uint32_t length);

typedef void (*bench_record_fn)(void *userdata, const struct ring_record *record);
/* Takes the doorbell and drains what it names, in portions, released as they come. */
size_t bench_drain(struct bench_owner *owner, bench_record_fn fn, void *userdata);
