/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a client's bytes say as WebSocket frames: RFC 6455, sections 5 to 8, the server's side, no
 * extensions. Pure. Payload is handed on as it comes and never kept, but for control frames, which
 * are short and taken whole.
 */
enum ws_read_kind {
    WS_READ_MORE,      /* all bytes were taken and nothing is to be done */
    WS_READ_DATA,      /* `payload` is the next part of a message; `binary`, `last`, `left` */
    WS_READ_PING,      /* `payload` is to be given back */
    WS_READ_PONG,      /* only a sign of life */
    WS_READ_CLOSE,     /* `code`; 0: it had none */
    WS_READ_VIOLATION, /* `code` to close with, and `reason`; all that follows is passed over */
};

struct ws_read {
    enum ws_read_kind kind;
    struct span payload; /* unmasked; valid until the reader or the bytes given to it change */
    uint64_t left;       /* of this frame's payload, that has not come yet */
    bool binary;
    bool last; /* the message ends with it */
    int code;
    const char *reason;
};

#define WS_CONTROL_MAX 125

struct ws_reader {
    unsigned char head[14]; /* the frame's, as far as it has come */
    uint8_t head_len;
    uint8_t opcode;    /* the frame's */
    uint8_t message;   /* the opcode that the message under way began with; 0: none is */
    uint8_t utf8_left; /* continuation bytes that its text is short of */
    uint8_t utf8_low;  /* what the next of them may be */
    uint8_t utf8_high;
    bool final;
    bool in_payload;
    bool failed;
    uint8_t control_len;
    uint64_t got; /* of the frame's payload */
    uint64_t left;
    char control[WS_CONTROL_MAX];
};

/*
 * Takes bytes up to the next thing to be told, unmasking them in place: how many, at least one.
 * `len` is not 0. A reader begins as zeros.
 */
size_t ws_reader_take(struct ws_read *ret_read, struct ws_reader *reader, char *bytes, size_t len);
/* Whether the bytes so far ended with a message: nothing has come of another. */
bool ws_reader_is_idle(const struct ws_reader *reader);
