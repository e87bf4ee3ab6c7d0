/* SPDX-License-Identifier: Apache-2.0 */
#include "emitter.h"

#include "base/clock.h"
#include "base/paths.h"
#include "error.h"
#include "event/record.h"
#include "orphan.h"
#include "ring/process.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* A ring that is closed again each time its successor was found is not the usual growing. */
#define LEASES_MAX 16

static int find_arena(char ret_path[PATHS_MAX], const struct rs_attach_options *options)
{
    const char *node = options->node ? options->node : getenv("RINGSIDE_NODE_NAME");
    if (!node || !node[0])
        node = "default";
    if (!identifier_valid(span_of_string(node)) || strchr(node, '/'))
        return RS_E_INVALID;
    return paths_arena_dir(ret_path, node) ? RS_E_INVALID : RS_OK;
}

static int attach(struct arena **ret_arena, const struct rs_attach_options *options)
{
    char path[PATHS_MAX];
    const char *directory = options->arena_dir;
    if (!directory) {
        int rc = find_arena(path, options);
        if (rc)
            return rc;
        directory = path;
    }
    int rc = arena_attach(ret_arena, directory);
    return rc == -ENOTDIR ? RS_E_NO_NODE : error_from_errno(rc);
}

int emitter_new_on(struct rs_emitter **ret_emitter, struct arena *arena, uint32_t emit_timeout_ms)
{
    struct rs_emitter *emitter = calloc(1, sizeof(*emitter));
    if (!emitter)
        return RS_E_NO_MEMORY;
    emitter->arena = arena;
    pthread_mutex_init(&emitter->lock, NULL);
    list_init(&emitter->orphans);
    emitter->refs = 1;
    emitter->emit_timeout_ms = emit_timeout_ms;
    *ret_emitter = emitter;
    return RS_OK;
}

int rs_attach(rs_emitter **ret_emitter, const struct rs_attach_options *options)
{
    static const struct rs_attach_options defaults = {.emit_timeout_ms = RS_EMIT_TIMEOUT_DEFAULT};
    struct arena *arena;
    if (!ret_emitter)
        return RS_E_INVALID;
    if (!options)
        options = &defaults;
    int rc = attach(&arena, options);
    if (rc)
        return rc;
    rc = emitter_new_on(ret_emitter, arena, options->emit_timeout_ms);
    if (rc)
        arena_detach(arena);
    return rc;
}

static void emitter_free(struct rs_emitter *emitter)
{
    bool forked = emitter_is_forked(emitter);
    orphans_free(emitter);
    while (emitter->idle) {
        struct pooled_writer *writer = emitter->idle;
        emitter->idle = writer->next;
        if (!forked)
            ring_writer_deinit(&writer->writer);
        free(writer);
    }
    arena_detach(emitter->arena);
    if (!forked)
        pthread_mutex_destroy(&emitter->lock);
    free(emitter);
}

rs_emitter *rs_detach(rs_emitter *emitter)
{
    emitter_unref(emitter);
    return NULL;
}

/* In a forked child only one thread is left, and the lock may be nobody's to give back. */
static void emitter_lock(struct rs_emitter *emitter)
{
    if (!emitter_is_forked(emitter))
        pthread_mutex_lock(&emitter->lock);
}

static void emitter_unlock(struct rs_emitter *emitter)
{
    if (!emitter_is_forked(emitter))
        pthread_mutex_unlock(&emitter->lock);
}

void emitter_unref(struct rs_emitter *emitter)
{
    if (!emitter)
        return;
    emitter_lock(emitter);
    bool last = --emitter->refs == 0;
    emitter_unlock(emitter);
    if (last)
        emitter_free(emitter);
}

void emitter_ref(struct rs_emitter *emitter)
{
    emitter_lock(emitter);
    emitter->refs++;
    emitter_unlock(emitter);
}

bool emitter_is_forked(const struct rs_emitter *emitter)
{
    return arena_is_forked(emitter->arena);
}

bool emitter_is_fenced(const struct rs_emitter *emitter)
{
    return process_is_fenced(emitter->arena);
}

uint32_t rs_emitter_process_index(const rs_emitter *emitter)
{
    return arena_process_index(emitter->arena);
}

uint32_t rs_emitter_event_max(const rs_emitter *emitter)
{
    return arena_spill_max(emitter->arena) - EVENT_RECORD_HEADER_SIZE;
}

uint64_t emitter_deadline(const struct rs_emitter *emitter)
{
    return clock_monotonic_ms() + emitter->emit_timeout_ms;
}

/* Negative errno, as the ring layer's. */
static int writer_take(struct pooled_writer **ret_writer, struct rs_emitter *emitter)
{
    if (emitter_is_forked(emitter))
        return -ECHILD;
    pthread_mutex_lock(&emitter->lock);
    struct pooled_writer *writer = emitter->idle;
    if (writer)
        emitter->idle = writer->next;
    pthread_mutex_unlock(&emitter->lock);
    if (!writer) {
        writer = calloc(1, sizeof(*writer));
        int rc = writer ? ring_writer_init(&writer->writer, emitter->arena) : -ENOMEM;
        if (rc < 0) {
            free(writer);
            return rc;
        }
    }
    *ret_writer = writer;
    return 0;
}

