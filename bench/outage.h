/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define OUTAGE_USERS 100000u
#define OUTAGE_EVENTS 100u /* of each, in the history */
#define OUTAGE_ACTIVE 10000u
#define OUTAGE_CURSORS 10000u
#define OUTAGE_BEHIND 50u

struct outage {
    double fill_s;         /* what it took to make the history */
    double start_s;        /* the first start on it */
    double resume_s;       /* all cursors at once, until the last has read to its head */
    double resume_p50_ms;  /* of one cursor */
    double resume_last_ms; /* of the slowest */
    double live_p99_us;    /* of live events while cursors are read */
    double quiet_p50_us;   /* of live events otherwise, as those below */
    double quiet_p99_us;
    double quiet_cpu_us; /* of the broker, an event */
    double restart_ms;   /* from SIGKILL until a client has read its first page */
    double ready_ms;     /* from SIGKILL until the broker says that it is ready */
};

void outage_measure(struct outage *ret_outage);
