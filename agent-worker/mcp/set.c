/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/set.h"

#include <errno.h>
#include <stdlib.h>

int mcp_set_init(struct mcp_set *set, const struct registry_agent *agent,
    const struct mcp_server_options *common)
{
    *set = (struct mcp_set){0};
    set->servers = calloc(agent->mcp_count + 1, sizeof(struct mcp_server *));
    int rc = set->servers ? 0 : -ENOMEM;
    for (size_t i = 0; !rc && i < agent->mcp_count; i++) {
        struct mcp_server_options options = *common;
        options.declared = &agent->mcp[i];
        options.agent = agent->name;
        rc = mcp_server_new(&set->servers[i], &options);
        set->count += !rc;
    }
    return rc;
}

void mcp_set_deinit(struct mcp_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        mcp_server_free(set->servers[i]);
    free(set->servers);
    *set = (struct mcp_set){0};
}

int mcp_set_verdict(const struct mcp_set *set, const char *agent, struct buffer *problems)
{
    int verdict = 1;
    for (size_t i = 0; i < set->count; i++) {
        const char *reason;
        int rc = mcp_server_verdict(set->servers[i], &reason);
        if (rc < 0)
            buffer_printf(problems, "agent %s, server %s: %s\n", agent,
                mcp_server_declared(set->servers[i])->name, reason);
        if (rc <= 0 && verdict >= 0)
            verdict = rc;
    }
    return verdict;
}

void mcp_set_await(const struct mcp_set *set, struct ev_loop *loop)
{
    const char *reason;
    for (size_t i = 0; i < set->count; i++) {
        while (mcp_server_verdict(set->servers[i], &reason) == 0)
            ev_run(loop, EVRUN_ONCE);
    }
}

static const struct config_mcp_tool *find_override(
    const struct registry_mcp *declared, const char *name)
{
    for (size_t i = 0; i < declared->tool_count; i++) {
        if (strcmp(declared->tools[i].name, name) == 0)
            return &declared->tools[i];
    }
    return NULL;
}

struct mcp_server *mcp_set_find(
    const struct mcp_set *set, const char *name, struct registry_tool *ret_tool)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct registry_mcp *declared = mcp_server_declared(set->servers[i]);
        size_t len = strlen(declared->name);
        if (strncmp(name, declared->name, len) != 0 || strncmp(name + len, "__", 2) != 0)
            continue;
        const struct mcp_tool *tool =
            mcp_tools_find(mcp_server_tools(set->servers[i]), name + len + 2);
        if (!tool)
            continue;
        const struct config_mcp_tool *own = find_override(declared, tool->name);
        *ret_tool = (struct registry_tool){.kind = CONFIG_TOOL_MCP,
            .input_schema = tool->input_schema,
            .timeout_ms = declared->timeout_ms,
            .approval = own && own->given ? own->approval : declared->approval,
            .approval_timeout_ms = declared->approval_timeout_ms};
        return set->servers[i];
    }
    return NULL;
}

void mcp_set_append_offer(const struct mcp_set *set, struct buffer *out)
{
    for (size_t i = 0; i < set->count; i++)
        mcp_tools_append_offer(mcp_server_tools(set->servers[i]),
            mcp_server_declared(set->servers[i])->name, out, out->data[out->len - 1] == '[');
}
