/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "peers/gateway_port.h"

/*
 * What a client asks about its own runs. Each answer is bounded: a list comes in pages, those that
 * have not ended first, in the order of their acceptance; then those that have, as far as their
 * requests are remembered, in the order of the broker's own. A page may be short, or empty, though
 * others follow it. What a program began of itself and has ended is found by its identifier alone.
 */
#define RUN_QUERY_ROWS 100
#define RUN_QUERY_LOOKS 512

/* `out` gets the result, a JSON object. NULL, or the error's code, with what is wrong in
 * `*ret_message`; both are static. */
const char *run_query_list(struct gateway_port *port, const struct wire_runs_list *request,
    struct buffer *out, const char **ret_message);
const char *run_query_get(struct gateway_port *port, const struct wire_run_get *request,
    struct buffer *out, const char **ret_message);
