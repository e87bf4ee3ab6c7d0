/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol/rpc.h"

/*
 * The client's side of the Model Context Protocol, as far as tools need it: what is sent, and what
 * answers mean. Pure. Revision 2025-11-25 is asked for; those before it, from 2024-11-05 on, will
 * do too. Spans are JSON and point into the message.
 */

/* Each appends one line. */
void mcp_append_initialize(struct buffer *out, uint64_t id);
void mcp_append_initialized(struct buffer *out);
/* `cursor` is a JSON string, or empty for the first page. */
void mcp_append_list(struct buffer *out, uint64_t id, struct span cursor);
/* `id` is the progress token as well. */
void mcp_append_call(struct buffer *out, uint64_t id, const char *name, struct span args);
void mcp_append_cancelled(struct buffer *out, uint64_t id);

/* Whether an answer to initialize names a revision that will do, and tools. */
bool mcp_accepts(struct span result, const char **ret_reason);

struct mcp_page {
    struct span tools;       /* an array */
    struct span next_cursor; /* a string, or empty */
};
bool mcp_parse_page(struct mcp_page *ret_page, struct span result);

#define MCP_NAME_SIZE 65
/* One tool of a page. Its name fits what models take: 1 to 64 of A-Z a-z 0-9 _ -. */
struct mcp_tool_view {
    char name[MCP_NAME_SIZE];
    struct span description;  /* a string, or empty */
    struct span input_schema; /* an object */
};
bool mcp_parse_tool(struct mcp_tool_view *ret_tool, struct span tool, const char **ret_reason);
bool mcp_name_valid(struct span name);

/*
 * The result of a call: true, and `value` is what the agent gets: the structured content when there
 * is some, else the text when there is only text, else the parts. False: the tool failed, and
 * `value` is the text of why. The answer itself may be an error, or nonsense, which is a failure
 * too.
 */
bool mcp_parse_result(const struct rpc_message *answer, struct buffer *value);

struct mcp_progress {
    uint64_t token;
    struct span progress; /* a number */
    struct span total;    /* a number, or empty */
    struct span message;  /* a string, or empty */
};
bool mcp_parse_progress(struct mcp_progress *ret_progress, struct span params);
/* {"fraction"?, "progress", "total"?, "message"?} */
void mcp_append_progress(struct buffer *out, const struct mcp_progress *progress);
