/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/offline.h"

#include "history/check.h"
#include "history/copy.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

static void print_sentence(void *context, const char *sentence)
{
    (void)context;
    puts(sentence);
}

static int check_history(const char *directory)
{
    char reason[HISTORY_REASON_SIZE];
    struct history_check check = {.tell = print_sentence};
    if (history_check(&check, directory, reason)) {
        fprintf(stderr, "ringside-broker: %s\n", reason);
        return 1;
    }
    printf("%llu batches, %llu events: %llu batches and %llu numbers are damaged\n",
        (unsigned long long)check.batches, (unsigned long long)check.events,
        (unsigned long long)check.damaged_batches, (unsigned long long)check.damaged_events);
    return check.damaged_batches || check.damaged_events;
}

int offline_run(const struct offline *offline)
{
    char reason[HISTORY_REASON_SIZE];
    if (offline->check)
        return check_history(offline->check);
    if (!offline->copy_from || !offline->copy_to) {
        fputs("ringside-broker: --copy-history needs --to, and --to needs it\n", stderr);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for it any more */
    if (history_copy(offline->copy_from, offline->copy_to, reason) == 0)
        return 0;
    printf("%s\n", reason);
    return 1;
}
