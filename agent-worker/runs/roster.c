/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/roster.h"

#include "base/log.h"

#include <errno.h>

int roster_new(struct roster **ret_roster, const struct roster_options *options)
{
    struct roster *roster = calloc(1, sizeof(*roster));
    if (!roster)
        return -ENOMEM;
    list_init(&roster->link);
    int rc = registry_load(&roster->registry, options->take ? options->take : options->config);
    if (!rc) {
        roster->pools = calloc(roster->registry.count + 1, sizeof(*roster->pools));
        rc = roster->pools ? 0 : -ENOMEM;
    }
    if (rc) {
        registry_deinit(&roster->registry);
        free(roster);
        return rc;
    }
    for (size_t i = 0; i < roster->registry.count; i++) {
        const struct registry_agent *agent = &roster->registry.agents[i];
        if (pool_init(&roster->pools[i], options->loop, agent, options->limits) < 0)
            rc = -ENOMEM;
    }
    if (rc) {
        roster_free(roster);
        return rc;
    }
    if (options->take) {
        roster->own = *options->take; /* what the agents point into does not move */
        *options->take = (struct config){0};
    }
    *ret_roster = roster;
    return 0;
}

static void say_problems(const struct buffer *problems)
{
    for (struct span rest = buffer_span(problems); rest.len;) {
        struct span line = span_take_until(&rest, '\n');
        log_error("registry", "%.*s", SPAN_ARG(line));
    }
}

int roster_verdict(const struct roster *roster)
{
    struct buffer problems = BUFFER_INIT;
    int verdict = 1;
    for (size_t i = 0; i < roster->registry.count; i++) {
        const struct pool *pool = &roster->pools[i];
        int rc = mcp_set_verdict(&pool->mcp, pool->agent->name, &problems);
        if (rc <= 0 && verdict >= 0)
            verdict = rc;
    }
    if (verdict < 0)
        say_problems(&problems);
    buffer_deinit(&problems);
    return verdict;
}

void roster_free(struct roster *roster)
{
    if (!roster)
        return;
    list_remove(&roster->link);
    for (size_t i = 0; i < roster->registry.count; i++)
        pool_deinit(&roster->pools[i]);
    free(roster->pools);
    registry_deinit(&roster->registry);
    config_deinit(&roster->own);
    free(roster);
}

struct pool *roster_find(const struct roster *roster, struct span agent)
{
    const struct registry_agent *found = registry_find(&roster->registry, agent);
    return found ? &roster->pools[found - roster->registry.agents] : NULL;
}

struct waiting *roster_find_waiting(
    const struct roster *roster, struct span run_id, struct pool **ret_pool)
{
    struct waiting *found = NULL;
    for (size_t i = 0; roster->waiting && !found && i < roster->registry.count; i++) {
        *ret_pool = &roster->pools[i];
        found = pool_find_waiting(*ret_pool, run_id);
    }
    return found;
}

void roster_retire(struct roster *roster)
{
    roster->retired = true;
    for (size_t i = 0; i < roster->registry.count; i++)
        pool_retire(&roster->pools[i]);
}

bool roster_is_idle(const struct roster *roster)
{
    for (size_t i = 0; i < roster->registry.count; i++) {
        if (roster->pools[i].running)
            return false;
    }
    return roster->waiting == 0;
}

bool roster_limits_memory(const struct roster *roster)
{
    for (size_t i = 0; i < roster->registry.count; i++) {
        if (roster->registry.agents[i].limits.memory)
            return true;
    }
    return false;
}
