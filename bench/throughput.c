/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker at its limit: 1,000 users, each with an open run whose text comes in events of 250
 * bytes; history on a disk, synced by interval; a gateway subscribed to all of them that costs
 * nothing. And the same with 99,000 more users known, turn about with the first.
 *
 * Four processes: two brokers, on one processor, and a writer for each, on the other. One acts at
 * a time: the writer fills the rings, then its broker is measured while it empties them.
 */
#include "throughput.h"

#include <stdio.h>

#include "arenas.h"

#define ACTIVE 1000u
#define PIECES 32u /* of text in a round for each active user: what a ring of 16 KiB holds */
#define ROUNDS 16u /* in a run of the measurement */
#define ALL_ROUNDS (BENCH_RUNS * ROUNDS)
#define MEETINGS 25u /* in which the users become known, a share in each */
#define WARM_ROUNDS 2u
#define STAGE_ROUNDS 8u
#define WHOLE_ROUNDS 8u

enum act {
    ACT_START,
    ACT_MEET,
    ACT_BEGIN,
    ACT_WARM,
    ACT_TEXT,
    ACT_STAGES,
    ACT_WHOLE,
    ACT_STOP,
};

#define FIRST_BEGIN (1 + MEETINGS)
#define FIRST_TEXT (FIRST_BEGIN + 1 + WARM_ROUNDS)
#define FIRST_STAGES (FIRST_TEXT + BENCH_RUNS * ROUNDS)
#define FIRST_WHOLE (FIRST_STAGES + STAGE_ROUNDS)
#define LAST (FIRST_WHOLE + WHOLE_ROUNDS)

static enum act act_of(unsigned number)
{
    if (number == 0)
        return ACT_START;
    if (number < FIRST_BEGIN)
        return ACT_MEET;
    if (number < FIRST_TEXT)
        return number == FIRST_BEGIN ? ACT_BEGIN : ACT_WARM;
    if (number < FIRST_STAGES)
        return ACT_TEXT;
    if (number < FIRST_WHOLE)
        return ACT_STAGES;
    return number < LAST ? ACT_WHOLE : ACT_STOP;
}

static const struct setting {
    uint32_t known;
    uint32_t rings;
} settings[2] = {{1000, 1024}, {100000, 131072}};

/* Where results are in the page. */
enum {
    AT_CPU = 0,                           /* of each setting and round, per event */
    AT_WALL = 2 * ALL_ROUNDS,             /* of each setting and run */
    AT_STAGES = AT_WALL + 2 * BENCH_RUNS, /* of the first setting, as those below */
    AT_WHOLE = AT_STAGES + STAGE_COUNT,
    AT_UPKEEP, /* of each setting: milliseconds a second */
    AT_END = AT_UPKEEP + 2,
};
_Static_assert(AT_END <= BENCH_RESULTS, "the page has room for all results");

/* The second setting is there for the ratio only. */
static bool takes_part(unsigned setting, enum act act)
{
    return setting == 0 || (act != ACT_STAGES && act != ACT_WHOLE);
}

/* In each act, a setting at a time: the broker is made, the writer writes, the broker takes it. */
static uint32_t step_of(unsigned act, unsigned setting, unsigned nth)
{
    return (act * 2 + setting) * 3 + nth;
}

/* ---- the writer */

static void attach(struct load *load, const struct bench_page *page, unsigned setting)
{
    char arena[96];

    node_arena(arena, page, setting);
    load_up(load, arena, settings[setting].known, ACTIVE);
}

static void write_act(
    struct load *load, const struct bench_page *page, unsigned setting, unsigned number)
{
    uint32_t share = settings[setting].known / MEETINGS;

    switch (act_of(number)) {
    case ACT_START: attach(load, page, setting); break;
    case ACT_MEET: load_acquaint(load, (number - 1) * share, share); break;
    case ACT_BEGIN: load_begin(load); break;
    case ACT_WARM:
    case ACT_TEXT:
    case ACT_STAGES: load_text(load, PIECES); break;
    case ACT_WHOLE: load_runs(load); break;
    case ACT_STOP: load_down(load); break;
    }
}

static void writer_part(struct bench_page *page, unsigned setting)
{
    struct load load;

    for (unsigned number = 0; number <= LAST; number++) {
        bench_await(page, step_of(number, setting, 1));
        if (takes_part(setting, act_of(number)))
            write_act(&load, page, setting, number);
        bench_pass(page);
    }
}

/* ---- the broker */

struct measured {
    struct bench_page *page;
    unsigned setting;
    struct node node;
    struct stages stages;
    struct load load; /* who the active users are; not attached */
    uint64_t events;  /* that must have been taken, in all */
    int64_t since_ns; /* when the count of the timers began */
};

static void meet(struct measured *m)
{
    m->events += 2 * (uint64_t)(settings[m->setting].known / MEETINGS);
    node_run(&m->node, m->events);
}

static void begin_runs(struct measured *m)
{
    m->load = (struct load){.known = settings[m->setting].known, .active = ACTIVE};
    m->events += ACTIVE;
    node_run(&m->node, m->events);
    for (uint32_t nth = 0; nth < ACTIVE; nth++) {
        char name[32];

        load_user_name(name, load_user(&m->load, nth));
        node_listen(&m->node, name);
    }
}

