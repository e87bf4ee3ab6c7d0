/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an agent may call, as a configuration file has it. */

struct config_command {
    char **argv; /* NULL-terminated; argv[0] holds a path, absolute, or a name for PATH */
};

enum config_tool_kind {
    CONFIG_TOOL_COMMAND, /* a program: arguments as JSON on stdin, result as JSON on stdout */
    CONFIG_TOOL_CLIENT,  /* the user's client does it */
    CONFIG_TOOL_MCP,     /* a server has it; never in a configuration's list of tools */
};

/* Whether a tool may be run. */
enum config_approval {
    CONFIG_APPROVAL_AUTO,
    CONFIG_APPROVAL_ASK, /* the user, each time */
    CONFIG_APPROVAL_DENY,
};

struct config_tool {
    char *name;
    enum config_tool_kind kind;
    struct config_command command; /* of a program; else argv is NULL */
    char *description;             /* or NULL */
    char *input_schema;            /* what arguments it takes: a JSON schema, an object; or NULL */
    uint64_t timeout_ms;
    enum config_approval approval;
    uint64_t approval_timeout_ms; /* how long the user has to answer */
};

struct config_mcp_tool {
    char *name; /* as the server has it */
    bool given; /* the approval is; else it is the server's */
    enum config_approval approval;
};

/* An MCP server: a program whose tools are the agent's. */
struct config_mcp {
    char *name;
    struct config_command command;
    uint64_t timeout_ms; /* of a call */
    enum config_approval approval;
    uint64_t approval_timeout_ms;
    struct config_mcp_tool *tools; /* those with an approval of their own */
    size_t tool_count;
};
