/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_need(int r, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "ringside-bench-ring: %s: %s\n", what, strerror(-r));
    exit(1);
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double share)
{
    qsort(values, count, sizeof *values, bench_compare);
    return values[(size_t)((double)(count - 1) * share + 0.5)];
}

uint32_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

/* Part 0, the reader where there is one, has a processor to itself, the others share the rest. */
static void bench_pin(unsigned number)
{
    cpu_set_t all, one;
    unsigned nth = 0, count;

    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return;
    count = (unsigned)CPU_COUNT(&all);
    if (number > 0 && count > 1)
        nth = 1 + (number - 1) % (count - 1);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all) || nth-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

static pid_t bench_start(struct bench_page *page, const struct bench_plan *plan, unsigned number)
{
    pid_t pid = fork();

    if (pid < 0) {
        perror("ringside-bench-ring: fork");
        exit(1);
    }
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(number);
    plan->fn(page, number, plan->userdata);
    _exit(0);
}

/* One that fails takes the others along: they would wait for it. */
static bool bench_wait(const pid_t *pids, unsigned count)
{
    for (unsigned left = count; left > 0; left--) {
        int status;

        if (wait(&status) > 0 && status == 0)
            continue;
        for (unsigned i = 0; i < count; i++)
            kill(pids[i], SIGKILL);
        return false;
    }
    return true;
}

static int bench_remove(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

void bench_run(struct bench_page *ret_page, const struct bench_plan *plan)
{
    struct bench_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[BENCH_PARTS];
    bool done;

    if (page == MAP_FAILED) {
        perror("ringside-bench-ring: mmap");
        exit(1);
    }
    strcpy(page->directory, "/dev/shm/ringside-bench-XXXXXX");
    if (!mkdtemp(page->directory)) {
        perror("ringside-bench-ring: /dev/shm");
        exit(1);
    }
    fflush(stdout);
    for (unsigned i = 0; i < plan->parts; i++)
        pids[i] = bench_start(page, plan, i);
    done = bench_wait(pids, plan->parts);
    nftw(page->directory, bench_remove, 8,
        FTW_DEPTH | FTW_PHYS); /* the arenas of a failed one too */
    if (!done) {
        fputs("ringside-bench-ring: a part of the measurement failed\n", stderr);
        exit(1);
    }
    *ret_page = *page;
    munmap(page, sizeof *page);
}

void bench_meet(struct bench_page *page, unsigned parts, unsigned nth)
{
    atomic_fetch_add(&page->arrived, 1);
    while (atomic_load(&page->arrived) < parts * nth)
        sched_yield();
}
