/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

/* Raised whenever a message changes; the two ends of a link must agree. (A test's program is built
 * with another one.) */
#ifndef WIRE_VERSION
#define WIRE_VERSION 2
#endif
/* The largest message, in bytes; senders stay below it, receivers refuse above it. */
#define WIRE_MESSAGE_MAX (8u << 20)
/* The largest `content` of a request and the largest page of events. */
#define WIRE_CONTENT_MAX (256u << 10)
#define WIRE_PAGE_MAX (1u << 20)

/* RELEASED's code for a run that was not begun and that another worker may have. */
#define WIRE_HANDED_BACK "handed_back"

/* What a PAGE or SNAPSHOT with `bytes` of events or runs costs of the window that TAKEN gives back.
 */
static inline uint64_t wire_answer_cost(struct span bytes)
{
    return bytes.len + 64;
}

enum wire_kind {
    WIRE_NONE,
#define MESSAGE(symbol, name, fields) WIRE_##symbol,
#include "wire/messages.def"
#undef MESSAGE
    WIRE_KIND_COUNT,
};

enum wire_open_mode {
    WIRE_OPEN_LIVE,   /* from now */
    WIRE_OPEN_START,  /* all that is retained */
    WIRE_OPEN_CURSOR, /* behind a cursor */
    WIRE_OPEN_MODES,
};

enum wire_resume {
    WIRE_RESUME_LIVE,
    WIRE_RESUME_REPLAY,
    WIRE_RESUME_GAP,   /* what the cursor asked for was trimmed, in part */
    WIRE_RESUME_RESET, /* the cursor is of another numbering, or ahead of this one */
};

enum wire_page_status {
    WIRE_PAGE_OK,
    WIRE_PAGE_TRIMMED,       /* numbers just above `after` are gone; begin at `oldest` - 1 */
    WIRE_PAGE_EPOCH_CHANGED, /* another numbering: open anew */
    WIRE_PAGE_DAMAGED,       /* as TRIMMED, but what is gone was damaged */
};

/* One struct a message: `struct wire_attach { uint64_t version; struct span role; … }`. */
#define U(field) uint64_t field;
#define S(field) struct span field;
#define B(field) struct span field;
#define MESSAGE(symbol, name, fields)                                                              \
    struct wire_##name {                                                                           \
        fields                                                                                     \
    };
#include "wire/messages.def"
#undef MESSAGE
#undef U
#undef S
#undef B

/* A message; spans are borrowed from the bytes it was decoded from, or from whoever filled it. */
struct wire_message {
    enum wire_kind kind;
    union {
#define MESSAGE(symbol, name, fields) struct wire_##name name;
#include "wire/messages.def"
#undef MESSAGE
    };
};

/* "attach", for logs; "unknown" otherwise. Static. */
const char *wire_kind_name(enum wire_kind kind);
/* Appends the encoding; errors are the buffer's. */
void wire_encode(struct buffer *out, const struct wire_message *message);
/* -EBADMSG unless `bytes` are exactly one well-formed message of a known kind. */
int wire_decode(struct wire_message *ret_message, struct span bytes);
