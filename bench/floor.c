/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#define HOPS 200000u
#define COPIES 200000u
#define COPY_BYTES 262144u /* a ring's */

/* Two processes hand one line to and fro. */
static void hop_part(struct bench_page *page, unsigned number, void *userdata)
{
    int64_t begin;

    (void)userdata;
    bench_meet(page, 2, 1);
    begin = bench_now_ns();
    for (uint32_t i = number; i < HOPS; i += 2) {
        while (atomic_load_explicit(&page->ping, memory_order_acquire) != i)
            ;
        atomic_store_explicit(&page->ping, i + 1, memory_order_release);
    }
    if (number == 1)
        page->result[0] = (double)(bench_now_ns() - begin) / HOPS;
}

static double time_copies(uint8_t *to, size_t size)
{
    uint8_t from[1024];
    int64_t begin;
    size_t at = 0;

    memset(from, 1, sizeof from);
    begin = bench_now_ns();
    for (uint32_t i = 0; i < COPIES; i++) {
        memcpy(to + at, from, size);
        __asm__ volatile("" ::: "memory");
        at = at + 2 * size <= COPY_BYTES ? at + size : 0;
    }
    return (double)(bench_now_ns() - begin) / COPIES;
}

static double time_cas(void)
{
    static _Atomic uint64_t word;
    int64_t begin = bench_now_ns();

    for (uint64_t i = 0; i < COPIES; i++) {
        uint64_t expected = i;

        atomic_compare_exchange_strong(&word, &expected, i + 1);
    }
    return (double)(bench_now_ns() - begin) / COPIES;
}

static void alone_part(struct bench_page *page, unsigned number, void *userdata)
{
    static uint8_t to[COPY_BYTES];

    (void)number;
    (void)userdata;
    memset(to, 1, sizeof to);
    page->result[0] = time_cas();
    page->result[1] = time_copies(to, 256);
    page->result[2] = time_copies(to, 1024);
}

void bench_floor(struct bench_floor *ret_floor)
{
    double hop[BENCH_RUNS], cas[BENCH_RUNS], small[BENCH_RUNS], big[BENCH_RUNS];
    /* On a single processor there is no hop to measure. */
    bool two = sysconf(_SC_NPROCESSORS_ONLN) > 1;

    for (int run = 0; run < BENCH_RUNS; run++) {
        struct bench_page page = {.result = {0}};

        if (two)
            bench_run(&page, &(struct bench_plan){2, hop_part, NULL});
        hop[run] = page.result[0];
        bench_run(&page, &(struct bench_plan){1, alone_part, NULL});
        cas[run] = page.result[0];
        small[run] = page.result[1];
        big[run] = page.result[2];
    }
    *ret_floor = (struct bench_floor){
        .hop_ns = bench_percentile(hop, BENCH_RUNS, 0.5),
        .cas_ns = bench_percentile(cas, BENCH_RUNS, 0.5),
        .memcpy_256_ns = bench_percentile(small, BENCH_RUNS, 0.5),
        .memcpy_1k_ns = bench_percentile(big, BENCH_RUNS, 0.5),
    };
}

void bench_print_floor(const struct bench_floor *floor)
{
    bench_print_row("a cache line to the other processor", floor->hop_ns, "ns", "");
    bench_print_row("a successful CAS in the cache", floor->cas_ns, "ns", "");
    bench_print_row("memcpy of 256 B", floor->memcpy_256_ns, "ns", "");
    bench_print_row("memcpy of 1 KiB", floor->memcpy_1k_ns, "ns", "");
}
