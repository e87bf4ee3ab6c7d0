/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of ringside.h: waiting and not waiting, batches, events written in place. All of it is for
 * the run's thread, as everything that is done with a run.
 */
#pragma once

#include <ringside.h>

RS_BEGIN_DECLS

/*
 * How long the run's calls wait for room from now on, each of them: 0 not at all, < 0 for ever,
 * else milliseconds. A run begins with rs_attach_options.emit_timeout_ms. Set before a call, it is
 * that call's. RS_E_INVALID: no run.
 */
RS_API int rs_run_set_timeout(rs_run *run, int timeout_ms);

enum rs_commit_point {
    RS_COMMITTED, /* in the ring: outlives this process; so is all that was emitted with RS_OK */
    RS_SEQUENCED, /* numbered by the broker and committed to its history */
    RS_DURABLE,   /* that history is synced to disk */
    RS_DELIVERED, /* a client of the user has said that it processed it; it may not be durable yet
                   */
};

/* Wait until all the run emitted so far came that far. timeout_ms < 0: for ever. RS_E_TIMEOUT. */
RS_API int rs_run_flush(rs_run *run, enum rs_commit_point point, int timeout_ms);

/*
 * Where the event is that the run emitted last. Plain data, to be kept and copied; good for its
 * emitter, from any thread. RS_E_ORDER: nothing was emitted yet.
 */
struct rs_position {
    uint64_t generation;
    uint64_t position;
    uint32_t ring;
};
RS_API int rs_run_position(const rs_run *run, struct rs_position *ret_position);
/* 1: it and all before it came that far; 0: not yet, as far as is known. RS_E_INVALID, _FORKED. */
RS_API int rs_event_reached(
    const rs_emitter *emitter, const struct rs_position *position, enum rs_commit_point point);
/* Wait for it: as rs_run_flush, but not within a batch. */
RS_API int rs_event_wait(rs_emitter *emitter, const struct rs_position *position,
    enum rs_commit_point point, int timeout_ms);

/*
 * How long, in milliseconds, no client of the run's user has been connected; 0 while one is, and
 * while it is not known. Clients that reconnect are away for a moment: do not act on less than
 * some seconds.
 */
RS_API uint64_t rs_run_unwatched_ms(const rs_run *run);

/*
 * A batch: until its end the run's events are committed one by one as ever, and the broker is woken
 * for all of them together, at the end, at rs_run_flush, and before a call waits for room. Until
 * then it may see them or not; if this process dies it does. A batch holds a writer slot of the
 * node: keep it short. RS_E_ORDER: it is open, or is not; RS_E_NO_ROOM, RS_E_NO_MEMORY,
 * RS_E_FORKED.
 */
RS_API int rs_batch_begin(rs_run *run);
RS_API int rs_batch_end(rs_run *run);

/* An event whose data is written where the broker will read it. */
struct rs_reservation {
    const char *type;         /* as for rs_emit, but no end of the run */
    const char *message_id;   /* as for rs_emit */
    const char *tool_call_id; /* as for rs_emit */
    size_t size;              /* bytes the data may have */
    char *data;               /* set by rs_reserve: `size` bytes, the caller's until the commit */
};

/*
 * Reserve an event's place in the user's ring and write its data there. Until rs_commit or
 * rs_abandon the run takes no other step (RS_E_ORDER), and *all* later events of the user, of other
 * processes too, stand behind this one: reserve when the data is at hand, not before it is made.
 * The memory is shared: write it, do not keep secrets or state in it. RS_E_TYPE, RS_E_TOO_BIG,
 * RS_E_FULL, RS_E_ORDER before rs_run_start and while another is open, and as rs_emit.
 */
RS_API int rs_reserve(rs_run *run, struct rs_reservation *reservation);
/*
 * The data is `length` bytes long, at most the size: one JSON object, checked and completed in
 * place as rs_emit does. RS_E_INVALID (also for data that would end the run) and RS_E_ORDER leave
 * it reserved: mend it, or abandon it. RS_E_FENCED: it is gone, and will not be delivered.
 */
RS_API int rs_commit(rs_run *run, size_t length);
/* Give the place up: nothing is emitted. Nothing happens when none is reserved. */
RS_API void rs_abandon(rs_run *run);

RS_END_DECLS
