/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define LOOKBACK_EVENTS 100u /* the last ones of a user */

struct lookback {
    double p50_us; /* from when a read was due until its events were there */
    double p99_us;
    double busy_p50_us; /* of the read alone, once it was its turn */
    double busy_p99_us;
    double sync_ms;      /* the longest sync, beside all that */
    double appended_s;   /* events a second meanwhile */
    double commit_us[2]; /* of a turn with one event, and with ten of ten users; no sync */
};

void lookback_measure(struct lookback *ret_lookback);
