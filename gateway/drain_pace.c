/* SPDX-License-Identifier: Apache-2.0 */
#include "drain_pace.h"

#include <stdbool.h>

#define LATE_PARTS 10 /* of the window: within one of them goes who has become idle */

void drain_pace_begin(struct drain_pace *pace, uint64_t window)
{
    *pace = (struct drain_pace){.window = window, .idle_owed = 1}; /* the first goes at once */
}

/* The share of `left` that falls into from…to, when all of them are to be gone at `end`. */
static double part(size_t left, uint64_t from, uint64_t to, uint64_t end)
{
    if (to <= from)
        return 0;
    return to >= end ? (double)left : (double)left * (double)(to - from) / (double)(end - from);
}

/* Whole connections that are owed, at most `left`. */
static size_t settle(double *owed, size_t left)
{
    size_t due = *owed >= (double)left ? left : (size_t)*owed;
    *owed = due == left ? 0 : *owed - (double)due;
    return due;
}

struct drain_share drain_pace_step(
    struct drain_pace *pace, uint64_t elapsed, size_t idle, size_t busy)
{
    uint64_t half = pace->window / 2;
    uint64_t from = pace->last;
    pace->last = elapsed;
    if (elapsed >= pace->window)
        return (struct drain_share){idle, busy};
    bool late = from >= half && busy;
    uint64_t end = late ? from + pace->window / LATE_PARTS : busy ? half : pace->window;
    pace->idle_owed += part(idle, from, elapsed, end);
    pace->busy_owed += part(busy, from > half ? from : half, elapsed, pace->window);
    return (struct drain_share){
        .idle = settle(&pace->idle_owed, idle),
        .busy = settle(&pace->busy_owed, busy),
    };
}
