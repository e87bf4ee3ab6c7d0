/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the measurements share. Each part runs in processes of its own, forked before they map
 * anything, pinned to a processor each as far as there are some, and told apart by their number.
 * They meet in one shared page.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_RUNS 5
#define BENCH_PARTS 4 /* processes at once */
#define BENCH_RESULTS 256

/* Filled with zeroes for each bench_run. */
struct bench_page {
    _Atomic uint32_t arrived; /* for bench_meet */
    _Atomic uint32_t stop;
    _Atomic uint32_t baton; /* for bench_await and bench_pass */
    _Alignas(128) _Atomic uint32_t ping;
    /* The parts that measure write, the parent reads afterwards. */
    _Alignas(128) double result[BENCH_RESULTS];
    char directory[64]; /* in shared memory, made by the parent; removed afterwards with whatever
                           has a name that begins so */
    uint32_t user_rate; /* events a second a broker takes of a user; 0: any number */
    char scratch[128];  /* the same on a disk: in $TMPDIR or /tmp */
};

typedef void (*bench_part_fn)(struct bench_page *page, unsigned number, void *userdata);

struct bench_plan {
    unsigned parts;
    bench_part_fn fn;
    void *userdata;
};

/* Runs all parts to their end; leaves the program with a reason when one fails. */
void bench_run(struct bench_page *ret_page, const struct bench_plan *plan);
/* Waits until `parts` processes are here for the nth time. */
void bench_meet(struct bench_page *page, unsigned parts, unsigned nth);
/* The parts act one after the other, each when the baton has come to its step: it sleeps till then,
 * and passes the baton to the step behind. */
void bench_await(struct bench_page *page, uint32_t step);
void bench_pass(struct bench_page *page);
/* Moves the caller to the nth processor, as far as there are some. */
void bench_pin(unsigned nth);
/* Back to all that the program was given. */
void bench_unpin(void);
/* Stops the part with a reason when r is negative. */
void bench_need(int r, const char *what);
/* The pointer; NULL stops the part with a reason. */
void *bench_need_memory(void *pointer, const char *what) __attribute__((returns_nonnull));
int64_t bench_now_ns(void);
/* What this thread has used of its processor, whatever else ran there. */
int64_t bench_cpu_ns(void);
/* Sorts the values. share 0.5: the median. */
double bench_percentile(double *values, size_t count, double share);
uint32_t bench_random(uint64_t *state);
void bench_print_head(void);
void bench_print_row(const char *what, double value, const char *unit, const char *goal);
/* The figure of this key in what another measurement beside this one says with --json; NAN when
 * that is not there or fails, which it says itself. */
double bench_ask(const char *program, const char *key);
/* Whether there was "--json"; leaves the program with `usage` on any other argument. */
bool bench_wants_json(int argc, char **argv, const char *usage);

/* The floor: what this machine takes for the least of it. */
struct bench_floor {
    double hop_ns;        /* a cache line from one processor to the other */
    double cas_ns;        /* a successful one on a line in the cache */
    double memcpy_256_ns; /* into 256 KiB, one after the other */
    double memcpy_1k_ns;
};
void bench_floor(struct bench_floor *ret_floor);
void bench_print_floor(const struct bench_floor *floor);

struct bench_emit {
    double p50_ns; /* 256 B, hot, the reader awake: of batches of 32, a piece */
    double p99_ns; /* of single ones */
    double scale_ratio;
};
void bench_emit(struct bench_emit *ret_emit);

struct bench_flow {
    double records[3][2]; /* a second, by bench_flow_sizes and 1 or 2 writers */
    double mutex[2];      /* the same at 128 B with a robust mutex */
    double mutex_ratio;   /* at 128 B, two writers */
    double active_2000;   /* events a second at 256 B, 100,000 rings, 2,000 of them active */
};
extern const uint32_t bench_flow_sizes[3];
void bench_flow(struct bench_flow *ret_flow);

struct bench_wake {
    double asleep_p50_us; /* 10,000 events a second, the reader asleep between them */
    double asleep_p99_us;
    double spin_p50_us; /* … looking again for a while before it sleeps */
    double spin_p99_us;
    double sleeps;          /* of the sleeping reader, in 5,000 events */
    double wakes_per_sleep; /* the most in one sleep */
    double lost;
};
void bench_wake(struct bench_wake *ret_wake);
