/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "view.h"

#include "base/buffer.h"
#include "wire/message.h"

#include <stdint.h>

#include <jansson.h>

/*
 * What a client may say (`ringside.v1`), from JSON text to a checked request. Pure: no socket, no
 * clock, no log. A frame is one of three things:
 *
 *   DECODED   a request that satisfies every rule of its method
 *   REFUSED   a request that can be answered, and is answered with the error
 *   VIOLATION no request at all (not JSON, no object, an id that cannot be repeated): close 4400
 */
enum protocol_method {
    METHOD_CHAT_SEND,
    METHOD_RUN_CANCEL,
    METHOD_RUNS_LIST,
    METHOD_RUN_GET,
    METHOD_INTERRUPT_RESPOND,
    METHOD_SUBSCRIBE,
    METHOD_ACK,
    METHOD_AUTH_REFRESH,
    METHOD_PING,
    METHOD_COUNT,
};

enum protocol_verdict {
    PROTOCOL_DECODED,
    PROTOCOL_REFUSED,
    PROTOCOL_VIOLATION,
};

/* Codes are the contract's stable strings; the message says what is wrong and why. */
struct protocol_error {
    char code[40];
    bool retryable;
    char message[192];
};

/* The longest `reason` of a cancel, in bytes. */
#define PROTOCOL_REASON_MAX 1024
/* The longest `id`, in bytes of its text. */
#define PROTOCOL_ID_MAX 127
/* The deepest nesting of arrays and objects in `content`. */
#define PROTOCOL_CONTENT_DEPTH 16

/* The largest `payload` of an answer to an interrupt, in bytes as JSON. */
#define PROTOCOL_PAYLOAD_MAX (16u << 10)
/* The most runs of one page of runs.list, and the longest name of a page. */
#define PROTOCOL_RUNS_MAX 100
#define PROTOCOL_PAGE_NAME_MAX 160

/* A view of the stream, as a handshake asks for one. */
struct protocol_subscribe {
    enum wire_open_mode mode;
    char epoch[IDENTIFIER_SIZE]; /* with WIRE_OPEN_CURSOR */
    uint64_t after;
    bool snapshots;
    struct filter filter;
};

/* Spans point into `json`, or into `content`; empty: absent. Freed with protocol_request_deinit. */
struct protocol_request {
    enum protocol_method method;
    json_t *json;          /* owns what the spans point to */
    struct buffer id;      /* JSON text, to be repeated in the reply; empty: a notification */
    struct buffer content; /* JSON text; the payload of interrupt.respond */
    struct span thread_id;
    struct span message_id;
    struct span run_id;
    struct span agent;
    struct span on_busy;
    struct span on_disconnect;
    struct span retry_of;
    struct span reason;
    struct span token;
    struct span interrupt_id;
    struct span status;
    struct span state;
    struct span after;
    uint64_t limit;
    uint64_t seq;
    struct protocol_subscribe *subscribe; /* owned */
};

/*
 * `ret_request` is initialised in any case; after REFUSED it holds the id to answer to (none: a
 * notification, which is dropped). `ret_error` is written unless DECODED.
 */
enum protocol_verdict protocol_decode(
    struct protocol_request *ret_request, struct protocol_error *ret_error, struct span text);
void protocol_request_deinit(struct protocol_request *request);

void protocol_error_set(struct protocol_error *error, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