static void writer_give_back(struct rs_emitter *emitter, struct pooled_writer *writer)
{
    pthread_mutex_lock(&emitter->lock);
    writer->next = emitter->idle;
    emitter->idle = writer;
    pthread_mutex_unlock(&emitter->lock);
}

static int stream_lease(struct stream *stream, struct ring_writer *writer)
{
    return ring_lease_for_user(&stream->lease, writer, stream->user_id.data, stream->user_id.len);
}

int emitter_lease(struct rs_emitter *emitter, struct stream *stream)
{
    struct pooled_writer *writer;
    int rc = writer_take(&writer, emitter);
    if (rc)
        return error_from_errno(rc);
    rc = stream_lease(stream, &writer->writer);
    writer_give_back(emitter, writer);
    return error_from_errno(rc);
}

static int wait_space(
    struct ring_writer *writer, const struct stream *stream, size_t size, uint64_t deadline)
{
    uint64_t now = clock_monotonic_ms();
    if (now >= deadline)
        return -EAGAIN;
    uint64_t left = deadline - now;
    int rc =
        ring_wait_space(writer, &stream->lease, (uint32_t)size, left < INT_MAX ? (int)left : -1);
    return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

/* One event on its way into its ring. */
struct attempt {
    struct stream *stream;
    struct ring_writer *writer;
    size_t size;
    uint64_t deadline;
    int leases;
};

/* -EAGAIN is waited out and -ESTALE answered with a new lease: 0, try again. Anything else is the
 * result. */
static int attempt_again(struct attempt *attempt, int rc)
{
    if (rc == -EAGAIN)
        rc = wait_space(attempt->writer, attempt->stream, attempt->size, attempt->deadline);
    if (rc == -ESTALE && attempt->leases++ < LEASES_MAX)
        rc = stream_lease(attempt->stream, attempt->writer);
    return rc;
}

static void stream_passed(struct stream *stream, uint64_t end)
{
    stream->end = (struct ring_place){
        .generation = stream->lease.generation, .position = end, .ring = stream->lease.ring};
    stream->used = true;
}

static int attempt_emit(struct attempt *attempt, const struct event_record *record)
{
    uint64_t end;
    int rc;
    do {
        rc = ring_emit(
            &end, attempt->writer, &attempt->stream->lease, record->parts, EVENT_RECORD_PARTS);
        if (rc == 0) {
            stream_passed(attempt->stream, end);
            return 0;
        }
        rc = attempt_again(attempt, rc);
    } while (rc == 0);
    return rc;
}

int emitter_send(
    struct rs_emitter *emitter, struct stream *stream, const struct event *event, uint64_t deadline)
{
    struct event_record record;
    int rc = event_record_encode(&record, event);
    if (rc)
        return error_from_errno(rc);
    rc = emitter_hold(emitter, stream);
    if (rc)
        return rc;
    struct attempt attempt = {
        .stream = stream,
        .writer = &stream->held->writer,
        .size = record.size,
        .deadline = deadline,
    };
    rc = attempt_emit(&attempt, &record);
    emitter_let_go(emitter, stream);
    return error_from_errno(rc);
}

int emitter_hold(struct rs_emitter *emitter, struct stream *stream)
{
    if (emitter_is_forked(emitter))
        return RS_E_FORKED;
    int rc = stream->held ? 0 : writer_take(&stream->held, emitter);
    if (rc == 0)
        stream->holds++;
    return error_from_errno(rc);
}

void emitter_let_go(struct rs_emitter *emitter, struct stream *stream)
{
    if (--stream->holds > 0)
        return;
    /* In a forked child the pool's lock may be nobody's to give back, and nobody wants a writer. */
    if (emitter_is_forked(emitter))
        free(stream->held);
    else
        writer_give_back(emitter, stream->held);
    stream->held = NULL;
}

int emitter_claim(struct ring_claim *ret_claim, struct rs_emitter *emitter, struct stream *stream,
    uint32_t size, uint64_t deadline)
{
    struct attempt attempt = {
        .stream = stream,
        .writer = &stream->held->writer,
        .size = size,
        .deadline = deadline,
    };
    int rc;
    if (emitter_is_forked(emitter))
        return RS_E_FORKED;
    do {
        rc = ring_reserve(ret_claim, attempt.writer, &stream->lease, size);
        if (rc == 0)
            return RS_OK;
        rc = attempt_again(&attempt, rc);
    } while (rc == 0);
    return error_from_errno(rc);
}

int emitter_commit(struct stream *stream, const struct ring_claim *claim)
{
    int rc = ring_commit(&stream->held->writer, claim);
    if (rc == 0)
        stream_passed(stream, claim->end);
    return error_from_errno(rc);
}
