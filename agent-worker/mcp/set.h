/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mcp/server.h"

/* The MCP servers of one agent. */
struct mcp_set {
    struct mcp_server **servers;
    size_t count;
};

/* Starts them. `common` is what holds for each; `declared` and `agent` are filled in. */
int mcp_set_init(struct mcp_set *set, const struct registry_agent *agent,
    const struct mcp_server_options *common);
void mcp_set_deinit(struct mcp_set *set);
/* 1: all are ready; 0: that is not known yet; -ENOEXEC: `problems` has a line for each that cannot
 * be used. */
int mcp_set_verdict(const struct mcp_set *set, const char *agent, struct buffer *problems);
/* Runs the loop until that is known: for when nothing else goes on. */
void mcp_set_await(const struct mcp_set *set, struct ev_loop *loop);
/* Finds SERVER__TOOL: the server, and what it says of the tool as a declaration, which is valid
 * until the loop goes on. */
struct mcp_server *mcp_set_find(
    const struct mcp_set *set, const char *name, struct registry_tool *ret_tool);
/* Appends the tools to a JSON array that lacks its bracket at the end. */
void mcp_set_append_offer(const struct mcp_set *set, struct buffer *out);
