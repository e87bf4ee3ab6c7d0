/* SPDX-License-Identifier: Apache-2.0 */
#include "stages.h"

#include <errno.h>

#include "base/json_scan.h"
#include "event/codec.h"
#include "event/record.h"
#include "ring/directory.h"

#define TURN_BUDGET 8192 /* the broker's */
#define STAGED_MAX (DRAIN_TURN_RECORDS * 1024u)

/* ---- the copies of the stages */

static void open_history(struct stages *stages, const char *directory)
{
    char reason[HISTORY_REASON_SIZE];
    const struct history_options options = {
        .directory = directory, .sync = HISTORY_SYNC_INTERVAL, .max_bytes = 1u << 30};

    bench_need(history_open(&stages->history, &options, reason), "history_open");
    /* So that what was staged stays where it is. */
    bench_need_memory(
        buffer_reserve(history_append_begin(stages->history), STAGED_MAX), "buffer_reserve");
}

void stages_up(struct stages *stages, struct node *node, const char *directory)
{
    *stages = (struct stages){.node = node};
    open_history(stages, directory);
    users_init(&stages->users, stages->history);
    router_init(&stages->router, stages->history, &stages->counters);
    stages->listener = router_add_listener(&stages->router, &node->nowhere);
    bench_need(stages->listener ? 0 : -ENOMEM, "router_add_listener");
}

void stages_down(struct stages *stages, double ret_ns[STAGE_COUNT])
{
    for (int stage = 0; stage < STAGE_COUNT; stage++)
        ret_ns[stage] = stages->ns[stage] / (double)stages->measured;
    for (int i = 0; i < STAGES_CHUNK; i++)
        buffer_deinit(&stages->copies[i]);
    router_remove_listener(&stages->router, stages->listener);
    users_deinit(&stages->users);
    router_deinit(&stages->router);
    history_close(stages->history);
}

static int64_t lap(struct stages *stages, enum stage stage, int64_t since)
{
    int64_t now = bench_cpu_ns();

    stages->ns[stage] += (double)(now - since);
    return now;
}

static void decode(struct stages *stages)
{
    for (size_t i = 0; i < stages->count; i++)
        bench_need(event_record_decode(&stages->events[i], buffer_span(&stages->copies[i])),
            "event_record_decode");
}

static void check_json(struct stages *stages)
{
    for (size_t i = 0; i < stages->count; i++)
        bench_need(json_scan_valid_object(stages->events[i].data) ? 0 : -EINVAL, "json_scan");
}

static void check_lifecycle(struct stages *stages)
{
    for (size_t i = 0; i < stages->count; i++) {
        struct run *run = pipeline_find(&stages->node->broker.pipeline, stages->events[i].run_id);

        bench_need(run && lifecycle_check(run, &stages->events[i]) == VERDICT_LEGAL ? 0 : -EINVAL,
            "lifecycle_check");
        bench_need(lifecycle_apply(run, &stages->events[i]), "lifecycle_apply");
        stages->runs[i] = run;
    }
}

/* As the broker does: where the bytes are staged. */
static void encode(struct stages *stages, struct user *user)
{
    for (size_t i = 0; i < stages->count; i++) {
        struct event *event = &stages->events[i];

        event->seq = history_head(user->stream) + 1;
        event_encode_within(
            history_append_begin(stages->history), event, buffer_span(&stages->runs[i]->context));
        bench_need(
            history_append_end(stages->history, user->stream, event->seq, &stages->encoded[i]),
            "history_append_end");
    }
}

static void note(struct stages *stages, struct user *user)
{
    for (size_t i = 0; i < stages->count; i++)
        router_note(&stages->router, user, stages->events[i].seq, stages->encoded[i]);
}

/* A chunk holds one user's records, so that each is the next of the same stream. */
static size_t repeat(struct stages *stages, struct user *user)
{
    int64_t since = bench_cpu_ns();

    decode(stages);
    since = lap(stages, STAGE_DECODE, since);
    check_json(stages);
    since = lap(stages, STAGE_JSON, since);
    check_lifecycle(stages);
    since = lap(stages, STAGE_LIFECYCLE, since);
    encode(stages, user);
    since = lap(stages, STAGE_ENCODE, since);
    note(stages, user);
    (void)lap(stages, STAGE_NOTE, since);
    stages->measured += stages->count;
    return stages->count;
}

static void read_ring(struct stages *stages, struct ring_reader *reader, uint32_t ring)
{
    struct ring_record record;
    int64_t since = bench_cpu_ns();

    for (stages->count = 0; stages->count < STAGES_CHUNK; stages->count++) {
        struct buffer *copy = &stages->copies[stages->count];

        if (ring_reader_next(&record, reader, ring) != 1)
            break;
        buffer_clear(copy);
        buffer_append(copy, record.payload, record.payload_length);
    }
    (void)lap(stages, STAGE_READ, since);
}

/* As after a turn. */
static void end_turn(struct stages *stages)
{
    bench_need(history_commit(stages->history), "history_commit");
    router_grant(stages->listener, 1u << 30);
    router_flush(&stages->router);
}

static void repeat_all(struct stages *stages, const struct load *load)
{
    struct arena *arena = stages->node->broker.arena;
    struct ring_reader *reader;
    size_t taken = 0;

    bench_need(ring_reader_new(&reader, arena), "ring_reader_new");
    for (uint32_t nth = 0; nth < load->active; nth++) {
        char name[32];
        size_t length = load_user_name(name, load_user(load, nth));
        struct user *user =
            bench_need_memory(users_get(&stages->users, span_of(name, length)), "users_get");
        uint32_t ring;

        bench_need(router_subscribe(stages->listener, user, history_head(user->stream)),
            "router_subscribe");
        bench_need(directory_find(&ring, arena, name, length), "directory_find");
        read_ring(stages, reader, ring);
        taken += repeat(stages, user);
        if (taken >= DRAIN_TURN_RECORDS || nth == load->active - 1) {
            end_turn(stages);
            taken = 0;
        }
    }
    ring_reader_free(reader);
}

/* ---- the broker's own turn */

static void turn(struct stages *stages, struct broker *broker)
{
    int64_t since = bench_cpu_ns();

    processes_turn(broker->processes, false);
    drain_turn(broker->drain, TURN_BUDGET);
    farewell_turn(&broker->farewell);
    dispatch_place(&broker->dispatch);
    since = lap(stages, STAGE_DRAIN, since);
    bench_need(history_commit(broker->history), "history_commit");
    since = lap(stages, STAGE_COMMIT, since);
    drain_release(broker->drain);
    effects_release(&broker->effects);
    since = lap(stages, STAGE_RELEASE, since);
    router_flush(&broker->router);
    reads_turn(&broker->reads);
    (void)lap(stages, STAGE_ROUTE, since);
}

void stages_measure(struct stages *stages, const struct load *load, uint64_t events)
{
    repeat_all(stages, load);
    while (node_events(stages->node) < events) {
        router_grant(stages->node->listener, 1u << 30);
        turn(stages, &stages->node->broker);
    }
}
