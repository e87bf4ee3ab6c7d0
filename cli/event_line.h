/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

#include <stdio.h>

/* How events are shown: as JSON lines, or as lines for people. */
struct event_view {
    bool json;
    bool colour;
    size_t width;  /* columns of the terminal; 0: lines are not cut */
    bool with_run; /* show which run each line is of */
};

/* For `out`: colours and width when it is a terminal and NO_COLOR is not set. */
struct event_view event_view_of(FILE *out, bool json);
/*
 * Appends one line, with its newline: the frame of the client protocol, or time, type and a short
 * text. Control characters in texts are shown as spaces: what an agent says must not steer the
 * terminal.
 */
void event_line_append(
    struct buffer *out, const struct event_view *view, const struct event *event, uint64_t prev);
/* The text part alone, without time, type and colours. */
void event_text_append(struct buffer *out, const struct event *event);
