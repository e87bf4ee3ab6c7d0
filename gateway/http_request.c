/* SPDX-License-Identifier: Apache-2.0 */
#include "http_request.h"

#include "base/cleanup.h"

#include <errno.h>
#include <strings.h>

#define HEADERS_MAX 100

bool http_text_is(struct span text, const char *wanted)
{
    return text.len == strlen(wanted) && strncasecmp(text.data, wanted, text.len) == 0;
}

size_t http_request_head_length(struct span bytes)
{
    for (size_t at = 0; at < bytes.len; at++) {
        const char *end = memchr(bytes.data + at, '\n', bytes.len - at);
        if (!end)
            return 0;
        at = (size_t)(end - bytes.data);
        if (at >= 3 && memcmp(end - 3, "\r\n\r", 3) == 0)
            return at + 1;
    }
    return 0;
}

struct span http_trim(struct span text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = span_of(text.data + 1, text.len - 1);
    while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* ---- the request line */

static bool take_word(struct span *rest, struct span *ret_word)
{
    const char *space = memchr(rest->data, ' ', rest->len);
    if (!space || space == rest->data)
        return false;
    size_t len = (size_t)(space - rest->data);
    *ret_word = span_of(rest->data, len);
    *rest = span_of(space + 1, rest->len - len - 1);
    return true;
}

static bool target_valid(struct span target)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char byte = (unsigned char)target.data[i];
        if (byte <= 0x20 || byte >= 0x7f || byte == '#')
            return false;
    }
    return target.len > 0 && target.data[0] == '/';
}

static int parse_request_line(struct http_request *request, struct span line)
{
    struct span method;
    struct span target;
    if (!take_word(&line, &method) || !take_word(&line, &target) || !target_valid(target) ||
        !(span_is(line, "HTTP/1.1") || span_is(line, "HTTP/1.0")))
        return -EBADMSG;
    request->method = span_is(method, "GET")    ? HTTP_GET
                      : span_is(method, "HEAD") ? HTTP_HEAD
                                                : HTTP_OTHER;
    const char *question = memchr(target.data, '?', target.len);
    size_t path_len = question ? (size_t)(question - target.data) : target.len;
    request->path = span_of(target.data, path_len);
    if (question)
        request->query = span_of(question + 1, target.len - path_len - 1);
    return 0;
}

/* ---- headers */

#define HEADER(name, member)                                                                       \
    {                                                                                              \
        name, sizeof(name) - 1, __builtin_offsetof(struct http_request, member)                    \
    }

static const struct {
    const char *name;
    size_t len;
    size_t offset; /* of the span in struct http_request */
} headers[] = {
    HEADER("host", host),
    HEADER("origin", origin),
    HEADER("authorization", authorization),
    HEADER("upgrade", upgrade),
    HEADER("connection", connection),
    HEADER("if-none-match", if_none_match),
    HEADER("last-event-id", last_event_id),
    HEADER("sec-websocket-key", websocket_key),
    HEADER("sec-websocket-version", websocket_version),
};

static int keep_line(struct http_lines *lines, struct span value)
{
    if (lines->count == HTTP_LINES_MAX)
        return -EBADMSG;
    lines->values[lines->count++] = value;
    return 0;
}

static int keep_header(struct http_request *request, struct span name, struct span value)
{
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        if (name.len != headers[i].len || !http_text_is(name, headers[i].name))
            continue;
        struct span *place = (struct span *)(void *)((char *)request + headers[i].offset);
        if (place->data)
            return -EBADMSG;
        *place = value;
        request->has_origin |= place == &request->origin;
        return 0;
    }
    if (http_text_is(name, "sec-websocket-protocol")) {
        if (request->websocket_protocol_lines == HTTP_PROTOCOL_LINES_MAX)
            return -EBADMSG;
        request->websocket_protocols[request->websocket_protocol_lines++] = value;
    }
    if (http_text_is(name, "forwarded"))
        return keep_line(&request->forwarded, value);
    if (http_text_is(name, "x-forwarded-for"))
        return keep_line(&request->x_forwarded_for, value);
    request->has_body |= http_text_is(name, "transfer-encoding") ||
                         (http_text_is(name, "content-length") && !span_is(value, "0"));
    return 0;
}

static bool name_valid(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.data[i];
        if (byte <= 0x20 || byte >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", byte))
            return false;
    }
    return name.len > 0;
}

static bool value_valid(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.data[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            return false;
    }
    return true;
}

static int parse_header(struct http_request *request, struct span line)
{
    const char *colon = memchr(line.data, ':', line.len);
    if (!colon)
        return -EBADMSG;
    struct span name = span_of(line.data, (size_t)(colon - line.data));
    struct span value = http_trim(span_of(colon + 1, line.len - name.len - 1));
    if (!name_valid(name) || !value_valid(value))
        return -EBADMSG;
    return keep_header(request, name, value);
}

/* Lines end with CR LF; the last one, empty, was seen by http_request_head_length. */
static struct span take_line(struct span *rest)
{
    const char *end = memmem(rest->data, rest->len, "\r\n", 2);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    struct span line = span_of(rest->data, len);
    size_t used = end ? len + 2 : len;
    *rest = span_of(rest->data + used, rest->len - used);
    return line;
}

int http_request_parse(struct http_request *ret_request, struct span head)
{
    struct http_request request = {0};
    struct span rest = head;
    int rc = parse_request_line(&request, take_line(&rest));
    for (int count = 0; !rc; count++) {
        struct span line = take_line(&rest);
        if (line.len == 0)
            break;
        rc = count < HEADERS_MAX ? parse_header(&request, line) : -EBADMSG;
    }
    if (!rc)
        *ret_request = request;
    return rc;
}

/* ---- lists and queries */

bool http_list_next(struct span *list, struct span *ret_item)
{
    while (list->len) {
        const char *comma = memchr(list->data, ',', list->len);
        size_t len = comma ? (size_t)(comma - list->data) : list->len;
        struct span item = http_trim(span_of(list->data, len));
        size_t used = comma ? len + 1 : len;
        *list = span_of(list->data + used, list->len - used);
        if (item.len) {
            *ret_item = item;
            return true;
        }
    }
    return false;
}

bool http_list_has(struct span list, const char *wanted)
{
    struct span item;
    while (http_list_next(&list, &item)) {
        if (http_text_is(item, wanted))
            return true;
    }
    return false;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Decodes to `*out` and moves it; false on a broken escape. */
static bool decode(struct span text, char **out, struct span *ret_decoded)
{
    char *start = *out;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.data[i] == '+' ? ' ' : text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
            if (low < 0)
                return false;
            byte = (char)(high << 4 | low);
            i += 2;
        }
        *(*out)++ = byte;
    }
    *ret_decoded = span_of(start, (size_t)(*out - start));
    return true;
}

int http_query_next(struct span *query, char *buffer, struct span *ret_name, struct span *ret_value)
{
    while (query->len && query->data[0] == '&')
        *query = span_of(query->data + 1, query->len - 1);
    if (!query->len)
        return 0;
    const char *end = memchr(query->data, '&', query->len);
    size_t len = end ? (size_t)(end - query->data) : query->len;
    const char *equals = memchr(query->data, '=', len);
    size_t name_len = equals ? (size_t)(equals - query->data) : len;
    struct span name = span_of(query->data, name_len);
    struct span value = equals ? span_of(equals + 1, len - name_len - 1) : SPAN_EMPTY;
    *query = span_of(query->data + len, query->len - len);
    char *out = buffer;
    return decode(name, &out, ret_name) && decode(value, &out, ret_value) ? 1 : -EINVAL;
}
