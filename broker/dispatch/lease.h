/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dispatch/farewell.h"

/*
 * Workers that live and do not answer. A process that was given runs, or has a worker's link, holds
 * a lease: each message of its link renews it (a worker reports once a second). One that says
 * nothing for `lease_ms` is given up: fenced, so that nothing it still writes is delivered, and its
 * runs are dealt with once what it had committed is drained. Programs that began their runs of
 * themselves have no lease: they promised nobody to answer.
 *
 * Only time during which this broker looked counts: when it stood still itself, or starts anew,
 * nobody else is to blame.
 */
struct lease {
    uint64_t incarnation;
    uint64_t silent_ms;
};

struct leases {
    struct farewell *farewell; /* borrowed, as all here */
    struct processes *processes;
    struct workers *workers;
    struct holders *holders;
    struct counters *counters;
    uint64_t lease_ms;  /* 0: none runs out */
    bool kill;          /* who is given up is killed as well */
    uint64_t looked_ms; /* monotonic; 0: never */
    struct lease table[HOLDERS_MAX];
};

void leases_heard(struct leases *leases, uint32_t process, uint64_t incarnation);
/* Every 100 ms or so. */
void leases_turn(struct leases *leases, uint64_t now_ms);
