/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading back while others are written: a history of 100,000 users takes 50,000 events a second,
 * committed as they come and synced each second, and is asked 2,000 times a second for the last 100
 * events of somebody. One thread, as in the broker, does both: a read that becomes due during a
 * commit waits for it, and the wait is counted. Syncs are beside it.
 */
#include "lookback.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench.h"
#include "event/codec.h"
#include "fill.h"
#include "history/sync.h"
#include "load.h"

#define USERS 100000u
#define ASKED 10000u /* of them, who have LOOKBACK_EVENTS and more; the others have FILL_BURST */
#define APPENDS_PER_S 50000
#define READS_PER_S 2000
#define RUN_NS 3000000000
#define SYNC_NS 1000000000
#define COMMITS 2000u
#define READS (BENCH_RUNS * (RUN_NS / 1000000000) * READS_PER_S)

enum {
    AT_P50,
    AT_P99 = AT_P50 + BENCH_RUNS,
    AT_BUSY_P50 = AT_P99 + BENCH_RUNS,
    AT_BUSY_P99 = AT_BUSY_P50 + BENCH_RUNS,
    AT_SYNC = AT_BUSY_P99 + BENCH_RUNS,
    AT_RATE = AT_SYNC + BENCH_RUNS,
    AT_COMMIT = AT_RATE + BENCH_RUNS,
};

struct asking {
    struct history *history;
    struct buffer encoded;
    struct buffer page;
    struct event event;
    uint64_t random;
    int64_t begin_ns;
    int64_t synced_ns;
    uint64_t appended;
    size_t reads;
    double sync_ms;
    bool syncing;
    int through_fd; /* counts up when the sync under way is through */
    double *due_us;
    double *busy_us;
};

static struct history_stream *random_stream(struct asking *a, uint32_t users)
{
    char name[32];
    size_t length = load_user_name(name, bench_random(&a->random) % users);
    struct history_stream *stream = history_stream(a->history, span_of(name, length));

    bench_need(stream ? 0 : -ENOMEM, "history_stream");
    return stream;
}

static void append_one(struct asking *a)
{
    struct history_stream *stream = random_stream(a, USERS);

    a->event.seq = history_head(stream) + 1;
    buffer_clear(&a->encoded);
    event_encode(&a->encoded, &a->event);
    bench_need(history_append(a->history, stream, a->event.seq, buffer_span(&a->encoded)),
        "history_append");
}

/* What is due by now: none of it more than once, and in one commit. */
static void append_due(struct asking *a)
{
    uint64_t due = (uint64_t)(bench_now_ns() - a->begin_ns) * APPENDS_PER_S / 1000000000;

    for (; a->appended < due; a->appended++)
        append_one(a);
    bench_need(history_commit(a->history), "history_commit");
}

/* What a turn pays for being one, whatever it brings. */
static double small_commits(struct asking *a, unsigned events)
{
    static double took[COMMITS];

    for (unsigned i = 0; i < COMMITS; i++) {
        int64_t begin = bench_cpu_ns();

        for (unsigned event = 0; event < events; event++)
            append_one(a);
        bench_need(history_commit(a->history), "history_commit");
        took[i] = (double)(bench_cpu_ns() - begin) / 1000;
    }
    return bench_percentile(took, COMMITS, 0.5);
}

static void read_back(struct asking *a, int64_t due_ns)
{
    struct history_stream *stream = random_stream(a, ASKED);
    uint64_t head = history_committed_head(stream), last;
    int64_t begin = bench_now_ns(), end;

    buffer_clear(&a->page);
    bench_need(
        history_read(stream, head - LOOKBACK_EVENTS, SIZE_MAX, &a->page, &last), "history_read");
    bench_need(last == head ? 0 : -EIO, "not all was read");
    end = bench_now_ns();
    a->due_us[a->reads] = (double)(end - due_ns) / 1000;
    a->busy_us[a->reads++] = (double)(end - begin) / 1000;
}

static void read_due(struct asking *a, size_t *done)
{
    int64_t due;

    while ((due = a->begin_ns + (int64_t)*done * (1000000000 / READS_PER_S)) <= bench_now_ns()) {
        read_back(a, due);
        ++*done;
    }
}

static void sync_end(struct asking *a)
{
    double took;

    bench_need(history_sync_end(a->history), "history_sync_end");
    a->syncing = false;
    took = (double)(bench_now_ns() - a->synced_ns) / 1e6;
    a->sync_ms = took > a->sync_ms ? took : a->sync_ms;
}

