/* SPDX-License-Identifier: Apache-2.0 */
#include "checker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#define NO_STATE UINT32_MAX
#define TABLE_MIN 4096u

enum mode {
    MODE_EXPLORE, /* new states are kept, faults end it */
    MODE_PEEL,    /* the edges of a peeled state are taken away */
    MODE_NAME,    /* the step from one state to the next of a run is told */
};

struct checker {
    const struct model *model;
    enum mode mode;
    size_t limit;
    int error;

    uint8_t *states; /* state i at i * state_size */
    uint32_t *parents;
    uint32_t *edges_in;
    size_t count;
    size_t room;
    uint64_t *table; /* open addressing: { part of the hash:32 | index + 1:32 } */
    size_t table_size;

    uint32_t from;
    uint8_t *from_state;
    size_t from_steps;
    size_t steps;
    const char *fault;
    struct reached faulty; /* the step at fault, if it was one */

    uint32_t *peeled; /* states without edges left, a stack */
    size_t peeled_count;

    const void *wanted; /* MODE_NAME */
    struct reached named;
};

static uint8_t *checker_state(const struct checker *c, uint32_t index)
{
    return c->states + (size_t)index * c->model->state_size;
}

static bool checker_grow(struct checker *c)
{
    size_t room = c->room ? c->room * 2 : TABLE_MIN;
    uint8_t *states = realloc(c->states, room * c->model->state_size);
    uint32_t *parents, *edges_in;

    if (states)
        c->states = states;
    parents = realloc(c->parents, room * sizeof *parents);
    if (parents)
        c->parents = parents;
    edges_in = realloc(c->edges_in, room * sizeof *edges_in);
    if (edges_in)
        c->edges_in = edges_in;
    if (!states || !parents || !edges_in)
        return false;
    c->room = room;
    return true;
}

static bool checker_cell_holds(
    const struct checker *c, uint64_t cell, uint64_t hash, const void *state)
{
    return (cell ^ hash) >> 32 == 0 &&
           memcmp(checker_state(c, (uint32_t)cell - 1), state, c->model->state_size) == 0;
}

/* The table's cell of a state: its own, or the free one where it belongs. */
static uint64_t *checker_cell(const struct checker *c, uint64_t hash, const void *state)
{
    size_t at = (size_t)hash & (c->table_size - 1);

    while (c->table[at] && !checker_cell_holds(c, c->table[at], hash, state))
        at = (at + 1) & (c->table_size - 1);
    return &c->table[at];
}

static uint64_t checker_hash(const struct checker *c, const void *state)
{
    return XXH3_64bits(state, c->model->state_size);
}

static uint64_t checker_entry(uint64_t hash, size_t index)
{
    return (hash >> 32 << 32) | (index + 1);
}

static bool checker_grow_table(struct checker *c)
{
    uint64_t *old = c->table;

    c->table_size = c->table_size ? c->table_size * 2 : TABLE_MIN * 2;
    c->table = calloc(c->table_size, sizeof *c->table);
    free(old);
    if (!c->table)
        return false;
    for (uint32_t i = 0; i < c->count; i++) {
        uint64_t hash = checker_hash(c, checker_state(c, i));

        *checker_cell(c, hash, checker_state(c, i)) = checker_entry(hash, i);
    }
    return true;
}

/* Keeps a state if it is new; counts the edge that led to it. */
static void checker_keep(struct checker *c, const void *state)
{
    uint64_t hash = checker_hash(c, state), *cell = checker_cell(c, hash, state);

    if (*cell) {
        c->edges_in[(uint32_t)*cell - 1]++;
        return;
    }
    if (c->count == c->limit) {
        c->error = -E2BIG;
        return;
    }
    if (c->count == c->room && !checker_grow(c)) {
        c->error = -ENOMEM;
        return;
    }
    memcpy(checker_state(c, (uint32_t)c->count), state, c->model->state_size);
    c->parents[c->count] = c->from;
    c->edges_in[c->count] = 1;
    *cell = checker_entry(hash, c->count++);
    if (c->count * 2 > c->table_size && !checker_grow_table(c))
        c->error = -ENOMEM;
}

static void checker_explore(struct checker *c, const struct reached *reached)
{
    if (c->fault || c->error)
        return;
    c->steps++;
    c->from_steps++;
    if (reached->fault) {
        c->fault = reached->fault;
        c->faulty = *reached;
        return;
    }
    checker_keep(c, reached->state);
}

