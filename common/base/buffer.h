/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdarg.h>
#include <stdint.h>

/*
 * A growable run of bytes, in the caller's memory. A failed growth marks the buffer broken and
 * leaves its bytes alone: writers may append many times and look at `buffer_error` once.
 */
struct buffer {
    char *data;
    size_t len;
    size_t cap;
    bool broken;
};

#define BUFFER_INIT ((struct buffer){0})

void buffer_deinit(struct buffer *buffer);
/* Room for `more` bytes behind `len`; NULL and broken when memory is out. */
char *buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append_span(struct buffer *buffer, struct span span);
void buffer_append_string(struct buffer *buffer, const char *text);
void buffer_append_char(struct buffer *buffer, char byte);
void buffer_append_uint(struct buffer *buffer, uint64_t number);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Removes `len` bytes from the front. */
void buffer_consume(struct buffer *buffer, size_t len);

/* 0, or -ENOMEM when any append since the last clear failed. */
int buffer_error(const struct buffer *buffer);

/* Empties the buffer and clears `broken`; keeps its memory. */
static inline void buffer_clear(struct buffer *buffer)
{
    buffer->len = 0;
    buffer->broken = false;
}

/* Here, so that the many short appends of an encoder are a compare and a copy each. */
static inline void buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    if (len == 0)
        return;
    char *room =
        buffer->cap - buffer->len >= len ? buffer->data + buffer->len : buffer_reserve(buffer, len);
    if (!room)
        return;
    memcpy(room, data, len);
    buffer->len += len;
}

static inline struct span buffer_span(const struct buffer *buffer)
{
    return (struct span){buffer->data, buffer->len};
}
