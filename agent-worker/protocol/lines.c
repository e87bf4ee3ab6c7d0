/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/lines.h"

#include <errno.h>

/* Moves `scanned` to the first newline, or to the end. */
static bool find_newline(struct lines *lines)
{
    const struct buffer *bytes = lines->bytes;
    size_t left = bytes->len - lines->scanned;
    const char *from = bytes->data + lines->scanned;
    const char *newline = left ? memchr(from, '\n', left) : NULL;
    lines->scanned = newline ? (size_t)(newline - bytes->data) : bytes->len;
    return newline;
}

/* Gives back the room of all lines dropped, at once and not line by line. */
static void compact(struct lines *lines)
{
    buffer_consume(lines->bytes, lines->start);
    lines->scanned -= lines->start;
    lines->start = 0;
}

int lines_peek(struct span *ret_line, struct lines *lines)
{
    bool complete = find_newline(lines);
    size_t len = lines->scanned - lines->start;
    if (len > lines->max)
        return -EMSGSIZE;
    if (!complete) {
        compact(lines);
        return 0;
    }
    const char *line = lines->bytes->data + lines->start;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    *ret_line = span_of(line, len);
    return 1;
}

void lines_drop(struct lines *lines)
{
    lines->scanned++;
    lines->start = lines->scanned;
}
