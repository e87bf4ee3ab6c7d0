/* SPDX-License-Identifier: Apache-2.0 */
/* What came: how much, how old, and whether it was all and in order. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "base/span.h"

#define HISTOGRAM_FINE 6 /* bits: no figure is off by more than one in 64 */
#define HISTOGRAM_SIZE ((64 - HISTOGRAM_FINE) << HISTOGRAM_FINE)

/* Of durations in nanoseconds. */
struct histogram {
    uint64_t total;
    int64_t max;
    uint32_t counts[HISTOGRAM_SIZE];
};

void histogram_add(struct histogram *histogram, int64_t ns);
/* 0 when nothing was added. */
double histogram_percentile(const struct histogram *histogram, double share);

struct tally {
    uint64_t events;
    uint64_t bytes; /* of their messages */
    uint64_t reads; /* from sockets */
    uint64_t lost;
    uint64_t repeated; /* or out of order */
    int64_t first_ns;  /* when events were read */
    int64_t last_ns;
    struct histogram ages;
};

/* An event's own time and number, which end it as `"t":<19 digits>,"n":<10 digits>` and little
 * more. False for a message that has none. */
bool tally_find(struct span message, int64_t *ret_stamp, uint64_t *ret_number);
/* Counts an event read at `now`; `expected` is the number due next, 0 while any is, and moves on.
 */
void tally_event(struct tally *tally, uint64_t *expected, struct span message, int64_t now);
