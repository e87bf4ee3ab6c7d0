/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "frame.h"
#include "http_request.h"
#include "protocol.h"
#include "view.h"

#include "wire/message.h"

/*
 * What a WebSocket handshake, or a request for an event stream, asks for, and the rules it must
 * satisfy before any token is looked at. Pure.
 */
#define HANDSHAKE_PATH "/v1/ws"
#define HANDSHAKE_EVENTS_PATH "/v1/events"
#define HANDSHAKE_PROTOCOL "ringside.v1"
#define HANDSHAKE_PROTOCOL_MSGPACK "ringside.v1.msgpack"

struct handshake {
    enum frame_format format;
    enum wire_open_mode mode;
    char epoch[IDENTIFIER_SIZE]; /* with WIRE_OPEN_CURSOR */
    uint64_t after;
    bool snapshots; /* of open runs, once what is retained was sent */
    struct filter filter;
    size_t threads_asked; /* may be more than the filter has room for: to be refused then */
};

/* An HTTP answer that is an error. */
struct http_refusal {
    int status;
    unsigned retry_after; /* seconds; 0: none */
    struct protocol_error error;
};

__attribute__((format(printf, 4, 5))) void http_refusal_set(
    struct http_refusal *refusal, int status, const char *code, const char *format, ...);

/* False, with the refusal set, unless the request is a proper one of this protocol. */
bool handshake_parse(struct handshake *ret_handshake, struct http_refusal *ret_refusal,
    const struct http_request *request);
/* The same for an event stream. Where the client stands by Last-Event-ID counts before the cursor
 * in the address, which is that of its first connection. */
bool handshake_parse_events(struct handshake *ret_handshake, struct http_refusal *ret_refusal,
    const struct http_request *request);
/*
 * Whether a page of the request's Origin may connect. `allowed`: comma separated; "*": any; empty:
 * only a page that came from the very host the request names. No Origin: no browser, allowed.
 */
bool handshake_origin_allowed(const struct http_request *request, const char *allowed);
/* The token of `Authorization: Bearer …` or of a `bearer.…` subprotocol entry; empty: none. */
struct span handshake_token(const struct http_request *request);
/* `<epoch>.<seq>`, of which the last point separates. False when it is no cursor. */
bool handshake_parse_cursor(
    char ret_epoch[IDENTIFIER_SIZE], uint64_t *ret_after, struct span cursor);
