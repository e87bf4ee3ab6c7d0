/* SPDX-License-Identifier: Apache-2.0 */
#include "event/record.h"

#include <errno.h>

enum {
    AT_VERSION = 0,
    AT_TYPE = 1,
    AT_FLAGS = 2,
    AT_DATA_LENGTH = 4,
    AT_TIMESTAMP = 8,
    AT_ID_LENGTHS = 16,
    IDS = 6,
};

int event_record_encode(struct event_record *ret_record, const struct event *event)
{
    const struct span ids[IDS] = {event->run_id, event->thread_id, event->request_id, event->agent,
        event->message_id, event->tool_call_id};
    if (event->type <= EVENT_NONE || event->type >= EVENT_TYPE_COUNT ||
        event->data.len > UINT32_MAX)
        return -EINVAL;
    uint8_t *header = ret_record->header;
    memset(header, 0, EVENT_RECORD_HEADER_SIZE);
    header[AT_VERSION] = EVENT_RECORD_VERSION;
    header[AT_TYPE] = (uint8_t)event->type;
    uint16_t flags = (uint16_t)event->flags;
    uint32_t data_length = (uint32_t)event->data.len;
    memcpy(header + AT_FLAGS, &flags, sizeof(flags));
    memcpy(header + AT_DATA_LENGTH, &data_length, sizeof(data_length));
    memcpy(header + AT_TIMESTAMP, &event->timestamp, sizeof(event->timestamp));
    ret_record->parts[0] = (struct iovec){header, EVENT_RECORD_HEADER_SIZE};
    ret_record->size = EVENT_RECORD_HEADER_SIZE + event->data.len;
    for (int i = 0; i < IDS; i++) {
        if (ids[i].len > IDENTIFIER_MAX)
            return -EINVAL;
        header[AT_ID_LENGTHS + i] = (uint8_t)ids[i].len;
        ret_record->parts[1 + i] = (struct iovec){(void *)(uintptr_t)ids[i].data, ids[i].len};
        ret_record->size += ids[i].len;
    }
    ret_record->parts[1 + IDS] =
        (struct iovec){(void *)(uintptr_t)event->data.data, event->data.len};
    return 0;
}

static int take_ids(struct event *event, const uint8_t *header, const char **at, size_t *left)
{
    struct span *const ids[IDS] = {&event->run_id, &event->thread_id, &event->request_id,
        &event->agent, &event->message_id, &event->tool_call_id};
    for (int i = 0; i < IDS; i++) {
        size_t len = header[AT_ID_LENGTHS + i];
        if (len > *left)
            return -EBADMSG;
        *ids[i] = span_of(*at, len);
        if (len > 0 && !identifier_valid(*ids[i]))
            return -EBADMSG;
        *at += len;
        *left -= len;
    }
    return 0;
}

int event_record_decode(struct event *ret_event, struct span record)
{
    uint8_t header[EVENT_RECORD_HEADER_SIZE];
    if (record.len < sizeof(header))
        return -EBADMSG;
    memcpy(header, record.data, sizeof(header));
    uint16_t flags;
    uint32_t data_length;
    memcpy(&flags, header + AT_FLAGS, sizeof(flags));
    memcpy(&data_length, header + AT_DATA_LENGTH, sizeof(data_length));
    if (header[AT_VERSION] != EVENT_RECORD_VERSION || header[AT_TYPE] == EVENT_NONE ||
        header[AT_TYPE] >= EVENT_TYPE_COUNT || (flags & ~EVENT_FLAGS_ALL))
        return -EBADMSG;
    struct event event = {.type = (enum event_type)header[AT_TYPE], .flags = flags};
    memcpy(&event.timestamp, header + AT_TIMESTAMP, sizeof(event.timestamp));
    const char *at = record.data + sizeof(header);
    size_t left = record.len - sizeof(header);
    int rc = take_ids(&event, header, &at, &left);
    if (rc || left != data_length || event.run_id.len == 0)
        return -EBADMSG;
    event.data = span_of(at, left);
    *ret_event = event;
    return 0;
}
