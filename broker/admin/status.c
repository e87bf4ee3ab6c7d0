/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/status.h"

#include "base/clock.h"
#include "base/json.h"

#include <unistd.h>

static void open_object(struct buffer *out, const char *name)
{
    json_append_name(out, name);
    buffer_append_char(out, '{');
}

static void close_object(struct buffer *out)
{
    buffer_append_char(out, '}');
}

static void open_array(struct buffer *out, const char *name)
{
    json_append_name(out, name);
    buffer_append_char(out, '[');
}

static void next_element(struct buffer *out)
{
    if (out->data[out->len - 1] != '[')
        buffer_append_char(out, ',');
}

static void append_broker(const struct broker *broker, struct buffer *out)
{
    open_object(out, "broker");
    json_append_member(out, "id", span_of_string(broker->id));
    json_append_member(out, "version", span_of_string(RINGSIDE_VERSION));
    json_append_member_uint(out, "pid", (uint64_t)getpid());
    json_append_member_uint(out, "uptime_ms", clock_monotonic_ms() - broker->started_ms);
    json_append_member(out, "state", span_of_string(keeping_state_name(broker->keeping.state)));
    close_object(out);
}

static void append_link(struct buffer *out, const struct link *link)
{
    json_append_member(out, "name", span_of_string(link->name));
    json_append_member(out, "role", span_of_string(link->role));
    json_append_member_uint(out, "pid", link->pid);
}

/* What the process says of itself, as it says it: its own business, checked when it came. */
static void append_report(struct buffer *out, const struct buffer *report)
{
    if (report->len)
        json_append_member_raw(out, "report", buffer_span(report));
}

static void append_gateways(const struct broker *broker, struct buffer *out)
{
    open_array(out, "gateways");
    LIST_FOR_EACH(struct listener, listener, &broker->router.listeners, router_link)
    {
        next_element(out);
        buffer_append_char(out, '{');
        append_link(out, listener->link);
        json_append_member_uint(out, "users", listener->subscriptions.count);
        append_report(out, &listener->report);
        close_object(out);
    }
    buffer_append_char(out, ']');
}

static void append_workers(const struct broker *broker, struct buffer *out)
{
    open_array(out, "workers");
    LIST_FOR_EACH(struct worker, worker, &broker->workers.list, workers_link)
    {
        next_element(out);
        buffer_append_char(out, '{');
        append_link(out, worker->link);
        json_append_member_uint(out, "runs", worker->runs);
        json_append_member_uint(out, "room", worker->slots);
        append_report(out, &worker->report);
        close_object(out);
    }
    buffer_append_char(out, ']');
}

static void append_runs(const struct broker *broker, struct buffer *out)
{
    open_object(out, "runs");
    for (unsigned state = 0; state < RUN_STATE_COUNT; state++)
        json_append_member_uint(
            out, run_state_name((enum run_state)state), broker->pipeline.runs_by_state[state]);
    close_object(out);
}

static void append_rings(const struct broker *broker, struct buffer *out)
{
    struct ring_reader_stats stats;
    drain_stats(broker->drain, &stats);
    open_object(out, "rings");
    json_append_member_uint(out, "capacity", arena_user_count(broker->arena));
    json_append_member_uint(out, "bytes_each", arena_ring_bytes(broker->arena));
    json_append_member_uint(out, "records", stats.records);
    json_append_member_uint(out, "discarded", stats.discarded);
    json_append_member_uint(out, "misaddressed", stats.misaddressed);
    json_append_member_uint(out, "quarantined", stats.quarantined);
    json_append_member_uint(out, "reclaimed", stats.reclaimed);
    json_append_member_uint(out, "outgrown", stats.outgrown);
    close_object(out);
}

static void append_history(const struct broker *broker, struct buffer *out)
{
    struct history_usage usage;
    history_usage(broker->history, &usage);
    open_object(out, "history");
    json_append_member_uint(out, "bytes", usage.bytes);
    json_append_member_uint(out, "events", usage.events);
    json_append_member_uint(out, "streams", usage.streams);
    json_append_member_uint(out, "folded", usage.folded);
    json_append_member_uint(out, "batches", usage.batches);
    json_append_member_uint(out, "batch_bytes", usage.batch_bytes);
    json_append_member_uint(out, "dead_bytes", usage.dead_bytes);
    json_append_member_uint(out, "pinned_bytes", usage.pinned_bytes);
    json_append_member_uint(out, "excess_bytes", usage.excess_bytes);
    json_append_member_uint(out, "damaged", usage.damaged_batches);
    json_append_member_uint(out, "lost", usage.lost);
    json_append_member_uint(out, "staged_events", history_staged_events(broker->history));
    json_append_member_uint(out, "unsynced_commits",
        history_commit_count(broker->history) - history_synced_count(broker->history));
    close_object(out);
}

/* Events that subscribed gateways have not been sent yet, and the share of those that they have. */
static void append_delivery(const struct broker *broker, struct buffer *out)
{
    uint64_t heads = 0;
    uint64_t lag = 0;
    size_t cursor = 0;
    for (struct user *user; (user = map_next(&broker->users.map, &cursor));) {
        uint64_t head = history_shown_head(user->stream);
        LIST_FOR_EACH(struct subscription, each, &user->subscriptions, user_link)
        {
            heads += head;
            lag += head - each->sent;
        }
    }
    json_append_member_uint(out, "lag", lag);
    json_append_name(out, "delivery_rate");
    buffer_printf(out, "%.6f", heads ? 1. - (double)lag / (double)heads : 1.);
}

static void append_counters(const struct broker *broker, struct buffer *out)
{
    open_object(out, "counters");
#define COUNTER(name, unit, meaning) json_append_member_uint(out, #name, broker->counters.name);
#include "metrics/counters.def"
#undef COUNTER
    close_object(out);
    open_object(out, "events_refused");
    for (unsigned verdict = VERDICT_LEGAL + 1; verdict < VERDICT_COUNT; verdict++)
        json_append_member_uint(
            out, verdict_name((enum verdict)verdict), broker->counters.refused[verdict]);
    close_object(out);
}

void status_append(const struct broker *broker, struct buffer *out)
{
    buffer_append_char(out, '{');
    json_append_member(out, "node", span_of_string(broker->config->node_name));
    append_broker(broker, out);
    append_gateways(broker, out);
    append_workers(broker, out);
    json_append_member_uint(out, "users", broker->users.map.count);
    append_runs(broker, out);
    json_append_member_uint(out, "queued", broker->pipeline.queue.count);
    json_append_member_bool(out, "paused", broker->dispatch.paused);
    append_rings(broker, out);
    append_history(broker, out);
    json_append_member_uint(out, "events_per_s", broker->events_per_s);
    append_delivery(broker, out);
    append_counters(broker, out);
    buffer_append_char(out, '}');
}
