/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <errno.h>

/* Moves `scanned` to the first newline, or to the end. */
static bool find_newline(struct lines *lines)
{
    const struct buffer *bytes = lines->bytes;
    size_t left = bytes->len - lines->scanned;
    const char *start = bytes->data + lines->scanned;
    const char *newline = left ? memchr(start, '\n', left) : NULL;
    lines->scanned = newline ? (size_t)(newline - bytes->data) : bytes->len;
    return newline;
}

int lines_peek(struct span *ret_line, struct lines *lines)
{
    bool complete = lines->bytes->len > 0 && find_newline(lines);
    size_t len = lines->scanned;
    if (len > lines->max)
        return -EMSGSIZE;
    if (!complete)
        return 0;
    if (len > 0 && lines->bytes->data[len - 1] == '\r')
        len--;
    *ret_line = span_of(lines->bytes->data, len);
    return 1;
}

void lines_drop(struct lines *lines)
{
    buffer_consume(lines->bytes, lines->scanned + 1);
    lines->scanned = 0;
}
