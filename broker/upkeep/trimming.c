/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/trimming.h"

#include "base/log.h"

#include <string.h>

static void tell_excess(struct trimming *trimming)
{
    struct history_usage usage;
    history_usage(trimming->history, &usage);
    bool before = trimming->excess;
    trimming->excess = usage.excess_bytes > 0;
    if (trimming->excess == before)
        return;
    if (trimming->excess) {
        trimming->counters->history_excesses++;
        log_warn("history",
            "open runs hold %llu bytes that are beyond history.max_bytes or history.max_age: the "
            "store is above its limit until they end",
            (unsigned long long)usage.pinned_bytes);
    } else {
        log_info("history", "the store is within history.max_bytes again");
    }
}

void trimming_turn(struct trimming *trimming, uint64_t wall_ms, bool quiet)
{
    int rc = history_trim(trimming->history, wall_ms);
    if (rc >= 0)
        tell_excess(trimming);
    int merged = rc < 0 ? 0 : history_merge(trimming->history);
    trimming->more = rc > 0 || merged > 0;
    if ((rc < 0 || merged < 0) && !quiet)
        log_warn("history", "cannot trim or merge: %s", strerror(rc < 0 ? -rc : -merged));
}
