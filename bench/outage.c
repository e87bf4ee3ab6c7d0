/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that comes back: a broker with ten million events in its history and ten thousand users
 * who have open runs and news in their rings.
 *
 * Two processes beside the broker: a writer for the agents, and this one, which is the broker's
 * parent and its gateway. They act one after the other, but for live events, which come while
 * cursors are read.
 */
#include "outage.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "client.h"
#include "fill.h"
#include "load.h"
#include "server.h"

#define LIVE 100u              /* users with live events */
#define LIVE_PERIOD_NS 1000000 /* 1,000 events a second, of all of them */
#define LISTEN_TRIES 1000
#define BUSY (OUTAGE_ACTIVE + LIVE)
#define RINGS 16384u

enum {
    AT_FILL,
    AT_START,
    AT_RESUME = 2, /* of each run, as those below */
    AT_P50 = AT_RESUME + BENCH_RUNS,
    AT_LAST = AT_P50 + BENCH_RUNS,
    AT_LIVE = AT_LAST + BENCH_RUNS,
    AT_QUIET = AT_LIVE + BENCH_RUNS,
    AT_QUIET_P50 = AT_QUIET + BENCH_RUNS,
    AT_QUIET_CPU = AT_QUIET_P50 + BENCH_RUNS,
    AT_RESTART = AT_QUIET_CPU + BENCH_RUNS,
    AT_READY = AT_RESTART + BENCH_RUNS,
    AT_END = AT_READY + BENCH_RUNS,
};
_Static_assert(AT_END <= BENCH_RESULTS, "the page has room for all results");

/* What each process does in turn; ODD steps are the writer's. */
enum step {
    STEP_START,  /* history is filled, the broker started */
    STEP_ATTACH, /* the writer takes its rings, and begins the runs */
    STEP_RESUME, /* cursors are read; the writer's next step begins with it */
    STEP_LIVE,   /* live events until this is over */
    STEP_KILL,   /* the broker is killed */
    STEP_NEWS,   /* news in all rings, while it is dead */
    STEPS_OF_KILL = 2,
};

/* ---- the writer */

static void write_live(struct load *load, struct bench_page *page)
{
    static const struct timespec moment = {.tv_nsec = 20000};
    int64_t due = bench_now_ns();
    char data[48];

    for (uint32_t i = 0; !atomic_load(&page->stop); i++, due += LIVE_PERIOD_NS) {
        while (bench_now_ns() < due)
            nanosleep(&moment, NULL);
        snprintf(data, sizeof data, "{\"ns\":%lld}", (long long)bench_now_ns());
        load_piece(load, OUTAGE_ACTIVE + i % LIVE, data);
    }
}

static void writer_part(struct bench_page *page)
{
    struct load load;
    char arena[96];

    bench_await(page, STEP_ATTACH);
    snprintf(arena, sizeof arena, "%s-0", page->directory);
    load_up(&load, arena, BUSY, BUSY);
    load_begin(&load);
    bench_pass(page);
    bench_await(page, STEP_LIVE);
    write_live(&load, page);
    bench_pass(page);
    for (int run = 0; run < BENCH_RUNS; run++) {
        bench_await(page, STEP_NEWS + (uint32_t)run * STEPS_OF_KILL);
        load_text(&load, 1);
        bench_pass(page);
    }
    /* It lives as long as its runs are wanted. */
    bench_await(page, STEP_KILL + BENCH_RUNS * STEPS_OF_KILL + 1);
}

/* ---- the broker's parent, and gateway */

static double since_s(int64_t begin)
{
    return (double)(bench_now_ns() - begin) / 1e9;
}

static void name_cursors(struct cursor *cursors, size_t count, uint32_t first)
{
    for (size_t i = 0; i < count; i++)
        load_user_name(cursors[i].user, first + (uint32_t)i);
}

static void start(struct bench_page *page, struct server *server, const struct server_flags *flags)
{
    char directory[160];
    int64_t begin = bench_now_ns();

    snprintf(directory, sizeof directory, "%s/0/history", page->scratch);
    fill_history(&(struct fill){directory, OUTAGE_USERS, OUTAGE_EVENTS});
    page->result[AT_FILL] = since_s(begin);
    begin = bench_now_ns();
    server_start(server, flags);
    server_wait_ready(server);
    page->result[AT_START] = since_s(begin);
}

/* Until so many have come: beside a busy machine that may take longer than they are old. */
static void listen_for(struct client *client, size_t events)
{
    for (int tries = 0; client->live_count < events; tries++) {
        bench_need(tries < LISTEN_TRIES ? 0 : -ETIMEDOUT, "no live events come");
        client_listen(client, 0.1);
    }
}

static void listen_once(
    struct bench_page *page, struct client *client, const struct server *server, int run)
{
    int64_t used = server_cpu_ns(server);

