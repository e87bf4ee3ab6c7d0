/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * Lines in a buffer that something else fills. A line is looked at and then dropped, so that one
 * which cannot be dealt with now stays where it is and is seen again. Pure.
 */
struct lines {
    struct buffer *bytes; /* borrowed; only appended to by others */
    size_t max;           /* the longest line, without its newline */
    size_t start;         /* of the next line; what is before has been dropped */
    size_t scanned;       /* no newline between `start` and this */
};

/* The line's newline (and a carriage return before it) is not part of the span.
 * 1 with a line, 0 when none is complete, -EMSGSIZE when the next one is longer than `max`. */
int lines_peek(struct span *ret_line, struct lines *lines);
/* Drops the line lines_peek has just given. */
void lines_drop(struct lines *lines);
