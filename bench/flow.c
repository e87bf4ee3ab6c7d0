/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much goes through. Nobody sleeps and nobody is woken: who has nothing to do gives its
 * processor away, on both sides and in the same way for both kinds of ring. The reader reads the
 * first and the last word of each record, counts for a while and says stop.
 */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "arenas.h"
#include "mutex-ring.h"

#define WARM_NS 50000000
#define COUNT_NS 250000000
#define MANY_USERS 100000u
#define ACTIVE 2000u

const uint32_t bench_flow_sizes[3] = {128, 256, 1024};

struct flow {
    unsigned writers;
    uint32_t size;
    uint32_t users;  /* known to the arena */
    uint32_t active; /* of them, written to in no order */
    uint32_t ring_bytes;
    struct mutex_ring *mutex; /* instead, if there is one */
};

static void touch(void *userdata, const void *bytes, uint32_t length)
{
    uint64_t first, last;

    memcpy(&first, bytes, sizeof first);
    memcpy(&last, (const uint8_t *)bytes + length - sizeof last, sizeof last);
    *(uint64_t *)userdata += first ^ last;
}

static void touch_record(void *userdata, const struct ring_record *record)
{
    touch(userdata, record->payload, record->payload_length);
}

static size_t drain(struct bench_owner *owner, const struct flow *flow, uint64_t *sum)
{
    return flow->mutex ? mutex_ring_drain(flow->mutex, touch, sum)
                       : bench_drain(owner, touch_record, sum);
}

/* Records a second from `begin` on. */
static double count_for(struct bench_owner *owner, const struct flow *flow, int64_t duration)
{
    int64_t begin = bench_now_ns(), now = begin;
    uint64_t sum = 0, records = 0;

    while (now - begin < duration) {
        for (int i = 0; i < 64; i++) {
            size_t got = drain(owner, flow, &sum);

            records += got;
            if (got == 0)
                sched_yield();
        }
        now = bench_now_ns();
    }
    return (double)records * 1e9 / (double)(now - begin);
}

static void flow_read(struct bench_page *page, const struct flow *flow)
{
    struct bench_owner owner = {NULL, NULL};
    uint64_t sum = 0;

    if (!flow->mutex)
        bench_owner_up(&owner, page->directory, flow->users, flow->ring_bytes);
    bench_meet(page, 1 + flow->writers, 1);
    bench_meet(page, 1 + flow->writers, 2);
    count_for(&owner, flow, WARM_NS);
    page->result[0] = count_for(&owner, flow, COUNT_NS);
    atomic_store(&page->stop, 1);
    while (atomic_load(&page->arrived) < (1 + flow->writers) * 2 + flow->writers)
        drain(&owner, flow, &sum);
    if (!flow->mutex)
        bench_owner_down(&owner);
}

struct flow_writer {
    struct arena *arena;
    struct ring_writer writer;
    struct ring_lease leases[ACTIVE];
    uint64_t random;
};

static void flow_writer_up(struct flow_writer *w, const char *directory, const struct flow *flow)
{
    bench_need(arena_attach(&w->arena, directory), "arena_attach");
    bench_need(ring_writer_init(&w->writer, w->arena), "ring_writer_init");
    for (uint32_t user = 0; user < flow->users; user++) {
        struct ring_lease lease = bench_lease(&w->writer, user);

        if (user % (flow->users / flow->active) == 0)
            w->leases[user / (flow->users / flow->active)] = lease;
    }
}

static int flow_emit(struct flow_writer *w, const struct flow *flow, const void *bytes)
{
    uint32_t user = flow->active > 1 ? bench_random(&w->random) % flow->active : 0;

    if (flow->mutex)
        return mutex_ring_emit(flow->mutex, bytes, flow->size);
    return bench_put(&w->writer, &w->leases[user], bytes, flow->size);
}

static void flow_write(struct bench_page *page, unsigned number, const struct flow *flow)
{
    static struct flow_writer w;
    static uint64_t payload[256];

    w.random = number + 88172645463325252u;
    bench_meet(page, 1 + flow->writers, 1);
    if (!flow->mutex)
        flow_writer_up(&w, page->directory, flow);
    bench_meet(page, 1 + flow->writers, 2);
    while (!atomic_load_explicit(&page->stop, memory_order_relaxed)) {
        int r = flow_emit(&w, flow, payload);

        payload[0]++;
        if (r == -EAGAIN)
            sched_yield();
        else
            bench_need(r, "emit");
    }
    if (!flow->mutex) {
        ring_writer_deinit(&w.writer);
        arena_detach(w.arena);
    }
    atomic_fetch_add(&page->arrived, 1);
}

static void flow_part(struct bench_page *page, unsigned number, void *userdata)
{
    if (number == 0)
        flow_read(page, userdata);
    else
        flow_write(page, number, userdata);
}

static double flow_once(struct flow flow)
{
    struct bench_page page;

    bench_run(&page, &(struct bench_plan){1 + flow.writers, flow_part, &flow});
    return page.result[0];
}

static double flow_ring(uint32_t size, unsigned writers)
{
    return flow_once((struct flow){writers, size, 1, 1, BENCH_RING_LARGE, NULL});
}

static double flow_mutex(uint32_t size, unsigned writers)
{
    struct mutex_ring *ring =
        mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double rate;

    bench_need(ring == MAP_FAILED ? -errno : 0, "mmap");
    bench_need(mutex_ring_init(ring), "mutex");
    rate = flow_once((struct flow){writers, size, 1, 1, 0, ring});
    munmap(ring, sizeof *ring);
    return rate;
}

static void flow_sizes(struct bench_flow *flow, unsigned size)
{
    double runs[2][BENCH_RUNS];

    for (int run = 0; run < BENCH_RUNS; run++)
        for (unsigned writers = 1; writers <= 2; writers++)
            runs[writers - 1][run] = flow_ring(bench_flow_sizes[size], writers);
    for (int i = 0; i < 2; i++)
        flow->records[size][i] = bench_percentile(runs[i], BENCH_RUNS, 0.5);
}

/* Turn about, so that both meet the same machine. */
static void flow_against_mutex(struct bench_flow *flow)
{
    double one[BENCH_RUNS], two[BENCH_RUNS], ratio[BENCH_RUNS];

    for (int run = 0; run < BENCH_RUNS; run++) {
        one[run] = flow_mutex(128, 1);
        ratio[run] = flow_ring(128, 2);
        two[run] = flow_mutex(128, 2);
        ratio[run] /= two[run];
    }
    flow->mutex[0] = bench_percentile(one, BENCH_RUNS, 0.5);
    flow->mutex[1] = bench_percentile(two, BENCH_RUNS, 0.5);
    flow->mutex_ratio = bench_percentile(ratio, BENCH_RUNS, 0.5);
}

void bench_flow(struct bench_flow *ret_flow)
{
    double active[BENCH_RUNS];

    for (unsigned i = 0; i < 3; i++)
        flow_sizes(ret_flow, i);
    flow_against_mutex(ret_flow);
    for (int run = 0; run < BENCH_RUNS; run++)
        active[run] = flow_once((struct flow){1, 256, MANY_USERS, ACTIVE, BENCH_RING_SMALL, NULL});
    ret_flow->active_2000 = bench_percentile(active, BENCH_RUNS, 0.5);
}