/* Timers run by the clock, and the clock goes on while others act: what they take of it, and not
 * what they took during the turns, is what they leave the turns less of. */
static double upkeep_share(const struct measured *m)
{
    return (double)m->node.upkeep_ns / (double)(bench_now_ns() - m->since_ns);
}

static void measure_text(struct measured *m, double *cpu, double *wall)
{
    int64_t cpu_begin = bench_cpu_ns(), begin = bench_now_ns(), upkeep = m->node.upkeep_ns;
    double events = PIECES * ACTIVE, turns;

    m->events += PIECES * ACTIVE;
    node_run(&m->node, m->events);
    turns = (double)(bench_cpu_ns() - cpu_begin - (m->node.upkeep_ns - upkeep));
    *cpu = turns / (1 - upkeep_share(m)) / events;
    *wall += (double)(bench_now_ns() - begin) / events / ROUNDS;
}

/* Not counted, but for the timers. */
static void warm_up(struct measured *m)
{
    double unused = 0;

    m->node.upkeep_ns = 0;
    m->since_ns = bench_now_ns();
    measure_text(m, &unused, &unused);
}

static void measure_stages(struct measured *m, unsigned number)
{
    char directory[160];

    if (number == FIRST_STAGES) {
        snprintf(directory, sizeof directory, "%s/stages", m->page->scratch);
        stages_up(&m->stages, &m->node, directory);
    }
    m->events += PIECES * ACTIVE;
    stages_measure(&m->stages, &m->load, m->events);
    if (number == FIRST_WHOLE - 1)
        stages_down(&m->stages, &m->page->result[AT_STAGES]);
}

static void measure_whole(struct measured *m)
{
    int64_t begin = bench_cpu_ns();
    double events = (double)LOAD_RUN_EVENTS * ACTIVE;

    m->events += (uint64_t)LOAD_RUN_EVENTS * ACTIVE;
    node_run(&m->node, m->events);
    m->page->result[AT_WHOLE] += (double)(bench_cpu_ns() - begin) / events / WHOLE_ROUNDS;
}

static void take_text(struct measured *m, unsigned round)
{
    double *cpu = &m->page->result[AT_CPU + m->setting * ALL_ROUNDS];
    double *wall = &m->page->result[AT_WALL + m->setting * BENCH_RUNS];

    measure_text(m, &cpu[round], &wall[round / ROUNDS]);
    m->page->result[AT_UPKEEP + m->setting] = 1000 * upkeep_share(m);
}

static void take(struct measured *m, unsigned number)
{
    switch (act_of(number)) {
    case ACT_START: break;
    case ACT_MEET: meet(m); break;
    case ACT_BEGIN: begin_runs(m); break;
    case ACT_WARM: warm_up(m); break;
    case ACT_TEXT: take_text(m, number - FIRST_TEXT); break;
    case ACT_STAGES: measure_stages(m, number); break;
    case ACT_WHOLE: measure_whole(m); break;
    case ACT_STOP: node_down(&m->node); break;
    }
}

static void broker_part(struct bench_page *page, unsigned setting)
{
    static struct measured m;

    bench_pin(0);
    m.page = page;
    m.setting = setting;
    for (unsigned number = 0; number <= LAST; number++) {
        bench_await(page, step_of(number, setting, 0));
        if (number == 0)
            node_up(&m.node, page, setting, settings[setting].rings);
        bench_pass(page);
        bench_await(page, step_of(number, setting, 2));
        if (takes_part(setting, act_of(number)))
            take(&m, number);
        bench_pass(page);
    }
}

static void part(struct bench_page *page, unsigned number, void *userdata)
{
    (void)userdata;
    if (number % 2 == 0) {
        broker_part(page, number / 2);
    } else {
        bench_pin(1);
        writer_part(page, number / 2);
    }
}

void throughput_measure(struct throughput *ret_throughput)
{
    struct bench_page page;
    double ratio[ALL_ROUNDS];

    bench_run(&page, &(struct bench_plan){4, part, NULL});
    for (unsigned round = 0; round < ALL_ROUNDS; round++)
        ratio[round] = page.result[AT_CPU + ALL_ROUNDS + round] / page.result[AT_CPU + round];
    *ret_throughput = (struct throughput){
        .events_per_s = 1e9 / bench_percentile(&page.result[AT_CPU], ALL_ROUNDS, 0.5),
        .events_per_s_wall = 1e9 / bench_percentile(&page.result[AT_WALL], BENCH_RUNS, 0.5),
        .scale_ratio = bench_percentile(ratio, ALL_ROUNDS, 0.5),
        .runs_ns = page.result[AT_WHOLE],
        .upkeep_ms = {page.result[AT_UPKEEP], page.result[AT_UPKEEP + 1]},
    };
    for (int stage = 0; stage < STAGE_COUNT; stage++)
        ret_throughput->stage_ns[stage] = page.result[AT_STAGES + stage];
}
