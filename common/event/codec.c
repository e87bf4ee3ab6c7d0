/* SPDX-License-Identifier: Apache-2.0 */
#include "event/codec.h"

#include "base/pack.h"

#include <errno.h>

static void pack_head(struct buffer *out, const struct event *event)
{
    pack_array(out, event->first_seq ? EVENT_CODEC_FIELDS_FOLDED : EVENT_CODEC_FIELDS);
    pack_uint(out, event->type);
    pack_uint(out, event->flags);
    pack_uint(out, event->seq);
    pack_uint(out, event->timestamp);
}

void event_encode_context(struct buffer *out, const struct event *event)
{
    pack_uint(out, event->user_tag);
    pack_str(out, event->thread_id);
    pack_str(out, event->run_id);
    pack_str(out, event->request_id);
    pack_str(out, event->agent);
}

static void pack_rest(struct buffer *out, const struct event *event)
{
    pack_str(out, event->message_id);
    pack_str(out, event->tool_call_id);
    pack_bin(out, event->data);
    if (event->first_seq)
        pack_uint(out, event->first_seq);
}

void event_encode(struct buffer *out, const struct event *event)
{
    pack_head(out, event);
    event_encode_context(out, event);
    pack_rest(out, event);
}

void event_encode_within(struct buffer *out, const struct event *event, struct span context)
{
    pack_head(out, event);
    buffer_append(out, context.data, context.len);
    pack_rest(out, event);
}

static bool read_id(struct pack_reader *reader, struct span *ret_id)
{
    return pack_read_str(reader, ret_id) && ret_id->len <= IDENTIFIER_MAX;
}

static bool read_first_seq(struct pack_reader *reader, struct event *event)
{
    return pack_read_uint(reader, &event->first_seq) && event->first_seq > 0 &&
           event->first_seq < event->seq;
}

static bool read_event(struct pack_reader *reader, struct event *event)
{
    uint32_t count;
    uint64_t type;
    uint64_t flags;
    if (!pack_read_array(reader, &count) ||
        (count != EVENT_CODEC_FIELDS && count != EVENT_CODEC_FIELDS_FOLDED) ||
        !pack_read_uint(reader, &type) || type == EVENT_NONE || type >= EVENT_TYPE_COUNT ||
        !pack_read_uint(reader, &flags) || (flags & ~(uint64_t)EVENT_FLAGS_ALL))
        return false;
    event->type = (enum event_type)type;
    event->flags = (uint32_t)flags;
    return pack_read_uint(reader, &event->seq) && pack_read_uint(reader, &event->timestamp) &&
           pack_read_uint(reader, &event->user_tag) && read_id(reader, &event->thread_id) &&
           read_id(reader, &event->run_id) && read_id(reader, &event->request_id) &&
           read_id(reader, &event->agent) && read_id(reader, &event->message_id) &&
           read_id(reader, &event->tool_call_id) && pack_read_bin(reader, &event->data) &&
           (count == EVENT_CODEC_FIELDS || read_first_seq(reader, event));
}

int event_decode_next(struct event *ret_event, struct span bytes, size_t *offset)
{
    if (*offset >= bytes.len)
        return 0;
    struct pack_reader reader = pack_reader_of(span_of(bytes.data + *offset, bytes.len - *offset));
    struct event event = {0};
    if (!read_event(&reader, &event))
        return -EBADMSG;
    *offset = (size_t)((const char *)reader.at - bytes.data);
    *ret_event = event;
    return 1;
}
