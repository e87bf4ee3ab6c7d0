/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

/*
 * An event between processes and in history: one flat MessagePack array
 *
 *   [type, flags, seq, timestamp, user_tag, thread_id, run_id, request_id, agent,
 *    message_id, tool_call_id, data]
 *
 * with integers, strings (empty: absent) and `data` as binary. A folded event, which stands for
 * several, has one field more, `first_seq`, an integer from 1 to below `seq`. It is encoded once,
 * when it gets its number; the same bytes are kept, replayed and sent, and several simply stand one
 * behind the other.
 */
#define EVENT_CODEC_FIELDS 12
#define EVENT_CODEC_FIELDS_FOLDED 13

/* Appends the encoding to `out` (errors are the buffer's). */
void event_encode(struct buffer *out, const struct event *event);
/* The fields from `user_tag` to `agent`, which are the same for all events of a run. */
void event_encode_context(struct buffer *out, const struct event *event);
/* The same bytes as event_encode's of an event with these fields; its own are not looked at. */
void event_encode_within(struct buffer *out, const struct event *event, struct span context);
/*
 * Decodes the event at *offset of `bytes` and moves *offset behind it; spans point into `bytes`.
 * 1 with an event, 0 at the end, -EBADMSG when the bytes are not an event.
 */
int event_decode_next(struct event *ret_event, struct span bytes, size_t *offset);
