/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the program does instead of serving: its own process beside a broker's, or a person's. */
struct offline {
    const char *copy_from; /* a history's directory */
    const char *copy_to;
    const char *check;
};

/* Whether anything of it is asked for. */
static inline int offline_wanted(const struct offline *offline)
{
    return offline->copy_from || offline->copy_to || offline->check;
}

/* The exit status: 0 done, 1 failed (and said why on standard output), 2 usage. */
int offline_run(const struct offline *offline);
