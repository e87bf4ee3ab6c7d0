/* SPDX-License-Identifier: Apache-2.0 */
#include "history/section.h"

#include "history/bytes.h"
#include "history/fold.h"

#include <errno.h>

void section_begin(struct section_cursor *ret_cursor, const struct batch *batch,
    const struct batch_section *section)
{
    *ret_cursor = (struct section_cursor){
        .section = *section,
        .bytes = batch->bytes.data + section->offset,
        .at = section->table_size,
        .next_seq = section->first_seq,
    };
}

/* What the table says of the event. */
static int read_entry(const struct section_cursor *cursor, struct section_event *event)
{
    const struct batch_section *section = &cursor->section;
    uint32_t width = section->table_size / section->count;
    const char *entry = cursor->bytes + (size_t)cursor->index * width;
    uint32_t len = get_u32(entry);
    if (len > section->size - cursor->at)
        return -EBADMSG;
    *event = (struct section_event){
        .bytes = {cursor->bytes + cursor->at, len},
        .check = get_u32(entry + 4),
        .numbers = width == BATCH_FOLDED_SIZE ? get_u32(entry + 8) : 1,
        .cuts_size = width == BATCH_FOLDED_SIZE ? get_u32(entry + 12) : 0,
        .first_seq = cursor->next_seq,
    };
    if (event->numbers == 0 || event->cuts_size > len ||
        event->numbers - 1 > section->last_seq - event->first_seq)
        return -EBADMSG;
    event->last_seq = event->first_seq + event->numbers - 1;
    return 0;
}

/* The last event ends where the section does, in bytes and in numbers. */
int section_next(struct section_cursor *cursor, struct section_event *ret_event)
{
    const struct batch_section *section = &cursor->section;
    if (cursor->index == section->count)
        return cursor->at == section->size && cursor->next_seq == section->last_seq + 1 ? 0
                                                                                        : -EBADMSG;
    if (cursor->next_seq > section->last_seq || read_entry(cursor, ret_event))
        return -EBADMSG;
    cursor->index++;
    cursor->at += (uint32_t)ret_event->bytes.len;
    cursor->next_seq = ret_event->last_seq + 1;
    return 1;
}

bool section_event_intact(const struct section_event *event)
{
    return batch_event_check(event->bytes, event->numbers) == event->check;
}

static int append_event(struct buffer *out, const struct section_event *event, uint64_t after)
{
    struct span bytes = {event->bytes.data, event->bytes.len - event->cuts_size};
    if (after < event->first_seq) {
        buffer_append_span(out, bytes);
        return 0;
    }
    struct span cuts = {bytes.data + bytes.len, event->cuts_size};
    return fold_append_rest(out, bytes, cuts, after + 1);
}

int section_read(struct buffer *out, const struct batch *batch, const struct batch_section *section,
    struct section_read *read)
{
    struct section_cursor cursor;
    struct section_event event;
    size_t start = out->len;
    int count = 0;
    int rc;
    section_begin(&cursor, batch, section);
    while ((rc = section_next(&cursor, &event)) == 1) {
        if (event.last_seq <= read->after)
            continue;
        if (out->len - start + event.bytes.len - event.cuts_size > read->max_bytes &&
            !(read->at_least_one && count == 0))
            break;
        if (!section_event_intact(&event) || append_event(out, &event, read->after)) {
            read->damaged = event.last_seq;
            return -EBADMSG;
        }
        read->last = event.last_seq;
        count++;
    }
    if (rc < 0 && read->last < section->last_seq) {
        read->damaged = section->last_seq;
        return rc;
    }
    return count;
}
