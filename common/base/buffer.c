/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = BUFFER_INIT;
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->cap - buffer->len >= more && buffer->data)
        return buffer->data + buffer->len;
    size_t cap = buffer->cap ? buffer->cap : 256;
    while (cap - buffer->len < more) {
        if (cap > SIZE_MAX / 4) {
            buffer->broken = true;
            return NULL;
        }
        cap *= 2;
    }
    char *data = realloc(buffer->data, cap);
    if (!data) {
        buffer->broken = true;
        return NULL;
    }
    buffer->data = data;
    buffer->cap = cap;
    return data + buffer->len;
}

void buffer_append_span(struct buffer *buffer, struct span span)
{
    buffer_append(buffer, span.data, span.len);
}

void buffer_append_string(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_char(struct buffer *buffer, char byte)
{
    buffer_append(buffer, &byte, 1);
}

void buffer_append_uint(struct buffer *buffer, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    buffer_append(buffer, digits + at, sizeof(digits) - at);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *room = need < 0 ? NULL : buffer_reserve(buffer, (size_t)need + 1);
    if (!room) {
        buffer->broken = true;
        return;
    }
    va_start(args, format);
    vsnprintf(room, (size_t)need + 1, format, args);
    va_end(args);
    buffer->len += (size_t)need;
}

void buffer_consume(struct buffer *buffer, size_t len)
{
    if (len < buffer->len)
        memmove(buffer->data, buffer->data + len, buffer->len - len);
    buffer->len -= len < buffer->len ? len : buffer->len;
}

int buffer_error(const struct buffer *buffer)
{
    return buffer->broken ? -ENOMEM : 0;
}
