/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/holders.h"

void holders_init(struct holders *holders)
{
    for (uint32_t i = 0; i < HOLDERS_MAX; i++) {
        list_init(&holders->runs[i]);
        holders->own[i] = 0;
    }
}

void holders_add(struct holders *holders, struct run *run)
{
    if (run->process >= HOLDERS_MAX || !list_empty(&run->holder_link))
        return;
    list_append(&holders->runs[run->process], &run->holder_link);
    holders->own[run->process] += !run->dispatched;
}

void holders_remove(struct holders *holders, struct run *run)
{
    if (list_empty(&run->holder_link))
        return;
    list_remove(&run->holder_link);
    holders->own[run->process] -= !run->dispatched;
}

struct run *holders_first(const struct holders *holders, uint32_t process)
{
    LIST_FOR_EACH(struct run, run, &holders->runs[process], holder_link)
    {
        if (run->farewell == FAREWELL_NONE)
            return run;
    }
    return NULL;
}
