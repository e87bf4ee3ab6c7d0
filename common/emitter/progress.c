/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run's events have come, and whether anybody is there to see them. */
#include "base/clock.h"
#include "error.h"
#include "run.h"

#include <errno.h>

/* What the ring layer calls a point behind RS_COMMITTED. */
static enum ring_position_kind kind_of(enum rs_commit_point point)
{
    switch (point) {
    case RS_DURABLE: return RING_DURABLE;
    case RS_DELIVERED: return RING_DELIVERED;
    case RS_COMMITTED:
    case RS_SEQUENCED: break;
    }
    return RING_SEQUENCED;
}

/* Of a ring that was taken back nobody will say it any more: as if the time was over. */
static int wait_for(struct rs_emitter *emitter, const struct ring_place *place,
    enum rs_commit_point point, int timeout_ms)
{
    if (point == RS_COMMITTED)
        return RS_OK;
    int rc = ring_wait_place(emitter->arena, place, kind_of(point), timeout_ms);
    return rc == -ESTALE ? RS_E_TIMEOUT : error_from_errno(rc);
}

int rs_run_flush(rs_run *run, enum rs_commit_point point, int timeout_ms)
{
    if (!run || (unsigned)point > RS_DELIVERED)
        return RS_E_INVALID;
    if (emitter_is_forked(run->emitter))
        return RS_E_FORKED;
    if (!run->stream.used)
        return RS_OK;
    if (run->batch && point != RS_COMMITTED)
        ring_batch_ring(&run->stream.held->writer);
    return wait_for(run->emitter, &run->stream.end, point, timeout_ms);
}

int rs_run_position(const rs_run *run, struct rs_position *ret_position)
{
    if (!run || !ret_position)
        return RS_E_INVALID;
    if (!run->stream.used)
        return RS_E_ORDER;
    *ret_position = (struct rs_position){.generation = run->stream.end.generation,
        .position = run->stream.end.position,
        .ring = run->stream.end.ring};
    return RS_OK;
}

static struct ring_place place_of(const struct rs_position *position)
{
    return (struct ring_place){
        .generation = position->generation, .position = position->position, .ring = position->ring};
}

int rs_event_reached(
    const rs_emitter *emitter, const struct rs_position *position, enum rs_commit_point point)
{
    if (!emitter || !position || (unsigned)point > RS_DELIVERED)
        return RS_E_INVALID;
    const struct ring_place place = place_of(position);
    int rc = ring_place_reached(emitter->arena, &place, kind_of(point));
    if (rc == -ESTALE)
        return 0;
    return rc < 0 ? error_from_errno(rc) : rc || point == RS_COMMITTED;
}

int rs_event_wait(rs_emitter *emitter, const struct rs_position *position,
    enum rs_commit_point point, int timeout_ms)
{
    if (!emitter || !position || (unsigned)point > RS_DELIVERED)
        return RS_E_INVALID;
    if (emitter_is_forked(emitter))
        return RS_E_FORKED;
    const struct ring_place place = place_of(position);
    return wait_for(emitter, &place, point, timeout_ms);
}

uint64_t rs_run_unwatched_ms(const rs_run *run)
{
    uint64_t since = run ? ring_unwatched_since(run->emitter->arena, &run->stream.lease) : 0;
    uint64_t now = clock_monotonic_ms();
    return since && now > since ? now - since : 0;
}
