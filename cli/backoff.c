/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

uint64_t backoff_ended(struct backoff *backoff, uint64_t now_ms)
{
    if (now_ms - backoff->started_ms >= BACKOFF_RESET_MS)
        backoff->next_ms = 0;
    uint64_t pause = backoff->next_ms;
    backoff->next_ms = pause ? pause * 2 : BACKOFF_FIRST_MS;
    if (backoff->next_ms > BACKOFF_LAST_MS)
        backoff->next_ms = BACKOFF_LAST_MS;
    return pause;
}
