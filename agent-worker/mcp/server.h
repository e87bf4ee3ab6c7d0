/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agents/registry.h"
#include "mcp/tools.h"

#include "base/list.h"

#include <ev.h>

/*
 * One MCP server: a process that speaks the protocol on stdin and stdout, shared by all runs of an
 * agent, whose calls are told apart by their ids. What a server may do to us is bounded:
 *   - a line that is no message, or too long a one, ends it, as does not reading what it is sent;
 *   - it has a time to get ready, and each call has one; what comes for a call that is over is
 *     left out, as are notes of progress beyond 20 a second of a call;
 *   - one that ends is started again after a second, then two, four, … up to a minute. Its calls
 *     are lost with it, and until it is ready again there are no new ones.
 * Loop thread only.
 */
struct mcp_server;

struct mcp_server_options {
    struct ev_loop *loop; /* borrowed, as all here */
    const struct registry_mcp *declared;
    const char *agent;
    size_t line_max;
    size_t output_max; /* of a call's result */
    uint64_t start_timeout_ms;
};

int mcp_server_new(struct mcp_server **ret_server, const struct mcp_server_options *options);
/* Kills it. Its calls have been dropped. Takes NULL. */
void mcp_server_free(struct mcp_server *server);
/* How its first start went: 1 it is ready, 0 it is not known yet, -ENOEXEC it cannot be used, and
 * *ret_reason (borrowed) says why. */
int mcp_server_verdict(const struct mcp_server *server, const char **ret_reason);

/* What it offers now; the last that it said, when it is down. */
const struct mcp_tools *mcp_server_tools(const struct mcp_server *server);
const struct registry_mcp *mcp_server_declared(const struct mcp_server *server);

enum mcp_end {
    MCP_OK,        /* `value` is the result, JSON */
    MCP_FAILED,    /* `value` is why, text */
    MCP_TIMED_OUT, /* `value` is empty, as in what follows */
    MCP_TOO_LARGE,
    MCP_LOST, /* the server ended */
};

struct mcp_call_events {
    /* A note of progress, JSON. */
    void (*on_progress)(void *context, struct span progress);
    /* Once; the call is gone afterwards. Never from within mcp_server_call. */
    void (*on_ended)(void *context, enum mcp_end how, struct span value);
};

struct mcp_call;

struct mcp_wanted {
    const char *name; /* as the server has it */
    struct span args;
    uint64_t timeout_ms;
};

/* -EHOSTDOWN: it is not ready; -ENOBUFS: it does not read what it is sent; -ENOMEM. */
int mcp_server_call(struct mcp_call **ret_call, struct mcp_server *server,
    const struct mcp_wanted *wanted, const struct mcp_call_events *events, void *context);
/* The server is told that nobody waits for it any more. Takes NULL. */
void mcp_call_drop(struct mcp_call *call);
