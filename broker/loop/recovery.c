/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/recovery.h"

#include "base/log.h"
#include "event/codec.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_BYTES (1u << 20)

static int load_run(void *context, struct span run_id, struct span record)
{
    const struct recovery *recovery = context;
    struct span user_id;
    enum run_state state;
    struct run *run;
    int rc = run_peek(record, &user_id, &state);
    struct user *user = rc ? NULL : users_get(recovery->users, user_id);
    if (!rc)
        rc = user ? run_decode(&run, user, run_id, record) : -ENOMEM;
    if (rc) {
        log_error("recovery", "run %.*s cannot be read and is left alone: %s", SPAN_ARG(run_id),
            strerror(-rc));
        return rc == -ENOMEM ? rc : 0;
    }
    rc = pipeline_adopt(recovery->pipeline, run);
    if (rc)
        run_free(run);
    return rc;
}

/* ---- how far a run is, from its events */

static void replay_event(const struct recovery *recovery, const struct event *event)
{
    struct run *run = pipeline_find(recovery->pipeline, event->run_id);
    if (!run || event->seq < run->first_seq)
        return;
    /* The record has the state; the events have what is open. */
    enum run_state state = run->state;
    lifecycle_apply(run, event);
    run->state = state;
    snapshot_fold(&run->snapshot, event, recovery->pipeline->snapshot_bytes);
}

static int replay_page(
    const struct recovery *recovery, const struct user *user, uint64_t *after, struct buffer *page)
{
    uint64_t last = *after;
    buffer_clear(page);
    int rc = history_read(user->stream, *after, PAGE_BYTES, page, &last);
    if (rc == -ENODATA) { /* what a damaged batch had; the record has the state */
        *after = last;
        return 1;
    }
    if (rc || last == *after)
        return rc;
    struct event event;
    for (size_t offset = 0; event_decode_next(&event, buffer_span(page), &offset) == 1;)
        replay_event(recovery, &event);
    *after = last;
    return 1;
}

static int replay_user(const struct recovery *recovery, const struct user *user)
{
    uint64_t after = history_head(user->stream);
    LIST_FOR_EACH(struct run, run, &user->runs, user_link)
    {
        if (run->first_seq && run->first_seq <= after)
            after = run->first_seq - 1;
    }
    if (after + 1 < history_oldest(user->stream))
        after = history_oldest(user->stream) - 1;
    struct buffer page = BUFFER_INIT;
    int rc;
    while ((rc = replay_page(recovery, user, &after, &page)) == 1)
        continue;
    buffer_deinit(&page);
    return rc;
}

int recovery_load(const struct recovery *recovery)
{
    int rc = history_each_open_run(recovery->history, load_run, (void *)(uintptr_t)recovery);
    if (rc)
        return rc;
    size_t cursor = 0;
    for (struct user *user; (user = map_next(&recovery->users->map, &cursor));) {
        rc = list_empty(&user->runs) ? 0 : replay_user(recovery, user);
        if (rc)
            log_error("recovery", "the events of %s cannot be read: %s", user->id, strerror(-rc));
    }
    return 0;
}

/* ---- what becomes of them */

static void settle_run(const struct recovery *recovery, struct run *run)
{
    run->death_exit_code = -1;
    if (run->state == RUN_QUEUED)
        queue_note(&recovery->pipeline->queue, run);
    else if (!run->placed || run->arena_id != recovery->pipeline->arena_id)
        farewell_say(recovery->farewell, run, FAREWELL_DIED); /* of another arena: long gone */
}

static int compare_runs(const void *left, const void *right)
{
    return run_compare_age(*(struct run *const *)left, *(struct run *const *)right);
}

/* Oldest first, which is the order of the queue. */
static size_t settle_runs(const struct recovery *recovery)
{
    struct buffer all = BUFFER_INIT;
    size_t cursor = 0;
    for (struct run *run; (run = map_next(&recovery->pipeline->runs, &cursor));)
        buffer_append(&all, &run, sizeof(struct run *));
    struct run **runs = (struct run **)(void *)all.data;
    size_t count = all.len / sizeof(struct run *);
    if (count)
        qsort(runs, count, sizeof(struct run *), compare_runs);
    for (size_t i = 0; i < count; i++)
        settle_run(recovery, runs[i]);
    buffer_deinit(&all);
    return count;
}

int recovery_settle(const struct recovery *recovery)
{
    processes_turn(recovery->processes, true);
    size_t found = settle_runs(recovery);
    farewell_sweep(recovery->farewell);
    int rc = drain_everything(recovery->drain);
    while (!rc && farewell_turn(recovery->farewell)) {
        rc = history_commit(recovery->history);
        if (!rc)
            drain_release(recovery->drain);
    }
    if (rc)
        return rc;
    log_info("recovery", "%zu open runs found, %zu queued", found, recovery->pipeline->queue.count);
    return 0;
}
