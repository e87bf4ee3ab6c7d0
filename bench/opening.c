/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "bench.h"
#include "history/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * ringside-bench-opening DIRECTORY                          how long opening what is there takes
 * ringside-bench-opening DIRECTORY merge                    merges it, and says what a merge takes
 * ringside-bench-opening DIRECTORY USERS EVENTS PER_COMMIT  fills one, merging as it goes
 *
 * Times are the processor's, so that others on the machine do not count. The last two leave the
 * history as a process that was killed.
 */
struct filling {
    uint32_t users; /* "user-0" … */
    uint64_t events;
    uint32_t event_bytes;
    uint32_t per_commit; /* at 10,000 events a second 1 to 10, at full rate thousands */
    bool tend;           /* trims and merges between the commits, as the broker does */
};

/* As many as a second brings: until the next sync no page that is freed is used again. */
#define COMMITS_A_SYNC 1000

static struct history_stream **streams_of(struct history *history, uint32_t users)
{
    struct history_stream **streams =
        bench_need_memory(calloc(users, sizeof(struct history_stream *)), "streams");
    for (uint32_t i = 0; i < users; i++) {
        char name[24];
        snprintf(name, sizeof(name), "user-%u", i);
        streams[i] = history_stream(history, span_of_string(name));
        bench_need(streams[i] ? 0 : -1, "history_stream");
    }
    return streams;
}

static double merged_ns[1 << 20];
static size_t merged;

static void merge_all(struct history *history)
{
    int rc;
    do {
        int64_t start = bench_cpu_ns();
        bench_need(rc = history_merge(history), "history_merge");
        if (rc == 1 && merged % 100 == 0)
            bench_need(history_sync(history), "history_sync");
        if (rc == 1 && merged < sizeof(merged_ns) / sizeof(*merged_ns))
            merged_ns[merged++] = (double)(bench_cpu_ns() - start);
    } while (rc == 1);
}

static void commit(struct history *history, uint64_t *position, bool tend)
{
    const struct history_position drained = {.arena_id = 1, .position = (*position)++};
    bench_need(history_stage_position(history, &drained), "history_stage_position");
    bench_need(history_commit(history), "history_commit");
    if (tend && history_commit_count(history) % COMMITS_A_SYNC == 0)
        merge_all(history);
    if (history_commit_count(history) % COMMITS_A_SYNC == 0)
        bench_need(history_sync(history), "history_sync");
}

static void fill_history(struct history *history, const struct filling *filling)
{
    struct history_stream **streams = streams_of(history, filling->users);
    char *bytes = bench_need_memory(malloc(filling->event_bytes), "an event");
    memset(bytes, 'x', filling->event_bytes);
    uint64_t chance = 88172645463325252u;
    uint64_t position = 1;
    for (uint64_t i = 0; i < filling->events; i++) {
        struct history_stream *stream = streams[bench_random(&chance) % filling->users];
        bench_need(history_append(history, stream, history_head(stream) + 1,
                       span_of(bytes, filling->event_bytes)),
            "history_append");
        if ((i + 1) % filling->per_commit == 0)
            commit(history, &position, filling->tend);
    }
    commit(history, &position, filling->tend);
    free(bytes);
    free(streams);
}

static struct history *open_history(const char *directory)
{
    struct history *history;
    char reason[HISTORY_REASON_SIZE];
    const struct history_options options = {.directory = directory, .sync = HISTORY_SYNC_INTERVAL};
    int rc = history_open(&history, &options, reason);
    bench_need(rc, reason);
    return history;
}

static void say_merges(void)
{
    if (merged == 0)
        return;
    bench_print_row("merges", (double)merged, "", "");
    bench_print_row("one merge, p50", bench_percentile(merged_ns, merged, 0.5) / 1e6, "ms", "");
    bench_print_row("one merge, p99", bench_percentile(merged_ns, merged, 0.99) / 1e6, "ms", "");
    bench_print_row("one merge, most", bench_percentile(merged_ns, merged, 1) / 1e6, "ms", "");
}

static void fill(const char *directory, char **numbers)
{
    struct filling filling = {
        .users = (uint32_t)strtoul(numbers[0], NULL, 10),
        .events = strtoull(numbers[1], NULL, 10),
        .event_bytes = 250,
        .per_commit = (uint32_t)strtoul(numbers[2], NULL, 10),
        .tend = true,
    };
    struct history *history = open_history(directory);
    int64_t start = bench_now_ns();
    fill_history(history, &filling);
    bench_print_row("filling", (double)(bench_now_ns() - start) / 1e9, "s", "");
    say_merges();
    _exit((fflush(stdout), 0)); /* as if killed: nothing is closed */
}

static void merge(const char *directory)
{
    merge_all(open_history(directory));
    say_merges();
    _exit((fflush(stdout), 0));
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3 && argc != 5)
        return 2;
    if (argc == 3)
        merge(argv[1]);
    if (argc == 5)
        fill(argv[1], argv + 2);
    double ms[BENCH_RUNS];
    for (int i = 0; i < BENCH_RUNS; i++) {
        int64_t start = bench_cpu_ns();
        struct history *history = open_history(argv[1]);
        ms[i] = (double)(bench_cpu_ns() - start) / 1e6;
        struct history_usage usage;
        history_usage(history, &usage);
        printf("%llu events of %llu users in %llu batches: %.1f ms\n",
            (unsigned long long)usage.events, (unsigned long long)usage.streams,
            (unsigned long long)usage.batches, ms[i]);
        history_close(history);
    }
    bench_print_row("opening, median", bench_percentile(ms, BENCH_RUNS, 0.5), "ms", "< 1000");
    return 0;
}
