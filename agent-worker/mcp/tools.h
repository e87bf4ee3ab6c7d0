/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mcp/protocol.h"

/* The tools that a server has said it has. */
struct mcp_tool {
    char name[MCP_NAME_SIZE];
    struct span offer;        /* its members as initialize of an agent has them: description… */
    struct span input_schema; /* JSON */
    char *bytes;              /* of both */
};

struct mcp_tools {
    struct mcp_tool *items;
    size_t count;
    size_t bytes;
    unsigned left_out;
};

/* What one server may have; more is left out. */
#define MCP_TOOLS_MAX 256
#define MCP_TOOLS_BYTES_MAX (1u << 20)

/* Adds those of a page that can be offered under the server's name; the others are logged. -ENOMEM.
 */
int mcp_tools_add(struct mcp_tools *tools, const struct mcp_page *page, const char *server);
void mcp_tools_deinit(struct mcp_tools *tools);
/* NULL when there is none. */
const struct mcp_tool *mcp_tools_find(const struct mcp_tools *tools, const char *name);
/* Appends each as an item of initialize's `tools`; `first`: no comma before the first. */
void mcp_tools_append_offer(
    const struct mcp_tools *tools, const char *server, struct buffer *out, bool first);
