/* SPDX-License-Identifier: Apache-2.0 */
#include "history/merge.h"

#include "history/rewrite.h"

#include <errno.h>

/*
 * A group is batches side by side, each smaller than `below`; it is whole when it has `until` bytes
 * or `most` batches, or a larger batch stands in the way. One call merges one group, which bounds
 * what a turn waits: little more than 512 KiB are copied.
 *
 * A merged batch has the time of its newest, so what is in it may be retained for longer by as much
 * as it spans: a small part of max_age. Likewise of max_bytes.
 */
struct tier {
    uint32_t below;
    uint32_t until;
    uint32_t most;
};

static const struct tier tiers[MERGE_TIERS] = {
    {.below = 32u << 10, .until = 128u << 10, .most = 512},
    {.below = 256u << 10, .until = 512u << 10, .most = 64},
};

#define LIMIT_PARTS 32 /* of max_bytes and max_age: what a merged batch may have */

struct group {
    uint64_t first;
    uint64_t last;
    uint64_t since_ms;
    uint64_t bytes;
    uint32_t count;
};

static bool goes_with(
    const struct history *history, const struct group *group, const struct retained_batch *batch)
{
    uint64_t span = history->max_age_ms / LIMIT_PARTS;
    return !span || batch->time_ms < group->since_ms || batch->time_ms - group->since_ms <= span;
}

static bool is_whole(
    const struct history *history, const struct tier *tier, const struct group *group)
{
    uint64_t part = history->max_bytes / LIMIT_PARTS;
    return group->count >= tier->most || group->bytes >= tier->until ||
           (part && group->bytes >= part);
}

static void add(struct group *group, const struct retained_batch *batch)
{
    if (group->count++ == 0) {
        group->first = batch->number;
        group->since_ms = batch->time_ms;
    }
    group->last = batch->number;
    group->bytes += batch->size;
}

/* The next group of the tier that is to be merged, of batches the tier below is done with; false
 * when more must come first. Moves the tier's cursor over what stays as it is. */
static bool next_group(struct history *history, unsigned number, struct group *ret_group)
{
    const struct tier *tier = &tiers[number];
    uint64_t *from = &history->merging.from[number];
    struct group group = {0};
    if (*from <= history->batches.horizon)
        *from = history->batches.horizon + 1;
    uint64_t end = number ? history->merging.from[number - 1] : UINT64_MAX;
    for (const struct retained_batch *batch = batches_at_least(&history->batches, *from);
         batch && batch->number < end;
         batch = batches_at_least(&history->batches, batch->number + 1)) {
        bool fits = batch->size < tier->below;
        if (group.count &&
            (!fits || !goes_with(history, &group, batch) || is_whole(history, tier, &group))) {
            *ret_group = group;
            if (group.count > 1)
                return true;
            group = (struct group){0};
        }
        if (fits)
            add(&group, batch);
        *from = group.count ? group.first : batch->number + 1;
    }
    *ret_group = group;
    return group.count > 1 && is_whole(history, tier, &group);
}

/* A group that cannot be read, or is too much for one batch, stays as it is until the history is
 * opened anew: the others must not wait for it. */
static int merge_group(struct history *history, unsigned tier, const struct group *group)
{
    const struct rewrite_order order = {
        .first = group->first, .last = group->last, .max_bytes = BATCH_BYTES_MAX};
    int rc = history_rewrite(history, &order);
    if (rc == 0 || rc == -EIO || rc == -ENOBUFS)
        history->merging.from[tier] = group->last + 1;
    return rc && rc != -ENOBUFS ? rc : 1;
}

int history_merge(struct history *history)
{
    struct group group;
    for (unsigned tier = MERGE_TIERS; tier-- > 0;) {
        if (next_group(history, tier, &group))
            return merge_group(history, tier, &group);
    }
    return 0;
}