void checker_reach(struct checker *c, const struct reached *reached)
{
    uint32_t index;

    switch (c->mode) {
    case MODE_EXPLORE: checker_explore(c, reached); return;
    case MODE_PEEL:
        index = (uint32_t)*checker_cell(c, checker_hash(c, reached->state), reached->state) - 1;
        if (--c->edges_in[index] == 0)
            c->peeled[c->peeled_count++] = index;
        return;
    case MODE_NAME:
        if (memcmp(reached->state, c->wanted, c->model->state_size) == 0)
            c->named = *reached;
        return;
    }
}

static void checker_step(struct checker *c, uint32_t from)
{
    /* A copy: adding states moves them. */
    memcpy(c->from_state, checker_state(c, from), c->model->state_size);
    c->from = from;
    c->from_steps = 0;
    c->model->step(c, c->model->context, c->from_state);
}

/* ---- Telling a run ---- */

static size_t checker_depth(const struct checker *c, uint32_t index)
{
    size_t depth = 0;

    for (; c->parents[index] != NO_STATE; index = c->parents[index])
        depth++;
    return depth;
}

static void checker_print_to(struct checker *c, uint32_t index, FILE *trace)
{
    size_t depth = checker_depth(c, index);
    uint32_t *path = calloc(depth + 1, sizeof *path);

    if (!path)
        return;
    for (size_t i = depth + 1; i-- > 0; index = c->parents[index])
        path[i] = index;
    c->mode = MODE_NAME;
    for (size_t i = 1; i <= depth; i++) {
        c->wanted = checker_state(c, path[i]);
        checker_step(c, path[i - 1]);
        fprintf(trace, "    %3zu  %-9s %s\n", i, c->named.who, c->named.what);
    }
    free(path);
}

static void checker_print_fault(struct checker *c, FILE *trace)
{
    checker_print_to(c, c->from, trace);
    if (c->faulty.who)
        fprintf(trace, "    end  %-9s %s\n", c->faulty.who, c->faulty.what);
    fprintf(trace, "    fault: %s\n", c->fault);
}

/* ---- Checking ---- */

static void checker_visit_all(struct checker *c, struct verdict *verdict)
{
    for (uint32_t i = 0; i < c->count && !c->fault && !c->error; i++) {
        checker_step(c, i);
        if (c->fault || c->error || c->from_steps > 0)
            continue;
        verdict->ends++;
        c->fault = c->model->end(c->model->context, checker_state(c, i));
    }
}

/* Whether every run ends. The first state has one edge in that is no step, all others are behind
 * it. */
static void checker_peel(struct checker *c)
{
    size_t peeled = 0;

    c->peeled = calloc(c->count, sizeof *c->peeled);
    if (!c->peeled) {
        c->error = -ENOMEM;
        return;
    }
    c->mode = MODE_PEEL;
    if (--c->edges_in[0] == 0)
        c->peeled[c->peeled_count++] = 0;
    for (; c->peeled_count > 0; peeled++)
        checker_step(c, c->peeled[--c->peeled_count]);
    if (peeled == c->count)
        return;
    c->fault = "a run that never ends";
    for (c->from = 0; c->edges_in[c->from] == 0;)
        c->from++;
}

static void checker_start(struct checker *c)
{
    c->from_state = calloc(1, c->model->state_size);
    if (!c->from_state || !checker_grow_table(c)) {
        c->error = -ENOMEM;
        return;
    }
    c->model->init(c->model->context, c->from_state);
    c->from = NO_STATE;
    checker_keep(c, c->from_state);
}

static double checker_cpu_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int checker_run(struct verdict *ret_verdict, const struct model *model, size_t limit, FILE *trace)
{
    struct checker c = {.model = model, .limit = limit < NO_STATE ? limit : NO_STATE - 1};
    struct verdict verdict = {0};
    double started = checker_cpu_time();

    checker_start(&c);
    if (!c.error)
        checker_visit_all(&c, &verdict);
    if (!c.error && !c.fault)
        checker_peel(&c);
    if (!c.error) {
        verdict.fault = c.fault;
        verdict.states = c.count;
        verdict.steps = c.steps;
        verdict.depth = checker_depth(&c, c.fault ? c.from : (uint32_t)c.count - 1);
        verdict.seconds = checker_cpu_time() - started;
        if (c.fault && trace)
            checker_print_fault(&c, trace);
        *ret_verdict = verdict;
    }
    free(c.states);
    free(c.parents);
    free(c.edges_in);
    free(c.table);
    free(c.from_state);
    free(c.peeled);
    return c.error;
}
