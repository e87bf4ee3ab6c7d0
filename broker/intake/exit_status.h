/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

/*
 * How a process that is not our child ended, as far as the kernel still says: from its zombie, or,
 * once that was reaped, from its pidfd (Linux 6.15 and later). Best effort: 0 and -1 for unknown.
 */
struct exit_status {
    int signal;    /* that killed it, or 0 */
    int exit_code; /* -1: unknown or killed */
};

struct exit_status exit_status_of(pid_t pid, int pidfd);
