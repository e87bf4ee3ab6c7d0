/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small explicit-state model checker: visits every state that any order of the processes' steps
 * can reach, breadth first, so that a fault is told with a shortest run that leads to it.
 *
 * Beyond the faults a model raises itself, two are found here. A state nobody can leave is an end,
 * and the model says whether all that was promised holds there. And once all states are known, they
 * are peeled off from the start: if some remain, they lie on or behind a cycle, and a run could go
 * on for ever. So a model without a fault has this proven: every run comes to an end, and every end
 * is a good one. Fairness does not come into it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct checker;

struct model {
    size_t state_size; /* a state is compared byte by byte: no padding, unused parts zero */
    const void *context;
    void (*init)(const void *context, void *ret_state);
    /* Calls checker_reach for each step somebody can take from `state`. */
    void (*step)(struct checker *checker, const void *context, const void *state);
    /* Nobody can take a step: NULL, or what is wrong with that. */
    const char *(*end)(const void *context, const void *state);
};

struct verdict {
    const char *fault; /* NULL: none */
    size_t states;
    size_t steps;
    size_t ends;
    size_t depth;
    double seconds; /* of the processor */
};

/* A step: the state it leads to, who takes it and what it is (both static), and what is wrong with
 * it (static) or NULL. */
struct reached {
    const void *state;
    const char *who;
    const char *what;
    const char *fault;
};

void checker_reach(struct checker *checker, const struct reached *reached);

/* Checks; with `trace`, prints the run that leads to a fault. -ENOMEM; -E2BIG: more states than
 * `limit`; 0 with or without a fault. */
int checker_run(struct verdict *ret_verdict, const struct model *model, size_t limit, FILE *trace);
