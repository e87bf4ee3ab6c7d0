/* SPDX-License-Identifier: Apache-2.0 */
#include "batch/rings.h"

#include "base/log.h"
#include "base/paths.h"
#include "emitter/emitter.h"
#include "event/record.h"
#include "ring/doorbell.h"
#include "ring/reader.h"

#include <errno.h>
#include <stdio.h>

#define RECLAIM_IDLE_MS 1000

static int make_arena(struct batch_rings *rings, const struct config *config)
{
    char name[32], path[PATHS_MAX];
    const char *reason = NULL;
    snprintf(name, sizeof(name), "batch-%d", (int)getpid());
    int rc = paths_arena_dir(path, name);
    if (rc)
        return rc;
    const struct arena_options options = {.directory = path,
        .ring_count = ((uint32_t)config->ring_count + 63) & ~63u,
        .ring_bytes = (uint32_t)config->ring_bytes,
        .first_ring_bytes = (uint32_t)config->ring_first_bytes,
        .spill_bytes = (uint32_t)(config->ring_spill_bytes + 4095) & ~4095u,
        .memory_bytes = config->ring_memory,
        .ret_reason = &reason};
    rc = arena_create(&rings->arena, &options);
    if (!rc)
        rc = arena_unlink(rings->arena);
    if (rc)
        log_error("batch", "shared memory for rings (%s): %s (%s)", path,
            reason ? reason : "no details", strerror(-rc));
    return rc;
}

int batch_rings_init(struct batch_rings *rings, const struct config *config)
{
    *rings = (struct batch_rings){0};
    int rc = make_arena(rings, config);
    if (!rc)
        rc = ring_reader_new(&rings->reader, rings->arena);
    if (!rc && emitter_new_on(&rings->emitter, rings->arena, 0) != RS_OK)
        rc = -ENOMEM;
    return rc;
}

void batch_rings_deinit(struct batch_rings *rings)
{
    ring_reader_free(rings->reader);
    if (rings->emitter)
        rs_detach(rings->emitter);
    else
        arena_detach(rings->arena);
    buffer_deinit(&rings->copy);
}

/* ---- draining */

struct drain {
    struct batch_rings *rings;
    batch_event_fn take;
    void *context;
};

/* The payload is copied, since an event is looked at after its place may be written again. */
static void take_record(struct drain *drain, const struct ring_record *record)
{
    struct event event;
    struct buffer *copy = &drain->rings->copy;
    buffer_clear(copy);
    buffer_append(copy, record->payload, record->payload_length);
    if (buffer_error(copy) || event_record_decode(&event, buffer_span(copy)) < 0) {
        log_error("batch", "an event of ring %u cannot be read", record->ring);
        return;
    }
    drain->take(drain->context, &event);
}

static void drain_ring(void *userdata, uint32_t ring)
{
    struct drain *drain = userdata;
    struct batch_rings *rings = drain->rings;
    struct ring_record record;
    int rc;
    while ((rc = ring_reader_next(&record, rings->reader, ring)) == 1) {
        take_record(drain, &record);
        ring_reader_release(rings->reader, ring, record.end);
    }
    if (rc == -EUCLEAN) {
        rings->damaged++;
        log_error("batch", "ring %u is damaged: %s", ring, ring_reader_damage(rings->reader, ring));
    }
}

void batch_rings_drain(struct batch_rings *rings, batch_event_fn take, void *context)
{
    struct drain drain = {rings, take, context};
    while (doorbell_has_news(rings->arena) && doorbell_take(rings->arena, drain_ring, &drain) > 0)
        ;
}

void batch_rings_reclaim(struct batch_rings *rings, uint64_t now_ms)
{
    ring_reader_reclaim(rings->reader, now_ms, RECLAIM_IDLE_MS);
}
