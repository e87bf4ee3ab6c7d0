/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an emit costs its caller with everything in the cache, nobody to wake and room in the ring:
 * 256 bytes into one of ten users' rings in turn, drained between the timed stretches by the same
 * processor. Once with ten users known to the arena and once with 100,000, turn about.
 */
#include "bench.h"

#include <stdio.h>

#include "arenas.h"

#define USERS 10u
#define MANY_USERS 100000u
#define PAYLOAD 256u
#define BATCH 32u /* a ring of 16 KiB holds 56 records */
#define BATCHES 20000u

struct setting {
    struct bench_owner owner;
    struct ring_writer writer;
    struct ring_lease leases[USERS];
};

static void ignore(void *userdata, const struct ring_record *record)
{
    (void)userdata;
    (void)record;
}

static void setting_up(struct setting *s, const char *directory, uint32_t users)
{
    bench_owner_up(&s->owner, directory, users, BENCH_RING_SMALL);
    bench_need(ring_writer_init(&s->writer, s->owner.arena), "ring_writer_init");
    for (uint32_t user = 0; user < users; user++) {
        struct ring_lease lease = bench_lease(&s->writer, user);

        if (user % (users / USERS) == 0)
            s->leases[user / (users / USERS)] = lease;
    }
}

static void setting_down(struct setting *s)
{
    ring_writer_deinit(&s->writer);
    bench_owner_down(&s->owner);
}

static void emit_one(struct setting *s, uint32_t user)
{
    static uint8_t payload[PAYLOAD];
    struct iovec iov = {payload, sizeof payload};

    bench_need(ring_emit(NULL, &s->writer, &s->leases[user], &iov, 1), "ring_emit");
}

/* A batch to one user, drained; per emit. */
static double time_batch(struct setting *s, uint32_t user)
{
    int64_t begin = bench_now_ns(), end;

    for (unsigned i = 0; i < BATCH; i++)
        emit_one(s, user);
    end = bench_now_ns();
    bench_drain(&s->owner, ignore, NULL);
    return (double)(end - begin) / BATCH;
}

static double time_single(struct setting *s, uint32_t user)
{
    int64_t begin = bench_now_ns();

    emit_one(s, user);
    return (double)(bench_now_ns() - begin);
}

static double time_nothing(void)
{
    int64_t begin = bench_now_ns();

    return (double)(bench_now_ns() - begin);
}

static double batches_p50(struct setting *s)
{
    static double samples[BATCHES];

    for (uint32_t i = 0; i < BATCHES; i++)
        samples[i] = time_batch(s, i / 8 % USERS);
    return bench_percentile(samples, BATCHES, 0.5);
}

/* Less what looking at the clock costs by itself. */
static double singles_p99(struct setting *s)
{
    static double samples[BATCHES], clock[BATCHES];

    for (uint32_t i = 0; i < BATCHES; i++) {
        clock[i] = time_nothing();
        samples[i] = time_single(s, i / 32 / 8 % USERS);
        if (i % BATCH == BATCH - 1)
            bench_drain(&s->owner, ignore, NULL);
    }
    return bench_percentile(samples, BATCHES, 0.99) - bench_percentile(clock, BATCHES, 0.5);
}

static void emit_part(struct bench_page *page, unsigned number, void *userdata)
{
    static struct setting few, many;
    char directory[2][96];
    double p50[BENCH_RUNS], p99[BENCH_RUNS], ratio[BENCH_RUNS];

    (void)number;
    (void)userdata;
    for (int i = 0; i < 2; i++)
        snprintf(directory[i], sizeof directory[i], "%s/%d", page->directory, i);
    setting_up(&few, directory[0], USERS);
    setting_up(&many, directory[1], MANY_USERS);
    for (int run = 0; run < BENCH_RUNS; run++) {
        p50[run] = batches_p50(&few);
        ratio[run] = batches_p50(&many) / p50[run];
        p99[run] = singles_p99(&few);
    }
    setting_down(&few);
    setting_down(&many);
    page->result[0] = bench_percentile(p50, BENCH_RUNS, 0.5);
    page->result[1] = bench_percentile(p99, BENCH_RUNS, 0.5);
    page->result[2] = bench_percentile(ratio, BENCH_RUNS, 0.5);
}

void bench_emit(struct bench_emit *ret_emit)
{
    struct bench_page page;

    bench_run(&page, &(struct bench_plan){1, emit_part, NULL});
    *ret_emit = (struct bench_emit){page.result[0], page.result[1], page.result[2]};
}
