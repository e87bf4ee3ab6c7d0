/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "batch/input.h"

/*
 * Where results go, and what is remembered of them: the file of results says which requests are
 * done. A request's lines go into it with one write, its result last, so that what a killed batch
 * leaves is whole requests and at most one piece behind them, which the next one cuts off.
 */
struct batch_output {
    int fd;
    const char *path; /* borrowed; NULL: standard output, which remembers nothing */
    uint64_t seq;     /* of the last event in it */
    uint64_t failed;  /* results it had from the start on that did not complete */
    bool unsynced;    /* something was written since the last sync */
};

/* Why it could not be opened, for people. */
struct batch_output_problem {
    char text[256];
};

/*
 * Opens the file, or makes it, and marks the requests of `input` that it has results of as done.
 * `retry_failed`: those that did not complete are taken out first. -errno with `ret_problem`;
 * deinitialised in any case by batch_output_deinit.
 */
int batch_output_init(struct batch_output *output, const char *path, bool retry_failed,
    struct batch_input *input, struct batch_output_problem *ret_problem);
void batch_output_deinit(struct batch_output *output);
/* Whole lines, with one write. -errno: some of them may be in the file, and are cut off when it is
 * opened again; nothing more is to be written now. */
int batch_output_write(struct batch_output *output, struct span lines);
/* Brings what was written to disk. */
int batch_output_sync(struct batch_output *output);
