/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * What a peer of this machine says on its connection, as it comes in: a greeting, then messages,
 * each behind its length as in a bundle. Pure.
 */
#define LINK_STREAM_GREETING "ringside"
#define LINK_STREAM_GREETING_LEN 8

struct link_stream {
    struct buffer bytes; /* what has come in */
    size_t at;           /* what of it was taken */
    bool greeted;
};

enum link_stream_next {
    LINK_STREAM_MORE, /* is needed */
    LINK_STREAM_GREETED,
    LINK_STREAM_MESSAGE,
};

/* Where the next bytes go, and how many; NULL when memory is out. Spans given out before end. */
char *link_stream_room(struct link_stream *stream, size_t *ret_room);
void link_stream_filled(struct link_stream *stream, size_t len);
/*
 * What comes next, an enum link_stream_next. -EPROTO when the greeting is another one, -EMSGSIZE
 * when a message would have more than WIRE_MESSAGE_MAX bytes; then nothing more can be read.
 */
int link_stream_next(struct link_stream *stream, struct span *ret_message);
/* Another connection begins. Spans given out stay valid until bytes are put in. */
void link_stream_clear(struct link_stream *stream);
void link_stream_deinit(struct link_stream *stream);