static void sync_begin(struct asking *a, int64_t now)
{
    bench_need(history_sync_begin(a->history, a->through_fd) ? -EIO : 0, "history_sync_begin");
    a->syncing = true;
    a->synced_ns = now;
}

/* As the broker does: the disk is waited for by a thread of the history's. */
static void sync_due(struct asking *a)
{
    int64_t now = bench_now_ns();
    eventfd_t through;

    if (a->syncing && eventfd_read(a->through_fd, &through) == 0)
        sync_end(a);
    if (!a->syncing && now - a->synced_ns >= SYNC_NS)
        sync_begin(a, now);
}

static void ask_for_a_while(struct asking *a)
{
    eventfd_t through;
    size_t done = 0;

    a->begin_ns = a->synced_ns = bench_now_ns();
    a->appended = 0;
    a->reads = 0;
    a->sync_ms = 0;
    while (bench_now_ns() - a->begin_ns < RUN_NS) {
        append_due(a);
        read_due(a, &done);
        sync_due(a);
        sched_yield(); /* as a broker spins while events come so close */
    }
    if (a->syncing) {
        sync_end(a); /* which waits */
        bench_need(eventfd_read(a->through_fd, &through), "eventfd");
    }
}

static void fill(const char *directory)
{
    fill_history(&(struct fill){directory, USERS, FILL_BURST});
    fill_history(&(struct fill){directory, ASKED, LOOKBACK_EVENTS});
}

static void open_history(struct asking *a, const char *directory)
{
    char reason[HISTORY_REASON_SIZE];
    const struct history_options options = {.directory = directory,
        .sync = HISTORY_SYNC_INTERVAL,
        .journal_bytes = HISTORY_JOURNAL_BYTES,
        .map_bytes = UINT64_C(4) << 30};

    bench_need(history_open(&a->history, &options, reason), "history_open");
    a->through_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bench_need(a->through_fd < 0 ? -errno : 0, "eventfd");
}

static void note_run(struct bench_page *page, struct asking *a, int run)
{
    page->result[AT_P50 + run] = bench_percentile(a->due_us, a->reads, 0.5);
    page->result[AT_P99 + run] = bench_percentile(a->due_us, a->reads, 0.99);
    page->result[AT_BUSY_P50 + run] = bench_percentile(a->busy_us, a->reads, 0.5);
    page->result[AT_BUSY_P99 + run] = bench_percentile(a->busy_us, a->reads, 0.99);
    page->result[AT_SYNC + run] = a->sync_ms;
    page->result[AT_RATE + run] = (double)a->appended * 1e9 / RUN_NS;
}

static void part(struct bench_page *page, unsigned number, void *userdata)
{
    static double due[READS], busy[READS];
    struct asking a = {.random = 1, .due_us = due, .busy_us = busy};

    (void)number;
    (void)userdata;
    fill(page->scratch);
    open_history(&a, page->scratch);
    fill_event(&a.event);
    for (int run = 0; run < BENCH_RUNS; run++) {
        ask_for_a_while(&a);
        note_run(page, &a, run);
    }
    page->result[AT_COMMIT] = small_commits(&a, 1);
    page->result[AT_COMMIT + 1] = small_commits(&a, 10);
    history_close(a.history);
    close(a.through_fd);
    buffer_deinit(&a.encoded);
    buffer_deinit(&a.page);
}

void lookback_measure(struct lookback *ret_lookback)
{
    struct bench_page page;

    bench_run(&page, &(struct bench_plan){1, part, NULL});
    *ret_lookback = (struct lookback){
        .p50_us = bench_percentile(&page.result[AT_P50], BENCH_RUNS, 0.5),
        .p99_us = bench_percentile(&page.result[AT_P99], BENCH_RUNS, 0.5),
        .busy_p50_us = bench_percentile(&page.result[AT_BUSY_P50], BENCH_RUNS, 0.5),
        .busy_p99_us = bench_percentile(&page.result[AT_BUSY_P99], BENCH_RUNS, 0.5),
        .sync_ms = bench_percentile(&page.result[AT_SYNC], BENCH_RUNS, 1),
        .appended_s = bench_percentile(&page.result[AT_RATE], BENCH_RUNS, 0.5),
        .commit_us = {page.result[AT_COMMIT], page.result[AT_COMMIT + 1]},
    };
}
