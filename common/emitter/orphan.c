/* SPDX-License-Identifier: Apache-2.0 */
#include "orphan.h"

#include "run.h"

void orphan_add(struct rs_emitter *emitter, struct rs_run *run)
{
    pthread_mutex_lock(&emitter->lock);
    list_append(&emitter->orphans, &run->link);
    pthread_mutex_unlock(&emitter->lock);
}

static struct rs_run *orphan_take(struct rs_emitter *emitter)
{
    pthread_mutex_lock(&emitter->lock);
    struct rs_run *run = LIST_FIRST(struct rs_run, &emitter->orphans, link);
    if (run)
        list_remove(&run->link);
    pthread_mutex_unlock(&emitter->lock);
    return run;
}

void orphans_retry(struct rs_emitter *emitter)
{
    struct list_link waiting; /* rs_run.link */
    list_init(&waiting);
    if (emitter_is_forked(emitter))
        return;
    for (struct rs_run *run; (run = orphan_take(emitter));) {
        if (run_end_abandoned(run, 0) == RS_E_FULL)
            list_append(&waiting, &run->link);
        else
            run_destroy(run);
    }
    LIST_FOR_EACH(struct rs_run, run, &waiting, link)
    {
        list_remove(&run->link);
        orphan_add(emitter, run);
    }
}

void orphans_free(struct rs_emitter *emitter)
{
    uint64_t deadline = emitter_deadline(emitter);
    while (!list_empty(&emitter->orphans)) {
        struct rs_run *run = LIST_FIRST(struct rs_run, &emitter->orphans, link);
        list_remove(&run->link);
        run_end_abandoned(run, deadline);
        run_destroy(run);
    }
}
