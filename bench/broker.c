/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the broker on this machine: `./dev bench broker`, `ringside bench broker`. Figures are
 * medians of BENCH_RUNS runs. They drift with the machine and what else it does; the ratios, and
 * each figure against the floor measured beside it, are for comparing.
 */
#include <stdio.h>

#include "delivery.h"
#include "fairness.h"
#include "lookback.h"
#include "throughput.h"

struct figures {
    struct bench_floor floor;
    struct throughput throughput;
    struct fairness fairness;
    struct lookback lookback;
    double delivery_ns;
};

static const char *const stage_names[STAGE_COUNT] = {
    [STAGE_READ] = "  ring: read a record, copy it",
    [STAGE_DECODE] = "  decode: the envelope",
    [STAGE_JSON] = "  lifecycle: is the payload a JSON object?",
    [STAGE_LIFECYCLE] = "  lifecycle: find the run, check, apply",
    [STAGE_ENCODE] = "  sequencer, history: number, encode, stage",
    [STAGE_NOTE] = "  router: note",
    [STAGE_DRAIN] = "drain, all of it",
    [STAGE_COMMIT] = "history: commit",
    [STAGE_RELEASE] = "ring: release",
    [STAGE_ROUTE] = "router: flush",
};

static void print_stages(const struct throughput *t)
{
    double parts = 0;

    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        bench_print_row(stage_names[stage], t->stage_ns[stage], "ns/event", "");
        if (stage < STAGE_DRAIN)
            parts += t->stage_ns[stage];
        if (stage == STAGE_DRAIN)
            bench_print_row(
                "  … less its parts as measured", t->stage_ns[stage] - parts, "ns/event", "");
    }
}

static void print_lookback(const struct lookback *l)
{
    bench_print_row("the last 100 events of a user, p50", l->busy_p50_us, "us", "");
    bench_print_row("… p99", l->busy_p99_us, "us", "< 1000");
    bench_print_row("… from when it was due, p50", l->p50_us, "us", "");
    bench_print_row("… from when it was due, p99", l->p99_us, "us", "");
    bench_print_row("… events appended meanwhile", l->appended_s / 1e3, "k/s", "50");
    bench_print_row("… longest sync", l->sync_ms, "ms", "");
    bench_print_row("a commit of one event", l->commit_us[0], "us", "");
    bench_print_row("a commit of ten, of ten users", l->commit_us[1], "us", "");
}

static void print_fairness(const struct fairness *f)
{
    bench_print_row("emit to routing, 1,000 quiet users: p99", f->alone_p99_us, "us", "");
    bench_print_row("… beside one who floods: p99", f->quiet_p99_us, "us", "");
    bench_print_row("… in the first", f->ratio, "x", "");
    bench_print_row("taken of the flood", f->flood_per_s / 1e3, "k/s", "");
}

static void print_table(const struct figures *f)
{
    const struct throughput *t = &f->throughput;

    bench_print_head();
    bench_print_floor(&f->floor);
    bench_print_row(
        "events of 250 B, 1,000 users, by the processor", t->events_per_s / 1e6, "M/s", ">= 0.4");
    bench_print_row("… by the clock, syncs included", t->events_per_s_wall / 1e6, "M/s", ">= 0.4");
    bench_print_row("… one event", 1e9 / t->events_per_s, "ns", "<= 1000");
    bench_print_row("… in memcpy of 256 B of this machine",
        1e9 / t->events_per_s / f->floor.memcpy_256_ns, "x", "");
    print_stages(t);
    bench_print_row("an event of whole runs of 32", t->runs_ns, "ns", "");
    bench_print_row(
        "a real link's cost beside, 8 events to a message", f->delivery_ns, "ns/event", "");
    bench_print_row("timers, 1,000 known users", t->upkeep_ms[0], "ms/s", "");
    bench_print_row("timers, 100,000 known users", t->upkeep_ms[1], "ms/s", "");
    bench_print_row("cost with 100,000 known users / with 1,000", t->scale_ratio, "x", "<= 1.1");
    print_lookback(&f->lookback);
    print_fairness(&f->fairness);
}

static void print_json(const struct figures *f)
{
    printf("{\"pipeline_events_per_s\":%.0f,\"pipeline_events_per_s_wall\":%.0f,"
           "\"users_scale_ratio\":%.3f,\"history_read_p99_us\":%.1f,"
           "\"history_read_due_p99_us\":%.1f,"
           "\"fairness_quiet_p99_us\":%.1f,\"fairness_ratio\":%.2f}\n",
        f->throughput.events_per_s, f->throughput.events_per_s_wall, f->throughput.scale_ratio,
        f->lookback.busy_p99_us, f->lookback.p99_us, f->fairness.quiet_p99_us, f->fairness.ratio);
}

int main(int argc, char **argv)
{
    bool json = bench_wants_json(argc, argv,
        "usage: ringside-bench-broker [--json]\n"
        "Measures the broker on this machine: a table, or with --json one JSON object on the last\n"
        "line. Takes about a minute, 2 GiB of /dev/shm and 4 GiB of $TMPDIR or /tmp.\n");
    struct figures figures;

    bench_floor(&figures.floor);
    throughput_measure(&figures.throughput);
    fairness_measure(&figures.fairness);
    figures.delivery_ns = delivery_measure();
    lookback_measure(&figures.lookback);
    if (json)
        print_json(&figures);
    else
        print_table(&figures);
    return 0;
}
