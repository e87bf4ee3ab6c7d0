/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/batch.h"

/*
 * The events of one section of a batch, in order. Pure. An entry of the section's table:
 *
 *   0 u32 bytes  4 u32 checksum
 *   8 u32 numbers the event stands for  12 u32 of its bytes, the cuts     in a section with
 *                                                                         folded events only
 *
 * An event is what event/codec.h writes; to a folded one its *cuts* are appended (fold.h), which
 * are the history's own and are never handed out. The checksum is of both.
 */
struct section_event {
    struct span bytes;  /* the event and its cuts */
    uint32_t cuts_size; /* the cuts, at the end of `bytes` */
    uint32_t numbers;
    uint32_t check;
    uint64_t first_seq;
    uint64_t last_seq;
};

struct section_cursor {
    struct batch_section section;
    const char *bytes; /* of the section */
    uint32_t index;
    uint32_t at;
    uint64_t next_seq;
};

void section_begin(struct section_cursor *ret_cursor, const struct batch *batch,
    const struct batch_section *section);
/* 1 with an event whose checksum was not looked at, 0 at the end, -EBADMSG. */
int section_next(struct section_cursor *cursor, struct section_event *ret_event);
bool section_event_intact(const struct section_event *event);

/*
 * Appends the section's events with numbers above `after` to `out`, as many as keep what is
 * appended within `max_bytes`, but one at least when asked. Returns how many, and sets `last` when
 * there were any. Of a folded event that `after` lies in, the rest is appended. Growth failing is
 * the buffer's error. -EBADMSG when the next event is damaged: `damaged` is the last
 * number that is gone with it; what came before it was appended, and counts.
 */
struct section_read {
    uint64_t after;
    size_t max_bytes;
    bool at_least_one;
    uint64_t last;
    uint64_t damaged;
};
int section_read(struct buffer *out, const struct batch *batch, const struct batch_section *section,
    struct section_read *read);
