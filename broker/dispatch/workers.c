/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/workers.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

void workers_init(struct workers *workers)
{
    *workers = (struct workers){.changed = true};
    list_init(&workers->list);
}

struct worker *workers_add(
    struct workers *workers, struct link *link, const struct wire_hello *hello)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->agents = strndup(hello->agents.len ? hello->agents.data : "", hello->agents.len);
    if (!worker->agents) {
        free(worker);
        return NULL;
    }
    worker->link = link;
    worker->process = (uint32_t)hello->process;
    list_append(&workers->list, &worker->workers_link);
    return worker;
}

void workers_remove(struct worker *worker)
{
    list_remove(&worker->workers_link);
    buffer_deinit(&worker->report);
    free(worker->agents);
    free(worker);
}

int workers_set_agents(struct workers *workers, struct worker *worker, struct span agents)
{
    char *names = strndup(agents.len ? agents.data : "", agents.len);
    if (!names)
        return -ENOMEM;
    free(worker->agents);
    worker->agents = names;
    workers->changed = true;
    return 0;
}

bool worker_has_room(const struct worker *worker)
{
    return worker->announced && !worker->leaving && worker->slots > 0;
}

bool worker_has_agent(const struct worker *worker, struct span agent)
{
    for (const char *line = worker->agents; *line;) {
        size_t len = strcspn(line, "\n");
        if (span_equal(span_of(line, len), agent))
            return true;
        line += len + (line[len] == '\n');
    }
    return false;
}

bool workers_have_agent(const struct workers *workers, struct span agent)
{
    LIST_FOR_EACH(struct worker, worker, &workers->list, workers_link)
    {
        if (worker_has_agent(worker, agent))
            return true;
    }
    return false;
}

static bool had_last_run(const struct worker *worker, const struct thread *thread)
{
    return thread && thread->placed && worker->process == thread->process &&
           worker->incarnation == thread->incarnation;
}

struct worker *workers_pick(
    const struct workers *workers, struct span agent, const struct thread *thread)
{
    struct worker *best = NULL;
    LIST_FOR_EACH(struct worker, worker, &workers->list, workers_link)
    {
        if (!worker_has_room(worker) || !worker_has_agent(worker, agent))
            continue;
        if (had_last_run(worker, thread))
            return worker;
        if (!best || worker->slots > best->slots)
            best = worker;
    }
    return best;
}

struct worker *workers_find(struct workers *workers, uint32_t process, uint64_t incarnation)
{
    LIST_FOR_EACH(struct worker, worker, &workers->list, workers_link)
    {
        if (worker->process == process && worker->incarnation == incarnation)
            return worker;
    }
    return NULL;
}
