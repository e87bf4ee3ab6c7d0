/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/history.h"
#include "metrics/counters.h"

/*
 * The broker's share in trimming: when it is done, and what is said of it. A call does a bounded
 * part; what it leaves over is taken up in the turns that follow.
 */
struct trimming {
    struct history *history; /* borrowed, as below */
    struct counters *counters;
    bool more;   /* the last call left something over */
    bool excess; /* open runs hold the store above history.max_bytes, and it was told */
};

/* `quiet`: the reason why it fails was told elsewhere. */
void trimming_turn(struct trimming *trimming, uint64_t wall_ms, bool quiet);
