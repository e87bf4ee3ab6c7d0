/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/metrics.h"

#include "base/clock.h"

#include <inttypes.h>

#define PREFIX "ringside_broker_"

static void head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void gauge(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "gauge", help);
    buffer_printf(out, PREFIX "%s %" PRIu64 "\n", name, value);
}

/* Names that a process gave itself are identifiers: nothing in them needs to be escaped. */
static void labelled(
    struct buffer *out, const char *name, const char *label, const char *which, uint64_t value)
{
    buffer_printf(out, PREFIX "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, which, value);
}

static void append_counters(struct buffer *out, const struct counters *counters)
{
#define COUNTER(name, unit, meaning)                                                               \
    head(out, #name "_total", "counter", meaning " (" #unit ")");                                  \
    buffer_printf(out, PREFIX #name "_total %" PRIu64 "\n", counters->name);
#include "metrics/counters.def"
#undef COUNTER
    head(out, "events_refused_total", "counter", "events kept out of a stream, by reason");
    for (unsigned verdict = VERDICT_LEGAL + 1; verdict < VERDICT_COUNT; verdict++)
        labelled(out, "events_refused_total", "reason", verdict_name((enum verdict)verdict),
            counters->refused[verdict]);
}

static void append_runs(struct buffer *out, const struct broker *broker)
{
    head(out, "runs", "gauge", "runs that have not ended, by state");
    for (unsigned state = 0; state < RUN_STATE_COUNT; state++) {
        if (!run_state_final((enum run_state)state))
            labelled(out, "runs", "state", run_state_name((enum run_state)state),
                broker->pipeline.runs_by_state[state]);
    }
    head(out, "runs_ended_total", "counter", "runs that have ended since the start, by how");
    for (unsigned state = 0; state < RUN_STATE_COUNT; state++) {
        if (run_state_final((enum run_state)state))
            labelled(out, "runs_ended_total", "state", run_state_name((enum run_state)state),
                broker->pipeline.runs_by_state[state]);
    }
    gauge(out, "queued", "runs that wait for a worker", broker->pipeline.queue.count);
    gauge(out, "paused", "1 while no runs are given to workers", broker->dispatch.paused);
}

static void append_history(struct buffer *out, const struct broker *broker)
{
    struct history_usage usage;
    history_usage(broker->history, &usage);
    gauge(out, "history_bytes", "bytes that the retained events take", usage.bytes);
    gauge(out, "history_events", "events that are retained", usage.events);
    gauge(out, "history_streams", "users who have a stream", usage.streams);
    gauge(out, "history_batches", "batches that are retained", usage.batches);
    gauge(out, "history_dead_bytes", "bytes of trimmed events that are not yet put away",
        usage.dead_bytes);
    gauge(out, "history_pinned_bytes", "bytes beyond the limits that open runs hold",
        usage.pinned_bytes);
    gauge(out, "history_excess_bytes", "bytes above history.max_bytes because of open runs",
        usage.excess_bytes);
    gauge(out, "history_staged_events", "events that wait in memory to be kept",
        history_staged_events(broker->history));
    gauge(out, "history_unsynced_commits", "commits that are not yet durable",
        history_commit_count(broker->history) - history_synced_count(broker->history));
    head(out, "state", "gauge", "1 for the state the broker is in");
    for (unsigned state = 0; state < KEEPING_STATES; state++)
        labelled(out, "state", "state", keeping_state_name((enum keeping_state)state),
            broker->keeping.state == (enum keeping_state)state);
}

static void append_rings(struct buffer *out, const struct broker *broker)
{
    struct ring_reader_stats stats;
    drain_stats(broker->drain, &stats);
    gauge(out, "rings_capacity", "users that can have a ring at once",
        arena_user_count(broker->arena));
    head(out, "ring_records_total", "counter", "records drained from rings");
    buffer_printf(out, PREFIX "ring_records_total %" PRIu64 "\n", (uint64_t)stats.records);
    gauge(out, "rings_quarantined", "rings that are set aside as damaged", stats.quarantined);
}

/* The newest number of each subscription that its gateway was not sent yet, all together. */
static uint64_t lag_of(const struct broker *broker)
{
    uint64_t lag = 0;
    size_t cursor = 0;
    for (struct user *user; (user = map_next(&broker->users.map, &cursor));) {
        uint64_t newest = history_shown_head(user->stream);
        LIST_FOR_EACH(struct subscription, each, &user->subscriptions, user_link)
        lag += newest > each->sent ? newest - each->sent : 0;
    }
    return lag;
}

static void append_listeners(struct buffer *out, const struct broker *broker)
{
    const struct list_link *listeners = &broker->router.listeners;
    gauge(out, "lag_events", "events that subscribed gateways have not been sent yet",
        lag_of(broker));
    head(out, "gateway_credit_bytes", "gauge", "live events a gateway has room for");
    LIST_FOR_EACH(struct listener, listener, listeners, router_link)
    labelled(out, "gateway_credit_bytes", "gateway", listener->link->name,
        listener->credit > 0 ? (uint64_t)listener->credit : 0);
    head(out, "gateway_users", "gauge", "users who are connected to a gateway");
    LIST_FOR_EACH(struct listener, listener, listeners, router_link)
    labelled(out, "gateway_users", "gateway", listener->link->name, listener->subscriptions.count);
    head(out, "gateway_reads_waiting", "gauge", "pages of history a gateway waits for");
    LIST_FOR_EACH(struct listener, listener, listeners, router_link)
    labelled(
        out, "gateway_reads_waiting", "gateway", listener->link->name, listener->reads_waiting);
}

static void append_workers(struct buffer *out, const struct broker *broker)
{
    const struct list_link *workers = &broker->workers.list;
    head(out, "worker_runs", "gauge", "runs a worker has");
    LIST_FOR_EACH(struct worker, worker, workers, workers_link)
    labelled(out, "worker_runs", "worker", worker->link->name, worker->runs);
    head(out, "worker_room", "gauge", "runs a worker may still be given");
    LIST_FOR_EACH(struct worker, worker, workers, workers_link)
    labelled(out, "worker_room", "worker", worker->link->name, worker->slots);
    head(out, "worker_events_per_second", "gauge", "events taken of what a worker writes, of late");
    LIST_FOR_EACH(struct worker, worker, workers, workers_link)
    {
        struct drain_account account;
        drain_process_account(broker->drain, worker->process, worker->incarnation, &account);
        labelled(
            out, "worker_events_per_second", "worker", worker->link->name, account.events_per_s);
    }
}

void metrics_append(const struct broker *broker, struct buffer *out)
{
    gauge(out, "uptime_seconds", "since the broker was started",
        (clock_monotonic_ms() - broker->started_ms) / 1000);
    gauge(out, "users", "users the broker has heard of since its start", broker->users.map.count);
    gauge(out, "events_per_second", "events accepted a second, of the last second",
        broker->events_per_s);
    append_runs(out, broker);
    append_history(out, broker);
    append_rings(out, broker);
    append_listeners(out, broker);
    append_workers(out, broker);
    append_counters(out, &broker->counters);
}
