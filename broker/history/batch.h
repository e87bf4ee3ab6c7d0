/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "history/history.h"

/*
 * The bytes of one group commit. Pure: no store, no clock. Little-endian:
 *
 *   header      64 bytes
 *   directory   32 bytes a section; a section is one stream's events in this batch
 *   positions   32 bytes a ring that was drained
 *   names       the streams' user identifiers, one behind the other
 *   sections    each: a table with an entry for each event, then the events (section.h)
 *
 * What stands before the sections is the *front*. It has one checksum, so that opening a store
 * needs to look at fronts only; an event's own checksum is looked at when it is read. Numbers of
 * one section follow each other without holes. A section has fewer events than numbers when some
 * of its events are folded and stand for several numbers.
 */
#define BATCH_VERSION 2
#define BATCH_HEADER_SIZE 64
#define BATCH_SECTION_SIZE 32
#define BATCH_POSITION_SIZE 32
#define BATCH_EVENT_SIZE 8   /* of a table's entry */
#define BATCH_FOLDED_SIZE 16 /* the same, in a section with folded events */
/* Limits of one batch; an index entry has 20 bits for the section. */
#define BATCH_SECTIONS_MAX (1u << 20)
#define BATCH_BYTES_MAX (256u << 20)

/* ---- writing */

struct batch_source { /* a section to be written */
    struct span user_id;
    uint64_t first_seq;
    uint32_t count;
    uint32_t folded;   /* numbers without an event of their own */
    uint32_t bytes;    /* of its events */
    uint32_t table_at; /* batch_write's own */
    uint32_t data_at;  /* batch_write's own */
};

struct batch_entry { /* an event, in order of arrival */
    uint32_t section;
    uint32_t len;
    uint32_t check;
};

struct batch_copy { /* an event that another batch had, with its checksum */
    struct span bytes;
    uint32_t section;
    uint32_t check;
    uint32_t numbers;
    uint32_t cuts_size; /* of the cuts, the end of `bytes` */
};

struct batch_input {
    uint64_t number;
    uint64_t first; /* number of the oldest batch that this one was made of, or its own */
    uint64_t time_ms;
    struct batch_source *sections;
    const struct batch_entry *events; /* with `data`; or NULL, and the events are `copies` */
    const struct batch_copy *copies;
    const struct history_position *positions;
    const char *data; /* the events' bytes, in order of arrival */
    uint32_t section_count;
    uint32_t event_count;
    uint32_t wide_count; /* of the events in sections with folded ones */
    uint32_t position_count;
    uint32_t names_size; /* of all user identifiers */
    uint32_t data_size;  /* of all events */
};

/* How many bytes batch_write fills. */
uint64_t batch_size(const struct batch_input *input);
void batch_write(char *to, const struct batch_input *input);
/* The checksum of an event that stands for so many numbers. */
uint32_t batch_event_check(struct span bytes, uint32_t numbers);

/* ---- reading: nothing is trusted; -EBADMSG when anything is off */

struct batch {
    struct span bytes; /* borrowed */
    uint64_t number;
    uint64_t first;
    uint64_t time_ms;
    uint32_t sections;
    uint32_t positions;
    uint32_t events;
    uint32_t names_size;
    uint32_t front_size;
};

struct batch_section {
    struct span user_id;
    uint64_t first_seq;
    uint64_t last_seq;
    uint32_t count; /* of events */
    uint32_t offset;
    uint32_t size;
    uint32_t table_size;
};

/* Checks header and bounds: enough for a batch whose front was checked when the store was opened,
 * or which this process wrote. */
int batch_open(struct batch *ret_batch, struct span bytes);
/* Checks the front's checksum. */
int batch_check_front(const struct batch *batch);
int batch_section_at(
    struct batch_section *ret_section, const struct batch *batch, uint32_t section);
/* `position` < batch->positions. */
void batch_position_at(
    struct history_position *ret_position, const struct batch *batch, uint32_t position);

/* Of the section's events alone. */
static inline uint32_t batch_section_bytes(const struct batch_section *section)
{
    return section->size - section->table_size;
}
