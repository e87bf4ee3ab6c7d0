/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an event takes to its reader at 10,000 a second, 100 µs apart: with a reader that sleeps
 * on the bell whenever it has nothing to do, and with one that spins before, as ring/spin.h learns.
 */
#include "bench.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arenas.h"
#include "ring/doorbell.h"
#include "ring/process.h"
#include "ring/spin.h"

#define EVENTS 5000u
#define PERIOD_NS 100000
#define SPIN_MAX_US 300u /* what ring.spin_max_us may learn to be worth while */

struct waker {
    struct bench_owner owner;
    double *latency_ns;
    uint32_t received;
    double sleeps;
    double most_wakes; /* in one of them */
};

static void note(void *userdata, const struct ring_record *record)
{
    struct waker *waker = userdata;
    int64_t sent;

    memcpy(&sent, record->payload, sizeof sent);
    waker->latency_ns[waker->received++] = (double)(bench_now_ns() - sent);
}

static void sleep_at_bell(struct waker *waker)
{
    struct pollfd bell = {.fd = doorbell_fd(waker->owner.arena), .events = POLLIN};
    int wakes = 0;

    if (doorbell_prepare_sleep(waker->owner.arena))
        return;
    waker->sleeps++;
    poll(&bell, 1, 100);
    if (ioctl(bell.fd, FIONREAD, &wakes) == 0 && wakes > waker->most_wakes)
        waker->most_wakes = wakes;
    doorbell_awake(waker->owner.arena);
}

static void wake_read(struct bench_page *page, uint32_t spin_max_us)
{
    static double latency[EVENTS + 1];
    static struct waker waker = {.latency_ns = latency};
    struct spin spin;

    bench_owner_up(&waker.owner, page->directory, 1, BENCH_RING_LARGE);
    spin_init(&spin, spin_max_us);
    bench_meet(page, 2, 1);
    /* After the last event one look more, so that one too many would be seen. */
    for (bool last = false; !last;) {
        last = atomic_load(&page->stop);
        while (bench_drain(&waker.owner, note, &waker) > 0)
            ;
        process_take_news(waker.owner.arena); /* or it does not let the reader sleep */
        if (last || ring_spin_wait(&spin, waker.owner.arena))
            continue;
        sleep_at_bell(&waker);
        spin_news(&spin);
    }
    page->result[3] = (double)EVENTS - waker.received;
    page->result[0] = bench_percentile(latency, waker.received, 0.5) / 1000;
    page->result[1] = bench_percentile(latency, waker.received, 0.99) / 1000;
    page->result[2] = waker.most_wakes;
    page->result[4] = waker.sleeps;
    bench_meet(page, 2, 2);
    bench_owner_down(&waker.owner);
}

static void wake_write(struct bench_page *page)
{
    struct ring_writer writer;
    struct ring_lease lease;
    struct arena *arena;
    int64_t next;

    bench_meet(page, 2, 1);
    bench_need(arena_attach(&arena, page->directory), "arena_attach");
    bench_need(ring_writer_init(&writer, arena), "ring_writer_init");
    lease = bench_lease(&writer, 0);
    next = bench_now_ns();
    for (unsigned i = 0; i < EVENTS; i++) {
        int64_t payload[32] = {0};

        next += PERIOD_NS;
        while ((payload[0] = bench_now_ns()) < next)
            ;
        while (bench_put(&writer, &lease, payload, sizeof payload) < 0)
            sched_yield();
    }
    atomic_store(&page->stop, 1);
    ring_writer_deinit(&writer);
    arena_detach(arena);
    bench_meet(page, 2, 2);
}

static void wake_part(struct bench_page *page, unsigned number, void *userdata)
{
    if (number == 0)
        wake_read(page, *(uint32_t *)userdata);
    else
        wake_write(page);
}

static void wake_runs(double median[5], uint32_t spin_max_us)
{
    double runs[5][BENCH_RUNS];

    for (int run = 0; run < BENCH_RUNS; run++) {
        struct bench_page page;

        bench_run(&page, &(struct bench_plan){2, wake_part, &spin_max_us});
        for (int i = 0; i < 5; i++)
            runs[i][run] = page.result[i];
    }
    /* Of wake-ups, losses and sleeps not the median but the most. */
    for (int i = 0; i < 5; i++)
        median[i] = bench_percentile(runs[i], BENCH_RUNS, i < 2 ? 0.5 : 1);
}

void bench_wake(struct bench_wake *ret_wake)
{
    double asleep[5], spin[5];

    wake_runs(asleep, 0);
    wake_runs(spin, SPIN_MAX_US);
    *ret_wake = (struct bench_wake){
        .asleep_p50_us = asleep[0],
        .asleep_p99_us = asleep[1],
        .spin_p50_us = spin[0],
        .spin_p99_us = spin[1],
        .sleeps = asleep[4],
        .wakes_per_sleep = asleep[2],
        .lost = asleep[3] + spin[3],
    };
}
