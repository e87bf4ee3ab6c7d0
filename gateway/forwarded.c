/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both headers are split from the right as well, quotation marks and all: an opened quotation that
 * a client leaves at its end must not swallow what the proxy wrote behind it.
 */
#include "forwarded.h"

#include <strings.h>

/* Several lines of a header are one list. */
struct entries {
    const struct span *lines;
    size_t line_count;
    struct span rest; /* of the line before lines[line_count] */
    bool quotes;      /* a comma within quotation marks separates nothing */
};

/* Where the last part of `text` begins that `separator` ends. */
static size_t last_part(struct span text, char separator, bool quotes)
{
    bool quoted = false;
    size_t at = text.len;
    for (; at > 0; at--) {
        char byte = text.data[at - 1];
        quoted ^= quotes && byte == '"';
        if (byte == separator && !quoted)
            break;
    }
    return at;
}

/* Takes the last part off `*text`. */
static struct span take_last(struct span *text, char separator, bool quotes)
{
    size_t at = last_part(*text, separator, quotes);
    struct span part = span_of(text->data + at, text->len - at);
    text->len = at ? at - 1 : 0;
    return http_trim(part);
}

/* The entry before the last one taken; false when there is none. Empty ones are passed over. */
static bool take_entry(struct entries *entries, struct span *ret_entry)
{
    for (;;) {
        while (entries->rest.len) {
            *ret_entry = take_last(&entries->rest, ',', entries->quotes);
            if (ret_entry->len)
                return true;
        }
        if (!entries->line_count)
            return false;
        entries->rest = entries->lines[--entries->line_count];
    }
}

static struct span unquote(struct span value)
{
    bool quoted = value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"';
    return quoted ? span_of(value.data + 1, value.len - 2) : value;
}

/* The value of `for` among the pairs of a Forwarded entry; empty when there is none. */
static struct span value_of_for(struct span entry)
{
    while (entry.len) {
        struct span pair = take_last(&entry, ';', true);
        if (pair.len > 4 && strncasecmp(pair.data, "for=", 4) == 0)
            return unquote(span_of(pair.data + 4, pair.len - 4));
    }
    return SPAN_EMPTY;
}

struct address forwarded_client(const struct networks *trusted, const struct address *peer,
    const struct http_request *request, enum forwarded_header header)
{
    const struct http_lines *lines =
        header == FORWARDED_X ? &request->x_forwarded_for : &request->forwarded;
    struct entries entries = {
        .lines = lines->values, .line_count = lines->count, .quotes = header == FORWARDED_RFC7239};
    struct address client = *peer;
    struct address next;
    struct span entry;
    while (networks_have(trusted, &client) && take_entry(&entries, &entry)) {
        if (header == FORWARDED_RFC7239)
            entry = value_of_for(entry);
        if (!address_parse_with_port(&next, entry))
            break;
        client = next;
    }
    return client;
}
