/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process for the torture to kill:
 *   helper write <directory> <step> <count> <signal> <writer> <threads> <seed>
 *   helper read  <directory> <step> <count> <signal> <seed> <finish>
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ring/steps.h"
#include "torture.h"

static struct {
    const char *step; /* NULL: any */
    _Atomic uint32_t left;
    int signal_number;
} armed;

static void armed_hook(const char *name)
{
    if (armed.step && strcmp(name, armed.step) != 0)
        return;
    /* Exactly one thread's pass is the last; below zero it is never one again. */
    if (atomic_fetch_sub(&armed.left, 1) == 1)
        kill(getpid(), armed.signal_number);
}

void torture_arm(const char *step, uint32_t count, int signal_number)
{
    if (strcmp(step, "-") == 0)
        return;
    armed.step = strcmp(step, "any") == 0 ? NULL : step;
    armed.signal_number = signal_number;
    atomic_store(&armed.left, count);
    ring_step_hook = armed_hook;
}

int main(int argc, char **argv)
{
    if (argc < 7)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a torture that fails leaves nobody behind */
    torture_arm(argv[3], (uint32_t)strtoul(argv[4], NULL, 10), atoi(argv[5]));
    if (strcmp(argv[1], "write") == 0)
        return torture_write(argv[2], argc - 6, argv + 6);
    return torture_read(argv[2], argc - 6, argv + 6);
}
