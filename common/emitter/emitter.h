/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process's place at a node: the arena, a pool of writers, and the runs left to end.
 *
 * The ring layer wants a writer to be used by one thread at a time. A call takes an idle writer, or
 * a new one, for as long as it emits, so a process holds as many slots as it ever had threads
 * emitting at once. The lock guards the pool, the count of references and the list of orphans, and
 * is not held while emitting. It is not touched in a forked child, where somebody may hold it for
 * ever: whoever uses it asks emitter_is_forked first.
 *
 * Internal functions of the library return RS_E_* as the public ones do.
 */
#pragma once

#include "base/list.h"
#include "event/event.h"
#include "ring/arena.h"
#include "ring/writer.h"

#include <ringside.h>

#include <pthread.h>

struct pooled_writer {
    struct ring_writer writer;
    struct pooled_writer *next;
};

struct rs_emitter {
    struct arena *arena;
    pthread_mutex_t lock;
    struct pooled_writer *idle;
    struct list_link orphans; /* rs_run.link: freed, but their end did not fit their ring */
    unsigned refs;            /* the caller's, and one for each run that is not an orphan */
    uint32_t emit_timeout_ms;
};

/* Where a run's events go. */
struct stream {
    struct ring_lease lease;
    struct span user_id;        /* borrowed from the run */
    struct ring_place end;      /* of the last event, when there is one: the lease may be a newer */
    struct pooled_writer *held; /* kept from one call to the next, for a batch or a claim */
    unsigned holds;
    bool used;
};

/*
 * An emitter on an arena of this process's own, which it is the owner of and takes along: to the
 * emitter's end. RS_E_NO_MEMORY: the arena stays the caller's.
 */
int emitter_new_on(struct rs_emitter **ret_emitter, struct arena *arena, uint32_t emit_timeout_ms);

void emitter_ref(struct rs_emitter *emitter);
/* Takes NULL. Leaves the node with the last reference. */
void emitter_unref(struct rs_emitter *emitter);
bool emitter_is_forked(const struct rs_emitter *emitter);
/* What was emitted through it since reached nobody: the broker has given this process up. */
bool emitter_is_fenced(const struct rs_emitter *emitter);

/* When a call that emits gives up, in clock_monotonic_ms. */
uint64_t emitter_deadline(const struct rs_emitter *emitter);
#define DEADLINE_NEVER UINT64_MAX

/* A lease on the ring of stream->user_id. Errors as rs_run_open. */
int emitter_lease(struct rs_emitter *emitter, struct stream *stream);
/*
 * Put the event into the stream's ring, waiting for room until `deadline`. RS_E_FULL, _TOO_BIG,
 * _DAMAGED, _NO_ROOM, _FENCED, _FORKED, _NO_MEMORY, and nothing was emitted.
 */
int emitter_send(struct rs_emitter *emitter, struct stream *stream, const struct event *event,
    uint64_t deadline);

/* Keep one writer for the stream until emitter_let_go was called as often. RS_E_FORKED, _NO_ROOM,
 * _NO_MEMORY. */
int emitter_hold(struct rs_emitter *emitter, struct stream *stream);
void emitter_let_go(struct rs_emitter *emitter, struct stream *stream);
/* Claim room for an event of `size` bytes, as emitter_send. The stream holds its writer. */
int emitter_claim(struct ring_claim *ret_claim, struct rs_emitter *emitter, struct stream *stream,
    uint32_t size, uint64_t deadline);
/* What is in the claim is an event now. RS_E_FENCED: it is not. */
int emitter_commit(struct stream *stream, const struct ring_claim *claim);
