/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "stages.h"

struct throughput {
    double events_per_s;      /* by the processor's time */
    double events_per_s_wall; /* by the clock, syncs and waiting for the disk included */
    double scale_ratio;       /* cost of an event with 100,000 known users / with 1,000 */
    double runs_ns;           /* an event of whole runs, which begin and end */
    double upkeep_ms[2];      /* of timers, in a second: with 1,000 known users, with 100,000 */
    double stage_ns[STAGE_COUNT];
};

void throughput_measure(struct throughput *ret_throughput);
