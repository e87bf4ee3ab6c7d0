/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A borrowed run of bytes: not owned, not NUL-terminated. `data` may be NULL when `len` is 0. */
struct span {
    const char *data;
    size_t len;
};

#define SPAN_LITERAL(text) ((struct span){"" text, sizeof(text) - 1})
#define SPAN_EMPTY ((struct span){NULL, 0})
/* For printf's "%.*s". */
#define SPAN_ARG(span) (int)(span).len, (span).data ? (span).data : ""

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){data, len};
}

static inline struct span span_of_string(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_of_string(text));
}

/* What stands before the first `separator`, or all of it; both are taken off `rest`. */
static inline struct span span_take_until(struct span *rest, char separator)
{
    const char *at = rest->len ? (const char *)memchr(rest->data, separator, rest->len) : NULL;
    size_t len = at ? (size_t)(at - rest->data) : rest->len;
    size_t skip = at ? len + 1 : len;
    struct span taken = {rest->data, len};
    rest->data = skip ? rest->data + skip : rest->data;
    rest->len -= skip;
    return taken;
}
