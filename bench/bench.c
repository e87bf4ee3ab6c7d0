/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
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

static int64_t bench_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t bench_now_ns(void)
{
    return bench_clock(CLOCK_MONOTONIC);
}

int64_t bench_cpu_ns(void)
{
    return bench_clock(CLOCK_THREAD_CPUTIME_ID);
}

void bench_need(int r, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(-r));
    exit(1);
}

void *bench_need_memory(void *pointer, const char *what)
{
    if (!pointer) {
        bench_need(-ENOMEM, what);
        abort();
    }
    return pointer;
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double share)
{
    bench_need(count ? 0 : -ENODATA, "nothing was measured");
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

/* All that the program was given at its start. */
static cpu_set_t bench_cpus;

void bench_pin(unsigned nth)
{
    cpu_set_t one;
    unsigned count = (unsigned)CPU_COUNT(&bench_cpus);

    if (count == 0)
        return;
    nth %= count;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &bench_cpus) || nth-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

void bench_unpin(void)
{
    sched_setaffinity(0, sizeof bench_cpus, &bench_cpus);
}

/* Part 0, the reader where there is one, has a processor to itself, the others share the rest. */
static void bench_pin_part(unsigned number)
{
    unsigned count;

    if (sched_getaffinity(0, sizeof bench_cpus, &bench_cpus) < 0)
        return;
    count = (unsigned)CPU_COUNT(&bench_cpus);
    bench_pin(number > 0 && count > 1 ? 1 + (number - 1) % (count - 1) : 0);
}

static pid_t bench_start(struct bench_page *page, const struct bench_plan *plan, unsigned number)
{
    pid_t pid = fork();

    bench_need(pid < 0 ? -errno : 0, "fork");
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin_part(number);
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
        if (WIFSIGNALED(status))
            fprintf(stderr, "%s: %s\n", program_invocation_short_name, strsignal(WTERMSIG(status)));
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

/* Also what a part that failed has left behind. */
static void bench_remove_all(const struct bench_page *page)
{
    char pattern[sizeof page->directory + 1];
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s*", page->directory);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            nftw(found.gl_pathv[i], bench_remove, 8, FTW_DEPTH | FTW_PHYS);
    globfree(&found);
    nftw(page->scratch, bench_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static struct bench_page *bench_page_new(void)
{
    struct bench_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const char *disk = getenv("TMPDIR");

    bench_need(page == MAP_FAILED ? -errno : 0, "mmap");
    strcpy(page->directory, "/dev/shm/ringside-bench-XXXXXX");
    bench_need(mkdtemp(page->directory) ? 0 : -errno, "/dev/shm");
    snprintf(page->scratch, sizeof page->scratch, "%s/ringside-bench-XXXXXX",
        disk && *disk ? disk : "/tmp");
    bench_need(mkdtemp(page->scratch) ? 0 : -errno, page->scratch);
    return page;
}

void bench_run(struct bench_page *ret_page, const struct bench_plan *plan)
{
    struct bench_page *page = bench_page_new();
    pid_t pids[BENCH_PARTS];
    bool done;

    fflush(stdout);
    for (unsigned i = 0; i < plan->parts; i++)
        pids[i] = bench_start(page, plan, i);
    done = bench_wait(pids, plan->parts);
    bench_remove_all(page);
    if (!done) {
        fprintf(stderr, "%s: a part of the measurement failed\n", program_invocation_short_name);
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

void bench_await(struct bench_page *page, uint32_t step)
{
    static const struct timespec moment = {.tv_nsec = 20000};

    while (atomic_load(&page->baton) != step)
        nanosleep(&moment, NULL);
}

void bench_pass(struct bench_page *page)
{
    atomic_fetch_add(&page->baton, 1);
}

void bench_print_head(void)
{
    printf("%-58s %10s %-10s %s\n", "", "median", "", "goal");
}

void bench_print_row(const char *what, double value, const char *unit, const char *goal)
{
    /* A character may take more bytes than one. */
    int extra = 0;

    for (const char *c = what; *c; c++)
        extra += (*c & 0xc0) == 0x80;
    printf("%-*s %10.*f %-10s %s\n", 58 + extra, what, value < 100 ? 2 : 0, value, unit, goal);
}

static bool bench_beside(char ret_path[PATH_MAX], const char *program)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    bench_need(length < 0 ? -errno : 0, "/proc/self/exe");
    self[length] = '\0';
    snprintf(ret_path, PATH_MAX, "%.4000s/%s", dirname(self), program);
    return access(ret_path, X_OK) == 0;
}

double bench_ask(const char *program, const char *key)
{
    char command[PATH_MAX + 16], path[PATH_MAX], line[4096], quoted[64];
    double figure = NAN;
    FILE *answer;

    if (!bench_beside(path, program))
        return NAN;
    snprintf(command, sizeof command, "'%s' --json", path);
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    fflush(stdout);
    answer = popen(command, "r");
    bench_need(answer ? 0 : -errno, "popen");
    while (fgets(line, sizeof line, answer)) {
        const char *found = strstr(line, quoted);

        if (found)
            figure = strtod(found + strlen(quoted), NULL);
    }
    return pclose(answer) == 0 ? figure : NAN;
}

bool bench_wants_json(int argc, char **argv, const char *usage)
{
    if (argc == 1)
        return false;
    if (argc == 2 && strcmp(argv[1], "--json") == 0)
        return true;
    fputs(usage, stderr);
    exit(2);
}
