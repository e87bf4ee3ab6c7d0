/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Named steps of the broker, at which tests kill it: steps.def. They exist only in a build
 * configured with -Dfailpoints=true; in any other FAILPOINT() is nothing, and neither their names
 * nor the variable below are in the program.
 *
 * $RINGSIDE_FAILPOINTS names a file with a `struct failpoint_cell` for each step. Whoever tests
 * maps it too. It outlives the broker: passes are counted across its lives, so that an armed step
 * kills exactly one of them, and the file shows afterwards that the step was reached.
 */
#ifdef RINGSIDE_FAILPOINTS

#include <stdatomic.h>
#include <stdint.h>

enum failpoint {
#define STEP(name, where, how) FAILPOINT_AT_##name,
#include "failpoints/steps.def"
#undef STEP
    FAILPOINT_COUNT,
};

struct failpoint_cell {
    _Atomic uint32_t passed;  /* by all brokers that were given this file */
    _Atomic uint32_t kill_at; /* the pass at which the process dies by SIGKILL; 0: none */
};

/* Maps the file, when the variable names one. 0, or -errno: missing, not ours to write, short. */
int failpoint_open(void);
void failpoint_pass(enum failpoint step);

#define FAILPOINTS_OPEN() failpoint_open()
#define FAILPOINT(name) failpoint_pass(FAILPOINT_AT_##name)
#else
#define FAILPOINTS_OPEN() 0
#define FAILPOINT(name) ((void)0)
#endif
