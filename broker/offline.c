/* SPDX-License-Identifier: Apache-2.0 */
#include "offline.h"

#include "history/copy.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

int offline_run(const struct offline *offline)
{
    char reason[HISTORY_REASON_SIZE];
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
