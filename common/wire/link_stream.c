/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/link_stream.h"

#include "wire/bundle.h"
#include "wire/message.h"

#include <errno.h>

#define ROOM_USUAL (64u << 10)
#define ROOM_MIN (4u << 10)

/* Bytes of the message that begins what is left, with its length; 0 while that is not there. */
static size_t announced(struct span left)
{
    size_t len = 0;
    if (left.len < BUNDLE_HEADER)
        return 0;
    for (unsigned i = 0; i < BUNDLE_HEADER; i++)
        len |= (size_t)(unsigned char)left.data[i] << (8 * i);
    return BUNDLE_HEADER + len;
}

static struct span left_of(const struct link_stream *stream)
{
    return span_of(stream->bytes.data + stream->at, stream->bytes.len - stream->at);
}

static void drop_what_was_taken(struct link_stream *stream)
{
    struct buffer *bytes = &stream->bytes;
    if (stream->at == bytes->len) {
        buffer_clear(bytes);
        if (bytes->cap > ROOM_USUAL) /* a large message has passed */
            buffer_deinit(bytes);
    } else {
        buffer_consume(bytes, stream->at);
    }
    stream->at = 0;
}

char *link_stream_room(struct link_stream *stream, size_t *ret_room)
{
    drop_what_was_taken(stream);
    struct buffer *bytes = &stream->bytes;
    size_t whole = stream->greeted ? announced(buffer_span(bytes)) : 0;
    size_t need = whole > bytes->len ? whole - bytes->len : 0;
    if (need < ROOM_MIN)
        need = ROOM_MIN;
    if (bytes->cap == 0 && need < ROOM_USUAL)
        need = ROOM_USUAL;
    char *room = buffer_reserve(bytes, need);
    if (room)
        *ret_room = bytes->cap - bytes->len;
    return room;
}

void link_stream_filled(struct link_stream *stream, size_t len)
{
    stream->bytes.len += len;
}

static int take_greeting(struct link_stream *stream, struct span left)
{
    size_t len = left.len < LINK_STREAM_GREETING_LEN ? left.len : (size_t)LINK_STREAM_GREETING_LEN;
    if (len && memcmp(left.data, LINK_STREAM_GREETING, len) != 0)
        return -EPROTO;
    if (len < LINK_STREAM_GREETING_LEN)
        return LINK_STREAM_MORE;
    stream->greeted = true;
    stream->at += len;
    return LINK_STREAM_GREETED;
}

int link_stream_next(struct link_stream *stream, struct span *ret_message)
{
    struct span left = left_of(stream);
    if (!stream->greeted)
        return take_greeting(stream, left);
    size_t whole = announced(left);
    if (whole > BUNDLE_HEADER + WIRE_MESSAGE_MAX)
        return -EMSGSIZE;
    if (!whole || whole > left.len)
        return LINK_STREAM_MORE;
    *ret_message = span_of(left.data + BUNDLE_HEADER, whole - BUNDLE_HEADER);
    stream->at += whole;
    return LINK_STREAM_MESSAGE;
}

void link_stream_clear(struct link_stream *stream)
{
    buffer_clear(&stream->bytes);
    stream->at = 0;
    stream->greeted = false;
}

void link_stream_deinit(struct link_stream *stream)
{
    buffer_deinit(&stream->bytes);
    stream->at = 0;
}