    client_record(client, true);
    client_listen(client, 0.5);
    listen_for(client, LIVE);
    used = server_cpu_ns(server) - used;
    page->result[AT_QUIET_CPU + run] = (double)used / 1000 / (double)client->live_count;
    page->result[AT_QUIET_P50 + run] = bench_percentile(client->live_us, client->live_count, 0.5);
    page->result[AT_QUIET + run] = bench_percentile(client->live_us, client->live_count, 0.99);
}

static void resume_once(struct bench_page *page, struct client *client, int run)
{
    static struct cursor cursors[OUTAGE_CURSORS];
    static double took[OUTAGE_CURSORS];
    int64_t begin;

    name_cursors(cursors, OUTAGE_CURSORS, OUTAGE_USERS / 2);
    client_learn(client, cursors, OUTAGE_CURSORS, false);
    client_record(client, true);
    begin = bench_now_ns();
    client_resume(client, cursors, OUTAGE_CURSORS, OUTAGE_BEHIND);
    page->result[AT_RESUME + run] = since_s(begin);
    listen_for(client, 1);
    page->result[AT_LIVE + run] = bench_percentile(client->live_us, client->live_count, 0.99);
    for (size_t i = 0; i < OUTAGE_CURSORS; i++)
        took[i] = (double)(cursors[i].done_ns - cursors[i].begun_ns) / 1e6;
    page->result[AT_P50 + run] = bench_percentile(took, OUTAGE_CURSORS, 0.5);
    page->result[AT_LAST + run] = bench_percentile(took, OUTAGE_CURSORS, 1);
}

static void resume(struct bench_page *page, const struct server *server)
{
    static struct client client;
    static struct cursor live[LIVE];

    client_up(&client, page, 0);
    name_cursors(live, LIVE, OUTAGE_ACTIVE);
    client_learn(&client, live, LIVE, true);
    bench_pass(page); /* live events from here on */
    client_listen(&client, 0.5);
    for (int run = 0; run < BENCH_RUNS; run++) {
        listen_once(page, &client, server, run);
        resume_once(page, &client, run);
        client_listen(&client, 0.5); /* what is left of it is not the next one's */
    }
    atomic_store(&page->stop, 1);
}

/* The writer's news is not part of it: what the dying takes, and what the new one takes. */
static void restart(
    struct bench_page *page, struct server *server, const struct server_flags *flags, int run)
{
    static struct client clients[BENCH_RUNS];
    struct cursor cursor = {.user = ""};
    int64_t begin = bench_now_ns();
    double dying, ready;

    server_kill(server);
    dying = since_s(begin);
    bench_pass(page);
    bench_await(page, STEP_KILL + (uint32_t)(run + 1) * STEPS_OF_KILL);
    begin = bench_now_ns();
    server_start(server, flags);
    server_wait_ready(server);
    ready = since_s(begin);
    client_up(&clients[run], page, 0);
    name_cursors(&cursor, 1, OUTAGE_USERS - 1);
    client_learn(&clients[run], &cursor, 1, false);
    client_resume(&clients[run], &cursor, 1, OUTAGE_BEHIND);
    page->result[AT_RESTART + run] = 1000 * (dying + since_s(begin));
    page->result[AT_READY + run] = 1000 * (dying + ready);
}

static void gateway_part(struct bench_page *page)
{
    struct server_flags flags;
    struct server server;

    server_flags(&flags, page, 0, RINGS);
    bench_await(page, STEP_START);
    start(page, &server, &flags);
    bench_pass(page);
    bench_await(page, STEP_RESUME);
    resume(page, &server);
    bench_await(page, STEP_KILL);
    for (int run = 0; run < BENCH_RUNS; run++)
        restart(page, &server, &flags, run);
    server_kill(&server);
    bench_pass(page);
}

static void part(struct bench_page *page, unsigned number, void *userdata)
{
    (void)userdata;
    bench_unpin();
    if (number == 0)
        gateway_part(page);
    else
        writer_part(page);
}

void outage_measure(struct outage *ret_outage)
{
    struct bench_page page;
    double median[AT_END] = {0};

    bench_run(&page, &(struct bench_plan){2, part, NULL});
    for (int at = AT_RESUME; at < AT_END; at += BENCH_RUNS)
        median[at] = bench_percentile(&page.result[at], BENCH_RUNS, 0.5);
    *ret_outage = (struct outage){.fill_s = page.result[AT_FILL],
        .start_s = page.result[AT_START],
        .resume_s = median[AT_RESUME],
        .resume_p50_ms = median[AT_P50],
        .resume_last_ms = median[AT_LAST],
        .live_p99_us = median[AT_LIVE],
        .quiet_p50_us = median[AT_QUIET_P50],
        .quiet_p99_us = median[AT_QUIET],
        .quiet_cpu_us = median[AT_QUIET_CPU],
        .restart_ms = median[AT_RESTART],
        .ready_ms = median[AT_READY]};
}
