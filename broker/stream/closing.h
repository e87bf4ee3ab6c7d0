/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "stream/pipeline.h"

/*
 * What the broker writes itself, so that every run ends: first the run's open tools and texts are
 * closed, then comes the terminal event, all marked synthetic. The run is freed by it.
 */
struct closing {
    const char *code; /* of the error_event; NULL: agent_completed, cancelled */
    const char *message;
    bool retryable;
    const char *tool_status; /* of open tools: "lost" or "cancelled" */
    int signal;              /* that ended the process, 0: unknown */
    int exit_code;           /* of the process, -1: unknown */
};

#define CLOSING_WORKER_LOST                                                                        \
    ((struct closing){.code = "worker_lost",                                                       \
        .message = "the worker process died",                                                      \
        .retryable = true,                                                                         \
        .tool_status = "lost",                                                                     \
        .exit_code = -1})
#define CLOSING_WORKER_STALLED                                                                     \
    ((struct closing){.code = "worker_stalled",                                                    \
        .message = "the worker stopped answering",                                                 \
        .retryable = true,                                                                         \
        .tool_status = "lost",                                                                     \
        .exit_code = -1})
#define CLOSING_CANCELLED ((struct closing){.tool_status = "cancelled", .exit_code = -1})

/* The first half: closes what is open and leaves the run open. */
void closing_close_items(struct pipeline *pipeline, struct run *run, const char *tool_status);
void closing_end_run(struct pipeline *pipeline, struct run *run, const struct closing *closing);
