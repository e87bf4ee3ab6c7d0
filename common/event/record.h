/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

#include <sys/uio.h>

/*
 * An event as it lies in a ring, little-endian, one machine:
 *
 *   0   u8  version      1  u8 type     2  u16 flags     4  u32 length of data
 *   8   u64 timestamp
 *   16  u8  lengths of run_id, thread_id, request_id, agent, message_id, tool_call_id
 *   22  u16 zero
 *   24  those strings in that order, then data
 *
 * Only `agent_started` carries thread, request and agent: the broker keeps them with the run and
 * puts them on each of its events. The user is the ring's.
 */
#define EVENT_RECORD_VERSION 1
#define EVENT_RECORD_HEADER_SIZE 24
#define EVENT_RECORD_PARTS 8

/* An encoded record as the parts to gather; `header` is what parts[0] points to. */
struct event_record {
    uint8_t header[EVENT_RECORD_HEADER_SIZE];
    struct iovec parts[EVENT_RECORD_PARTS];
    size_t size; /* of all the parts together */
};

/*
 * Fills `ret_record` with parts that point into `event`'s spans. -EINVAL when an identifier is
 * longer than IDENTIFIER_MAX or the type is none.
 */
int event_record_encode(struct event_record *ret_record, const struct event *event);
/*
 * Checks lengths, type, flags and identifiers; spans point into `record`. `seq` and `user_tag` are
 * left 0. The JSON of `data` is not looked at. -EBADMSG when anything is off.
 */
int event_record_decode(struct event *ret_event, struct span record);
