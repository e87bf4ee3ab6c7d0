/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Processes that are remembered, so that it can be seen later which of them live on. */
#define STRAYS_MAX 256

struct strays {
    struct {
        pid_t pid;
        uint64_t started; /* in the kernel's ticks: a number that is given again is another one's */
    } seen[STRAYS_MAX];
    unsigned count;
};

/* A process and its descendants, as far as there is room. */
void strays_note(struct strays *strays, pid_t pid);
/* Waits until all are gone, or for so long; kills those that are left, and returns how many. */
unsigned strays_end(const struct strays *strays, uint64_t wait_ms);
