/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"

/* A batch run: the requests of a file, in this process, without a node. */
struct batch_options {
    const struct config *config; /* borrowed, as all here */
    const char *input;           /* a path, or "-" */
    const char *output;          /* a path; NULL: standard output */
    const char *agent;           /* of requests that name none; "": broker.default_agent */
    size_t jobs;                 /* requests under way at once */
    unsigned retries;            /* further attempts at what failed with `retryable` */
    bool events;                 /* write them too */
    bool ordered;                /* results in the order of the requests */
    bool retry_failed;           /* take what failed out of the output and run it again */
    bool quiet;                  /* no progress and no summary */
};

enum batch_outcome {
    BATCH_ALL_COMPLETED,
    BATCH_NOT_ALL, /* something failed, was no request, or is left to do */
    BATCH_REFUSED, /* the agents or a file cannot be used; said on stderr */
};

/* Runs until everything has its result or a signal has stopped it. */
enum batch_outcome batch_process(const struct batch_options *options);
