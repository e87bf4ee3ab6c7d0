/* SPDX-License-Identifier: Apache-2.0 */
#include "handshake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define BEARER_ENTRY "bearer."
#define BEARER_SCHEME "bearer "

void http_refusal_set(
    struct http_refusal *refusal, int status, const char *code, const char *format, ...)
{
    va_list arguments;
    *refusal = (struct http_refusal){.status = status};
    snprintf(refusal->error.code, sizeof(refusal->error.code), "%s", code);
    va_start(arguments, format);
    vsnprintf(refusal->error.message, sizeof(refusal->error.message), format, arguments);
    va_end(arguments);
}

static bool refuse(struct http_refusal *refusal, const char *why)
{
    http_refusal_set(refusal, 400, "invalid_argument", "%s", why);
    return false;
}

/* ---- cursor and filter */

static bool parse_seq(uint64_t *ret_seq, struct span digits)
{
    uint64_t seq = 0;
    if (digits.len == 0 || digits.len > 19)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        seq = seq * 10 + (uint64_t)(digits.data[i] - '0');
    }
    *ret_seq = seq;
    return seq <= INT64_MAX;
}

bool handshake_parse_cursor(
    char ret_epoch[IDENTIFIER_SIZE], uint64_t *ret_after, struct span cursor)
{
    const char *point = cursor.len ? memrchr(cursor.data, '.', cursor.len) : NULL;
    if (!point)
        return false;
    struct span epoch = span_of(cursor.data, (size_t)(point - cursor.data));
    uint64_t after;
    if (!identifier_valid(epoch) ||
        !parse_seq(&after, span_of(point + 1, cursor.len - epoch.len - 1)))
        return false;
    memcpy(ret_epoch, epoch.data, epoch.len);
    ret_epoch[epoch.len] = '\0';
    *ret_after = after;
    return true;
}

static bool take_cursor(
    struct handshake *handshake, struct http_refusal *refusal, struct span cursor)
{
    if (handshake->mode != WIRE_OPEN_LIVE)
        return refuse(refusal, "there must be one cursor at most");
    if (span_is(cursor, "start")) {
        handshake->mode = WIRE_OPEN_START;
        return true;
    }
    if (!handshake_parse_cursor(handshake->epoch, &handshake->after, cursor))
        return refuse(refusal, "a cursor is <epoch>.<seq>, or start");
    handshake->mode = WIRE_OPEN_CURSOR;
    return true;
}

static bool take_snapshot(
    struct handshake *handshake, struct http_refusal *refusal, struct span value)
{
    if (!span_is(value, "1") && !span_is(value, "0"))
        return refuse(refusal, "snapshot is 1 or 0");
    handshake->snapshots = span_is(value, "1");
    return true;
}

static bool take_thread(
    struct handshake *handshake, struct http_refusal *refusal, struct span thread)
{
    if (!identifier_valid(thread))
        return refuse(refusal, "a thread is 1 to 127 printable ASCII characters");
    if (++handshake->threads_asked > FILTER_THREADS_MAX)
        return true;
    char *place = handshake->filter.threads[handshake->filter.count++];
    memcpy(place, thread.data, thread.len);
    place[thread.len] = '\0';
    return true;
}

/* Parameters that this version does not know are passed over. */
static bool take_query(struct handshake *handshake, struct http_refusal *refusal, struct span query)
{
    char decoded[HTTP_HEAD_MAX];
    struct span name;
    struct span value;
    int rc;
    while ((rc = http_query_next(&query, decoded, &name, &value)) > 0) {
        if (span_is(name, "cursor") && !take_cursor(handshake, refusal, value))
            return false;
        if (span_is(name, "snapshot") && !take_snapshot(handshake, refusal, value))
            return false;
        if (span_is(name, "thread") && !take_thread(handshake, refusal, value))
            return false;
    }
    return rc == 0 || refuse(refusal, "the query string has a broken escape");
}

/* ---- upgrade */

/* Of two that are offered the first is taken: the client's order says what it likes best. */
static bool take_protocol(struct handshake *handshake, const struct http_request *request)
{
    for (size_t i = 0; i < request->websocket_protocol_lines; i++) {
        struct span list = request->websocket_protocols[i];
        struct span item;
        while (http_list_next(&list, &item)) {
            bool msgpack = span_is(item, HANDSHAKE_PROTOCOL_MSGPACK);
            handshake->format = msgpack ? FRAME_MSGPACK : FRAME_JSON;
            if (msgpack || span_is(item, HANDSHAKE_PROTOCOL))
                return true;
        }
    }
    return false;
}

