/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

/*
 * The head of an HTTP/1 request, parsed in place and strictly: what is ambiguous is refused, since
 * a proxy in front may read it differently. Pure.
 */
enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_OTHER,
};

/* Sec-WebSocket-Protocol may come as one line or several. */
#define HTTP_PROTOCOL_LINES_MAX 4
/* Each proxy on the way may add a line of its own. */
#define HTTP_LINES_MAX 8
/* The longest head, its empty line included. */
#define HTTP_HEAD_MAX (16u << 10)

/* A header that is a list, over one line or several. */
struct http_lines {
    struct span values[HTTP_LINES_MAX];
    size_t count;
};

/* Spans point into the head; empty: absent. */
struct http_request {
    enum http_method method;
    struct span path;
    struct span query; /* behind the question mark */
    struct span host;
    struct span origin;
    struct span authorization;
    struct span upgrade;
    struct span connection;
    struct span if_none_match;
    struct span last_event_id;
    struct span websocket_key;
    struct span websocket_version;
    struct span websocket_protocols[HTTP_PROTOCOL_LINES_MAX];
    size_t websocket_protocol_lines;
    struct http_lines forwarded;
    struct http_lines x_forwarded_for;
    bool has_origin;
    bool has_body;
};

/*
 * `head` is everything up to and including the empty line. -EBADMSG when it is no HTTP/1 request,
 * or repeats a header that may come once.
 */
int http_request_parse(struct http_request *ret_request, struct span head);
/* The length of the head at the start of `bytes`, 0 while its end has not come. */
size_t http_request_head_length(struct span bytes);

/* Without the blanks around it. */
struct span http_trim(struct span text);
/* ASCII, without regard to case. */
bool http_text_is(struct span text, const char *wanted);
/*
 * The next item of a comma-separated list, without its white space; moves `*list` behind it.
 * False at the end. Empty items are passed over.
 */
bool http_list_next(struct span *list, struct span *ret_item);
/* Whether a list has the item, without regard to case. */
bool http_list_has(struct span list, const char *wanted);

/*
 * The next `name=value` of a query string, decoded into `buffer` (of at least the query's length),
 * where both spans point. 1, 0 at the end, -EINVAL on a broken escape.
 */
int http_query_next(
    struct span *query, char *buffer, struct span *ret_name, struct span *ret_value);
