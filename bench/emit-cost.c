/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ringside-bench-emit-cost DIRECTORY: what calls of libringside cost a program in C, for emit.py.
 *
 * Makes an arena there and drains it all the time, on the second processor and without sleeping on
 * its bell, so that nobody has to be woken and there is always room. A child on the first one emits
 * in bursts; each call is timed. It says "NAME p50 p99" for each kind of call, in nanoseconds and
 * without what looking at the clock costs, then "ready"; the arena is there for others until stdin
 * ends.
 */
#include <ringside.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arenas.h"
#include "bench.h"

#define SAMPLES 20000u
#define BURST 32u
#define PAUSE_US 1000
#define DRAIN_US 200
#define LONG_TEXT 1000u

static char text[LONG_TEXT + 1];

typedef void (*call_fn)(rs_run *run);

static void call_text(rs_run *run)
{
    bench_need(rs_text(run, NULL, text, 40, NULL), "rs_text");
}

static void call_long_text(rs_run *run)
{
    bench_need(rs_text(run, NULL, text, LONG_TEXT, NULL), "rs_text");
}

static void call_tool(rs_run *run)
{
    rs_tool *tool;

    bench_need(rs_tool_begin(&tool, run, NULL, "search", "{\"query\":\"rings\"}"), "rs_tool_begin");
    bench_need(rs_tool_end(tool, RS_TOOL_OK, "{\"hits\":3}", NULL, NULL), "rs_tool_end");
}

static double clock_ns(void)
{
    static double samples[SAMPLES];

    for (unsigned i = 0; i < SAMPLES; i++) {
        int64_t begin = bench_now_ns();
        samples[i] = (double)(bench_now_ns() - begin);
    }
    return bench_percentile(samples, SAMPLES, 0.5);
}

static void measure(rs_emitter *emitter, const char *name, call_fn call)
{
    static double samples[SAMPLES];
    const struct rs_run_context context = {.user_id = "ann", .thread_id = "t", .agent = "bench"};
    double clock = clock_ns();
    rs_run *run;

    bench_need(rs_run_open(&run, emitter, &context), "rs_run_open");
    bench_need(rs_run_start(run), "rs_run_start");
    for (unsigned i = 0; i < SAMPLES; i++) {
        int64_t begin = bench_now_ns();
        call(run);
        samples[i] = (double)(bench_now_ns() - begin) - clock;
        if (i % BURST == BURST - 1)
            usleep(PAUSE_US);
    }
    bench_need(rs_run_complete(run, RS_SUCCESS, NULL, NULL), "rs_run_complete");
    rs_run_free(run);
    printf("%s %.0f %.0f\n", name, bench_percentile(samples, SAMPLES, 0.5),
        bench_percentile(samples, SAMPLES, 0.99));
}

static int measure_all(const char *directory)
{
    rs_emitter *emitter;
    const struct rs_attach_options options = {
        .node = "bench", .arena_dir = directory, .emit_timeout_ms = RS_EMIT_TIMEOUT_DEFAULT};

    bench_pin(0);
    memset(text, 'a', LONG_TEXT);
    bench_need(rs_attach(&emitter, &options), "rs_attach");
    measure(emitter, "text", call_text);
    measure(emitter, "long_text", call_long_text);
    measure(emitter, "tool", call_tool);
    rs_detach(emitter);
    fflush(stdout);
    return 0;
}

static void ignore(void *userdata, const struct ring_record *record)
{
    (void)userdata;
    (void)record;
}

static bool stdin_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

/* Until the child has left, or, when it has, until nobody wants the arena any more. */
static void serve(struct bench_owner *owner, pid_t child)
{
    int status = 0;

    while (child ? waitpid(child, &status, WNOHANG) == 0 : !stdin_ended()) {
        bench_drain(owner, ignore, NULL);
        usleep(DRAIN_US);
    }
    if (child && status)
        exit(1);
}

int main(int argc, char **argv)
{
    struct bench_owner owner;

    if (argc != 2) {
        fputs("usage: ringside-bench-emit-cost DIRECTORY\n", stderr);
        return 2;
    }
    bench_owner_up(&owner, argv[1], 16, BENCH_RING_LARGE);
    pid_t child = fork();
    if (child == 0)
        _exit(measure_all(argv[1]));
    bench_pin(1);
    serve(&owner, child);
    puts("ready");
    fflush(stdout);
    serve(&owner, 0);
    bench_owner_down(&owner);
    return 0;
}
