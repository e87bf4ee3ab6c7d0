/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the rings on this machine: `./dev bench ring`, `ringside bench ring`. Figures are
 * medians of BENCH_RUNS runs. They drift with the machine and what else it does; the ratios, and
 * each figure against the floor measured beside it, are for comparing.
 */
#include <stdio.h>

#include "bench.h"

struct figures {
    struct bench_floor floor;
    struct bench_emit emit;
    struct bench_flow flow;
    struct bench_wake wake;
};

static void print_flow(const struct bench_flow *flow)
{
    char what[64];

    for (int size = 0; size < 3; size++) {
        for (int writers = 0; writers < 2; writers++) {
            snprintf(what, sizeof what, "records of %u B, %d writer%s",
                (unsigned)bench_flow_sizes[size], writers + 1, writers ? "s" : "");
            bench_print_row(what, flow->records[size][writers] / 1e6, "M/s",
                size == 2 && writers == 0 ? ">= 4" : "");
        }
    }
    bench_print_row("a robust mutex, 128 B, 1 writer", flow->mutex[0] / 1e6, "M/s", "");
    bench_print_row("a robust mutex, 128 B, 2 writers", flow->mutex[1] / 1e6, "M/s", "");
    bench_print_row("ring / robust mutex, 128 B, 2 writers", flow->mutex_ratio, "x", ">= 1.3");
    bench_print_row(
        "256 B to 2,000 active of 100,000 rings", flow->active_2000 / 1e6, "M/s", ">= 2.5");
}

static void print_table(const struct figures *f)
{
    bench_print_head();
    bench_print_floor(&f->floor);
    bench_print_row("emit of 256 B, hot, nobody to wake, p50", f->emit.p50_ns, "ns", "<= 60");
    bench_print_row("… in CAS of this machine", f->emit.p50_ns / f->floor.cas_ns, "x", "<= 5");
    bench_print_row("emit of 256 B, p99", f->emit.p99_ns, "ns", "");
    bench_print_row("emit with 100,000 rings known / with 10", f->emit.scale_ratio, "x", "<= 1.15");
    print_flow(&f->flow);
    bench_print_row("10,000/s to a sleeping reader, p50", f->wake.asleep_p50_us, "us", "");
    bench_print_row("10,000/s to a sleeping reader, p99", f->wake.asleep_p99_us, "us", "");
    bench_print_row("10,000/s to a spinning reader, p50", f->wake.spin_p50_us, "us", "");
    bench_print_row("10,000/s to a spinning reader, p99", f->wake.spin_p99_us, "us", "");
    bench_print_row("sleeps in 5,000 events", f->wake.sleeps, "", "");
    bench_print_row("wake-ups in a sleep, the most", f->wake.wakes_per_sleep, "", "<= 1");
    bench_print_row("events lost", f->wake.lost, "", "0");
}

static void print_json(const struct figures *f)
{
    printf("{\"emit_ns_p50\":%.1f,\"emit_ns_p99\":%.1f,\"records_per_s\":{", f->emit.p50_ns,
        f->emit.p99_ns);
    for (int size = 0; size < 3; size++)
        printf("%s\"%u\":{\"1\":%.0f,\"2\":%.0f}", size ? "," : "",
            (unsigned)bench_flow_sizes[size], f->flow.records[size][0], f->flow.records[size][1]);
    printf(
        "},\"robust_mutex_ratio\":%.2f,\"e2e_10k_p50_us\":%.1f,\"events_per_s_2000_active\":%.0f,"
        "\"hop_ns\":%.1f,\"scale_ratio\":%.3f}\n",
        f->flow.mutex_ratio, f->wake.spin_p50_us, f->flow.active_2000, f->floor.hop_ns,
        f->emit.scale_ratio);
}

int main(int argc, char **argv)
{
    bool json = bench_wants_json(argc, argv,
        "usage: ringside-bench-ring [--json]\n"
        "Measures the rings on this machine: a table, or with --json one JSON object on the last\n"
        "line. Takes about half a minute and 2 GiB of /dev/shm.\n");
    struct figures figures;

    bench_floor(&figures.floor);
    bench_emit(&figures.emit);
    bench_flow(&figures.flow);
    bench_wake(&figures.wake);
    if (json)
        print_json(&figures);
    else
        print_table(&figures);
    return 0;
}
