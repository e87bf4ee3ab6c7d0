/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures how a node comes back on this machine: `./dev bench recovery`, `ringside bench
 * recovery`. Figures are medians of BENCH_RUNS runs; they drift with the machine and what else it
 * does, so each stands beside the floor measured in the same run.
 */
#include <math.h>
#include <stdio.h>

#include "bench.h"
#include "outage.h"

struct figures {
    struct bench_floor floor;
    struct outage outage;
    double death_ms;
};

static void print_table(const struct figures *f)
{
    const struct outage *o = &f->outage;

    bench_print_head();
    bench_print_floor(&f->floor);
    bench_print_row("10 million events written to a history", o->fill_s, "s", "");
    bench_print_row("a broker's first start on it", o->start_s, "s", "");
    bench_print_row("10,000 cursors, 50 events behind: all of them", o->resume_s, "s", "");
    bench_print_row("… one of them, p50", o->resume_p50_ms, "ms", "");
    bench_print_row("… the slowest", o->resume_last_ms, "ms", "");
    bench_print_row("… live events meanwhile, p99", o->live_p99_us, "us", "");
    bench_print_row("1,000 live events a second otherwise, p50", o->quiet_p50_us, "us", "");
    bench_print_row("… p99", o->quiet_p99_us, "us", "");
    bench_print_row("… the broker's processor time for one", o->quiet_cpu_us, "us", "");
    bench_print_row("SIGKILL to ready, 10,000 rings with news", o->ready_ms, "ms", "");
    bench_print_row("SIGKILL to a client's first page", o->restart_ms, "ms", "< 1000");
    if (!isnan(f->death_ms))
        bench_print_row("a worker's death to its clients, p99", f->death_ms, "ms", "< 5");
}

static void print_json(const struct figures *f)
{
    printf("{\"resume_10k_s\":%.3f,\"resume_slowest_ms\":%.1f,\"resume_live_p99_us\":%.0f,"
           "\"live_p99_us\":%.0f,\"restart_ms\":%.0f",
        f->outage.resume_s, f->outage.resume_last_ms, f->outage.live_p99_us, f->outage.quiet_p99_us,
        f->outage.restart_ms);
    if (!isnan(f->death_ms))
        printf(",\"death_to_client_p99_ms\":%.2f", f->death_ms);
    printf("}\n");
}

int main(int argc, char **argv)
{
    bool json = bench_wants_json(argc, argv,
        "usage: ringside-bench-recovery [--json]\n"
        "Measures how a node comes back on this machine: a table, or with --json one JSON object\n"
        "on the last line. Takes some minutes, and 6 GiB of $TMPDIR or /tmp.\n");
    struct figures figures;

    bench_floor(&figures.floor);
    outage_measure(&figures.outage);
    figures.death_ms = bench_ask("ringside-bench-death", "death_to_client_p99_ms");
    if (json)
        print_json(&figures);
    else
        print_table(&figures);
    return 0;
}
