/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "process/child.h"

#include "base/buffer.h"
#include "config/config.h"

/*
 * The agents this worker can run and their tools, with their programs found: built as a whole from
 * the configuration, or not at all, and never changed afterwards.
 */
struct registry_tool {
    const char *name; /* borrowed from the configuration, as all strings here */
    enum config_tool_kind kind;
    struct program program;   /* of a command */
    struct span input_schema; /* JSON; empty when there is none */
    uint64_t timeout_ms;
    enum config_approval approval;
    uint64_t approval_timeout_ms;
};

struct registry_mcp {
    const char *name;
    struct program program;
    uint64_t timeout_ms;
    enum config_approval approval;
    uint64_t approval_timeout_ms;
    const struct config_mcp_tool *tools; /* those with an approval of their own */
    size_t tool_count;
};

struct registry_agent {
    const char *name;
    const char *settings; /* a JSON object, for the agent alone */
    struct config_limits limits;
    struct config_pool pool;
    struct program program;
    char *host_argv[3]; /* of an agent in a program of ours: the program's */
    struct registry_tool *tools;
    size_t tool_count;
    struct registry_mcp *mcp;
    size_t mcp_count;
    struct buffer offer; /* its own tools as initialize names them: a JSON array */
};

struct registry {
    struct registry_agent *agents;
    size_t count;
    char **environment;  /* of every child: ours, without what is only the worker's */
    struct buffer names; /* the agents' names, one a line, NUL-terminated: what HELLO says */
};

/*
 * Finds every program. `config` is borrowed for the registry's life. -ENOEXEC when an agent cannot
 * be run: `problems` then has a line for each reason, all of them. -ENOMEM.
 */
int registry_init(
    struct registry *ret_registry, const struct config *config, struct buffer *problems);
/* The same; the problems go to the log. */
int registry_load(struct registry *ret_registry, const struct config *config);
void registry_deinit(struct registry *registry);
/* NULL when there is no such agent. */
const struct registry_agent *registry_find(const struct registry *registry, struct span name);
/* NULL when the agent has no such tool. */
const struct registry_tool *registry_find_tool(
    const struct registry_agent *agent, const char *name);
