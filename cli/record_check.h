/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record_order.h"
#include "record_runs.h"

#include "base/buffer.h"

/* A record, read as it comes: order, then grammar. Nothing but what is to be compared is kept. */

/* The longest line; a frame is never longer than a message between processes. */
#define RECORD_LINE_MAX (8u << 20)

struct record_check {
    struct record_report report;
    struct record_order order;
    struct record_runs runs;
    bool complete;
    uint64_t lines;
    uint64_t frames;
    struct buffer partial; /* the beginning of a line */
    bool skipping;         /* the rest of a line that is too long */
};

struct record_options {
    bool complete; /* runs that did not end are findings */
    bool filtered; /* the views were of some threads only */
    size_t limit;  /* of findings that are kept */
};

void record_check_init(struct record_check *check, const struct record_options *options);
void record_check_deinit(struct record_check *check);
/* The next bytes of the record, in pieces of any size. Empty lines are passed over. -ENOMEM. */
int record_check_feed(struct record_check *check, struct span bytes);
/* The record is over; its last line may lack a newline. -ENOMEM. */
int record_check_end(struct record_check *check);
