/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user who floods does to others: 1,000 quiet users emit an event a second each, evenly
 * spread, first alone and then beside one who emits as fast as its ring takes it, at the rate a
 * broker allows by default. Measured is the time from before the emit to behind the turn of the
 * broker that routed the event.
 *
 * Three processes: the broker in its own loop, the quiet users' worker, the flooder's. An event's
 * number says whose it is; the quiet ones' worker notes when it emitted it, and the broker's
 * process, after each turn, looks which of them have been routed, in their order.
 */
#include "fairness.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "load.h"
#include "node.h"

#define QUIET 1000u
#define FLOODER QUIET /* its place among the active users */
#define EVENTS 3000u  /* quiet ones in a phase: so many milliseconds */
#define WARM 500u     /* at the beginning of it, not counted */
#define PHASES 2u     /* alone, beside the flooder */
#define TOTAL (PHASES * EVENTS)
#define USER_RATE 20000u /* broker.max_events_per_second_per_user, by default */
#define PACE_NS 1000000

struct shared {
    _Atomic uint32_t ready; /* users that may be written to are known */
    _Atomic uint32_t emitted;
    _Atomic uint32_t flooding;
    _Atomic uint64_t at_ns[TOTAL];
    double latency_us[TOTAL];
    double flood_per_s;
};

/* ---- the broker */

struct watcher {
    struct node node;
    struct shared *shared;
    struct user *users[QUIET + 1];
    ev_prepare after_turn;
    uint32_t routed; /* quiet events, in the order of their numbers */
    uint64_t flood_from;
};

static uint64_t sent_to(const struct watcher *watcher, uint32_t nth)
{
    const struct subscription *first =
        LIST_FIRST(struct subscription, &watcher->users[nth]->subscriptions, user_link);
    return first->sent;
}

static void on_turn_over(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    struct watcher *watcher = prepare->data;
    struct shared *shared = watcher->shared;
    uint32_t emitted = atomic_load(&shared->emitted);

    (void)loop;
    (void)events;
    router_grant(watcher->node.listener, 1u << 20);
    /* A run's first event has number 1, its pieces of text those behind it. */
    while (watcher->routed < emitted &&
           sent_to(watcher, watcher->routed % QUIET) >= 2 + watcher->routed / QUIET) {
        uint64_t at = atomic_load(&shared->at_ns[watcher->routed]);
        shared->latency_us[watcher->routed++] = (double)((uint64_t)bench_now_ns() - at) / 1e3;
        if (watcher->routed == EVENTS)
            watcher->flood_from = sent_to(watcher, FLOODER);
    }
    if (watcher->routed == TOTAL)
        watcher->node.broker.stopping = true;
}

static void serve(struct bench_page *page, struct shared *shared)
{
    static struct watcher watcher;
    char name[32];

    page->user_rate = USER_RATE;
    node_up(&watcher.node, page, 0, 2048);
    bench_meet(page, 3, 1); /* the others attach and take their rings */
    for (uint32_t nth = 0; nth <= QUIET; nth++) {
        name[load_user_name(name, nth)] = '\0';
        node_listen(&watcher.node, name);
        watcher.users[nth] = users_get(&watcher.node.broker.users, span_of_string(name));
    }
    watcher.shared = shared;
    ev_prepare_init(&watcher.after_turn, on_turn_over);
    watcher.after_turn.data = &watcher;
    ev_prepare_start(watcher.node.broker.loop, &watcher.after_turn);
    atomic_store(&shared->ready, 1);
    broker_run(&watcher.node.broker);
    shared->flood_per_s = (double)(sent_to(&watcher, FLOODER) - watcher.flood_from) /
                          ((double)EVENTS * PACE_NS / 1e9);
    atomic_store(&page->stop, 1);
    bench_meet(page, 3, 2); /* nobody is attached any more */
    node_down(&watcher.node);
}

/* ---- those who emit */

static void wait_until(int64_t at_ns)
{
    struct timespec at = {at_ns / 1000000000, at_ns % 1000000000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        continue;
}

static void attach(struct load *load, struct bench_page *page, struct shared *shared)
{
    char directory[96];

    bench_meet(page, 3, 1);
    node_arena(directory, page, 0);
    load_up(load, directory, QUIET + 1, QUIET + 1);
    while (!atomic_load(&shared->ready))
        wait_until(bench_now_ns() + PACE_NS);
}

static void be_quiet(struct bench_page *page, struct shared *shared)
{
    struct load load;

    attach(&load, page, shared);
    for (uint32_t nth = 0; nth < QUIET; nth++)
        load_begin_one(&load, nth);
    int64_t next = bench_now_ns() + 200 * PACE_NS;
    for (uint32_t number = 0; number < TOTAL; number++, next += PACE_NS) {
        wait_until(next);
        if (number == EVENTS)
            atomic_store(&shared->flooding, 1);
        atomic_store(&shared->at_ns[number], (uint64_t)bench_now_ns());
        load_piece(&load, number % QUIET, NULL);
        atomic_store(&shared->emitted, number + 1);
    }
    while (!atomic_load(&page->stop))
        wait_until(bench_now_ns() + PACE_NS);
    load_down(&load);
    bench_meet(page, 3, 2);
}

static void flood(struct bench_page *page, struct shared *shared)
{
    struct load load;

    attach(&load, page, shared);
    load_begin_one(&load, FLOODER);
    while (!atomic_load(&shared->flooding))
        wait_until(bench_now_ns() + PACE_NS);
    while (!atomic_load(&page->stop))
        load_flood(&load, FLOODER);
    load_down(&load);
    bench_meet(page, 3, 2);
}

static void act(struct bench_page *page, unsigned number, void *userdata)
{
    void (*const parts[])(struct bench_page *, struct shared *) = {serve, be_quiet, flood};

    parts[number](page, userdata);
}

void fairness_measure(struct fairness *ret_fairness)
{
    struct bench_page page;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    bench_need(shared == MAP_FAILED ? -1 : 0, "mmap");
    bench_run(&page, &(struct bench_plan){.parts = 3, .fn = act, .userdata = shared});
    ret_fairness->alone_p99_us = bench_percentile(&shared->latency_us[WARM], EVENTS - WARM, 0.99);
    ret_fairness->quiet_p99_us =
        bench_percentile(&shared->latency_us[EVENTS + WARM], EVENTS - WARM, 0.99);
    ret_fairness->ratio = ret_fairness->quiet_p99_us / ret_fairness->alone_p99_us;
    ret_fairness->flood_per_s = shared->flood_per_s;
    munmap(shared, sizeof *shared);
}
