/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record_frame.h"
#include "record_seen.h"

#include "base/map.h"

/*
 * The runs of a record, each against the grammar of a run. Open runs are kept whole, of those that
 * ended only that they did.
 *
 * A run is uncertain when part of it was not seen: it began before the record, or events are
 * missing behind which it may have gone on or ended. What an uncertain run had open before is not
 * held against it, and that its end is missing neither.
 */
struct record_runs {
    struct record_report *report; /* borrowed */
    struct map open;              /* struct record_run */
    struct seen_table ended;      /* hashes of identifiers */
    uint64_t begun, completed, cancelled, failed;
};

struct record_run;

void record_runs_init(struct record_runs *runs, struct record_report *report);
void record_runs_deinit(struct record_runs *runs);
/* The stream's next event. `from_start`: the record has every event before it. -ENOMEM. */
int record_runs_event(struct record_runs *runs, const struct record_frame *frame, bool from_start);
/* The server says how a run stands, its open tools included. -ENOMEM. */
int record_runs_snapshot(struct record_runs *runs, const struct record_frame *frame);
/* Events are missing here. */
void record_runs_hole(struct record_runs *runs);
/* The stream is numbered anew: what was open is not known any more. */
void record_runs_anew(struct record_runs *runs);
/* The record is over. `complete`: a run that did not end is a finding. */
void record_runs_end(struct record_runs *runs, bool complete);
/* Iterate over open runs: start with *cursor = 0; NULL at the end. */
const struct record_run *record_runs_next(const struct record_runs *runs, size_t *cursor);
const char *record_run_id(const struct record_run *run);
bool record_run_uncertain(const struct record_run *run);
