/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

#include <stdio.h>

/*
 * How events are shown: as JSON lines, or as lines for people. An agent's text flows: deltas of
 * one message that follow each other go on in one line, which is broken where it is full.
 */
struct event_view {
    bool json;
    bool colour;
    bool with_run;              /* show which run each line is of */
    size_t width;               /* columns of the terminal; 0: lines are not cut */
    size_t column;              /* where the flowing text stands; 0: no line is open */
    char flow[IDENTIFIER_SIZE]; /* the message whose text it is */
};

/* For `out`: colours and width when it is a terminal and NO_COLOR is not set. */
struct event_view event_view_of(FILE *out, bool json);
/*
 * Appends what shows the event: the frame of the client protocol, or time, type and a short
 * text. Control characters in texts are shown as spaces: what an agent says must not steer the
 * terminal.
 */
void event_line_append(
    struct buffer *out, struct event_view *view, const struct event *event, uint64_t prev);
/* Ends the line that is open, if any. */
void event_line_end(struct buffer *out, struct event_view *view);
/* The text part alone, without time, type and colours. */
void event_text_append(struct buffer *out, const struct event *event);
/* On stdout, as a line of JSON: the frame that says that events are gone. */
void event_gap_print(uint64_t from, uint64_t to, const char *reason);