/* 16 bytes in base 64: 22 digits and two equals signs. */
static bool key_valid(struct span key)
{
    if (key.len != 24 || key.data[22] != '=' || key.data[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char byte = key.data[i];
        bool digit = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z') || byte == '+' || byte == '/';
        if (!digit)
            return false;
    }
    return true;
}

static bool take_upgrade(
    struct handshake *handshake, struct http_refusal *refusal, const struct http_request *request)
{
    if (!http_list_has(request->upgrade, "websocket") ||
        !http_list_has(request->connection, "upgrade")) {
        http_refusal_set(refusal, 426, "invalid_argument", "this address speaks WebSocket");
        return false;
    }
    if (!span_is(request->websocket_version, "13")) {
        http_refusal_set(refusal, 426, "invalid_argument", "the WebSocket version must be 13");
        return false;
    }
    if (request->method != HTTP_GET || !request->host.len || !key_valid(request->websocket_key))
        return refuse(refusal, "the request is no proper WebSocket handshake");
    if (!take_protocol(handshake, request))
        return refuse(refusal, "the subprotocol " HANDSHAKE_PROTOCOL
                               " or " HANDSHAKE_PROTOCOL_MSGPACK " must be offered");
    return true;
}

bool handshake_parse(struct handshake *ret_handshake, struct http_refusal *ret_refusal,
    const struct http_request *request)
{
    *ret_handshake = (struct handshake){.mode = WIRE_OPEN_LIVE};
    return take_upgrade(ret_handshake, ret_refusal, request) &&
           take_query(ret_handshake, ret_refusal, request->query);
}

/* ---- event streams */

static bool take_last_event(
    struct handshake *handshake, struct http_refusal *refusal, struct span id)
{
    if (!id.len)
        return true;
    if (!handshake_parse_cursor(handshake->epoch, &handshake->after, id))
        return refuse(refusal, "Last-Event-ID is none of ours: <epoch>.<seq>");
    handshake->mode = WIRE_OPEN_CURSOR;
    return true;
}

bool handshake_parse_events(struct handshake *ret_handshake, struct http_refusal *ret_refusal,
    const struct http_request *request)
{
    *ret_handshake = (struct handshake){.mode = WIRE_OPEN_LIVE, .format = FRAME_SSE};
    if (request->method != HTTP_GET)
        return refuse(ret_refusal, "an event stream is asked for with GET");
    return take_query(ret_handshake, ret_refusal, request->query) &&
           take_last_event(ret_handshake, ret_refusal, request->last_event_id);
}

/* ---- origin */

static bool spans_match(struct span a, struct span b)
{
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

static bool starts_with(struct span text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && strncasecmp(text.data, prefix, len) == 0;
}

static bool is_own_host(struct span origin, struct span host)
{
    size_t scheme = starts_with(origin, "http://") ? 7 : starts_with(origin, "https://") ? 8 : 0;
    return scheme && host.len &&
           spans_match(span_of(origin.data + scheme, origin.len - scheme), host);
}

bool handshake_origin_allowed(const struct http_request *request, const char *allowed)
{
    struct span list = span_of_string(allowed);
    struct span item;
    if (!request->has_origin)
        return true;
    if (!list.len)
        return is_own_host(request->origin, request->host);
    while (http_list_next(&list, &item)) {
        if (item.len > 1 && item.data[item.len - 1] == '/')
            item.len--;
        if (span_is(item, "*") || spans_match(item, request->origin))
            return true;
    }
    return false;
}

/* ---- token */

struct span handshake_token(const struct http_request *request)
{
    struct span header = request->authorization;
    size_t scheme = strlen(BEARER_SCHEME);
    if (starts_with(header, BEARER_SCHEME)) {
        struct span token;
        struct span rest = span_of(header.data + scheme, header.len - scheme);
        return http_list_next(&rest, &token) && !rest.len ? token : SPAN_EMPTY;
    }
    for (size_t i = 0; i < request->websocket_protocol_lines; i++) {
        struct span list = request->websocket_protocols[i];
        struct span item;
        while (http_list_next(&list, &item)) {
            if (starts_with(item, BEARER_ENTRY))
                return span_of(item.data + strlen(BEARER_ENTRY), item.len - strlen(BEARER_ENTRY));
        }
    }
    return SPAN_EMPTY;
}
