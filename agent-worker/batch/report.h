/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "batch/run.h"

/*
 * What a person at the shell is told on stderr: a bar on a terminal, now and then a line elsewhere,
 * and a summary.
 */
#define BATCH_CODES_MAX 16

struct batch_code {
    char code[IDENTIFIER_SIZE];
    uint64_t count;
};

struct batch_report {
    bool quiet;
    bool terminal;
    bool drawn;           /* the line at the cursor is the bar */
    uint64_t begun_ms;    /* monotonic */
    uint64_t told_ms;     /* when the last line of progress was written */
    uint64_t total;       /* requests of the file */
    uint64_t done_before; /* of those, with a result from the start on */
    uint64_t malformed;
    uint64_t ended[BATCH_CANCELLED + 1]; /* by status, since the start */
    uint64_t retried;                    /* attempts that were followed by another */
    struct batch_code codes[BATCH_CODES_MAX];
    size_t code_count;
    uint64_t other_codes; /* failures with yet other codes */
    uint32_t *durations;  /* milliseconds */
    size_t duration_count, duration_cap;
};

void batch_report_init(struct batch_report *report, bool quiet, uint64_t now_ms);
void batch_report_deinit(struct batch_report *report);
/* A line of its own, whatever stands at the cursor. */
void batch_report_malformed(struct batch_report *report, uint64_t line, const char *reason);
void batch_report_ended(struct batch_report *report, const struct batch_run *run);
/* How far it has come; call a few times a second. */
void batch_report_progress(struct batch_report *report, size_t running, uint64_t now_ms);
void batch_report_summary(struct batch_report *report, bool interrupted, uint64_t now_ms);
