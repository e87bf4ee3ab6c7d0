/* SPDX-License-Identifier: Apache-2.0 */
#include "history/trim.h"

#include <errno.h>

/*
 * A stream that passed its limit by a sixteenth is trimmed back to it, so that a stream that stays
 * at its limit costs a row in the store now and then, and not with each event.
 *
 * The floor is raised in the stream's row. What lies below is dead from then on: it goes when its
 * batch is rewritten, and until then its bytes are counted as dead.
 */
#define FLOORS_STREAMS 256
#define FLOORS_SECTIONS 4096
#define FLOORS_LOOKS 4096

struct burial { /* what of a batch died */
    uint64_t batch;
    uint32_t bytes;
    bool whole; /* the stream has nothing more in it */
};

struct raise {
    struct history_stream *stream;
    uint64_t floor;
    uint64_t bytes; /* that died */
    uint64_t events;
    uint32_t cut_bytes;
    uint32_t cut_events;
    uint32_t pops; /* of the index */
    uint64_t pin;
    bool stays; /* in the queue */
};

struct raising {
    struct history *history;
    struct buffer raises;  /* struct raise */
    struct buffer burials; /* struct burial */
    uint32_t sections;     /* looked at */
    bool more;
    struct history_stream *failed; /* whose batches could not be read */
};

static uint64_t excess(uint64_t count, uint64_t limit)
{
    return limit && count > limit ? count - limit : 0;
}

static bool is_carried(const struct history *history, const struct history_stream *stream)
{
    const struct index_entry *front = index_front(&stream->index);
    return front && index_batch(front) <= history->batches.horizon;
}

static bool is_over(const struct history *history, const struct history_stream *stream)
{
    uint64_t events = history->max_events_per_user;
    uint64_t bytes = history->max_bytes_per_user;
    return excess(stream->events, events) > events / 16 ||
           excess(stream->bytes, bytes) > bytes / 16 || is_carried(history, stream);
}

void floors_feed(struct history *history, struct history_stream *stream)
{
    if (is_over(history, stream) && stream->pin > stream->floor && list_empty(&stream->over_link))
        list_append(&history->over, &stream->over_link);
}

void history_pin(struct history *history, struct history_stream *stream, uint64_t first_seq)
{
    uint64_t pin = first_seq ? first_seq : UINT64_MAX;
    if (history->commits > stream->pinned_at)
        stream->former_pin = stream->pin;
    else if (stream->pin < stream->former_pin)
        stream->former_pin = stream->pin;
    stream->pinned_at = history->commits;
    bool rises = pin > stream->pin;
    stream->pin = pin;
    if (rises && list_empty(&stream->over_link))
        list_append(&history->over, &stream->over_link);
}

/* ---- what one stream gives up */

static void bury(struct raising *raising, struct raise *raise, const struct index_entry *entry,
    uint32_t bytes, bool whole)
{
    struct burial burial = {index_batch(entry), bytes, whole};
    buffer_append(&raising->burials, &burial, sizeof(burial));
    raise->pops += whole;
}

/* Where the stream goes on: a damaged batch may have left a hole behind the section. */
static uint64_t first_behind(const struct history_stream *stream, const struct index_entry *entry)
{
    const struct index *index = &stream->index;
    const struct index_entry *next = entry + 1;
    return next < index->entries + index->end ? next->first_seq : stream->committed_head + 1;
}

static void drop_section(struct raising *raising, struct raise *raise,
    const struct index_entry *entry, const struct batch_section *section)
{
    raise->bytes += batch_section_bytes(section) - raise->cut_bytes;
    raise->events += section->count - raise->cut_events;
    raise->floor = first_behind(raise->stream, entry);
    bury(raising, raise, entry, section->size - raise->cut_bytes, true);
    raise->cut_bytes = 0;
    raise->cut_events = 0;
}

/* What is over, with what was given up so far. */
static uint64_t events_over(const struct raising *raising, const struct raise *raise)
{
    return excess(raise->stream->events - raise->events, raising->history->max_events_per_user);
}

static uint64_t bytes_over(const struct raising *raising, const struct raise *raise)
{
    return excess(raise->stream->bytes - raise->bytes, raising->history->max_bytes_per_user);
}

static bool to_be_cut(const struct raising *raising, const struct raise *raise,
    const struct section_event *event, bool carried)
{
    return event->last_seq < raise->pin &&
           (carried || events_over(raising, raise) || bytes_over(raising, raise));
}

/* Event by event, until the stream is within its limits or the pin is reached. The limit of bytes
 * may yet take them all: then 1. */
static int cut_section(struct raising *raising, struct raise *raise,
    const struct index_entry *entry, const struct batch *batch, const struct batch_section *section)
{
    struct section_cursor cursor;
    struct section_event event;
    struct raise cut = *raise;
    bool carried = index_batch(entry) <= raising->history->batches.horizon;
    int rc;
    section_begin(&cursor, batch, section);
    while ((rc = section_next(&cursor, &event)) == 1) {
        if (event.last_seq < cut.floor)
            continue;
        if (!to_be_cut(raising, &cut, &event, carried))
            break;
        cut.floor = event.last_seq + 1;
        cut.cut_bytes += (uint32_t)event.bytes.len;
        cut.cut_events++;
        cut.bytes += event.bytes.len;
        cut.events++;
    }
    if (rc == -EBADMSG)
        return -EIO;
    if (rc == 0) {
        drop_section(raising, raise, entry, section);
        return 1;
    }
    if (cut.cut_bytes > raise->cut_bytes)
        bury(raising, &cut, entry, cut.cut_bytes - raise->cut_bytes, false);
    *raise = cut;
    return 0;
}

/* 1 to go on with the next section, 0 when this is all, -errno. */
static int raise_over(struct raising *raising, struct raise *raise, const struct index_entry *entry)
{
    struct batch batch;
    struct batch_section section;
    bool carried = index_batch(entry) <= raising->history->batches.horizon;
    uint64_t events = events_over(raising, raise);
    uint64_t bytes = bytes_over(raising, raise);
    if (!carried && events == 0 && bytes == 0)
        return 0;
    int rc = history_find_section(&section, &batch, raising->history->store, entry);
    if (rc)
        return rc;
    raising->sections++;
    bool all = carried || events >= section.count - raise->cut_events ||
               bytes >= batch_section_bytes(&section) - raise->cut_bytes;
    if (!all || section.last_seq >= raise->pin)
        return cut_section(raising, raise, entry, &batch, &section);
    drop_section(raising, raise, entry, &section);
    return 1;
}

static int save_raise(const struct raising *raising, const struct raise *raise)
{
    struct stream_row row = streams_row(raise->stream);
    row.floor = raise->floor;
    row.cut_bytes = raise->cut_bytes;
    row.cut_events = raise->cut_events;
    return streams_save(raising->history->store, &row);
}

static int raise_stream(struct raising *raising, struct history_stream *stream)
{
    const struct index *index = &stream->index;
    struct raise raise = {.stream = stream,
        .floor = stream->floor,
        .cut_bytes = stream->cut_bytes,
        .cut_events = stream->cut_events,
        .pin = stream_pin(stream, raising->history->commits),
        .stays = raising->history->commits <= stream->pinned_at};
    int rc = is_over(raising->history, stream);
    for (uint32_t slot = index->start; rc == 1 && slot < index->end && raise.pin > raise.floor;
         slot++) {
        if (raising->sections >= FLOORS_SECTIONS) {
            raising->more = raise.stays = true;
            break;
        }
        rc = raise_over(raising, &raise, &index->entries[slot]);
    }
    if (rc >= 0 && raise.floor > stream->floor)
        rc = save_raise(raising, &raise);
    buffer_append(&raising->raises, &raise, sizeof(raise));
    if (rc < 0)
        return rc;
    return raising->raises.broken || raising->burials.broken ? -ENOMEM : 0;
}

static int raise_work(struct store *store, void *context)
{
    (void)store;
    struct raising *raising = context;
    unsigned count = 0;
    buffer_clear(&raising->raises);
    buffer_clear(&raising->burials);
    raising->sections = 0;
    raising->more = false;
    raising->failed = NULL;
    LIST_FOR_EACH(struct history_stream, stream, &raising->history->over, over_link)
    {
        if (count++ >= FLOORS_STREAMS || raising->sections >= FLOORS_SECTIONS) {
            raising->more = true;
            break;
        }
        int rc = raise_stream(raising, stream);
        if (rc) {
            raising->failed = stream;
            return rc;
        }
    }
    return 0;
}

/* ---- memory */

static void apply_burial(struct history *history, const struct burial *burial)
{
    struct retained_batch *batch = batches_find(&history->batches, burial->batch);
    batch->sections -= burial->whole;
    if (batches_bury(&history->batches, batch, burial->bytes))
        trim_queue_wasteful(history, batch);
}

static void apply_raise(struct history *history, const struct raise *raise)
{
    struct history_stream *stream = raise->stream;
    history->events -= raise->events;
    history->numbers -= raise->floor - stream->floor;
    stream->events -= raise->events;
    stream->bytes -= raise->bytes;
    stream->floor = raise->floor;
    stream->cut_bytes = raise->cut_bytes;
    stream->cut_events = raise->cut_events;
    for (uint32_t i = 0; i < raise->pops; i++)
        index_pop_front(&stream->index);
    list_remove(&stream->over_link);
    if (raise->stays)
        list_append(&history->over, &stream->over_link);
}

static void apply(const struct raising *raising)
{
    const struct burial *burials = (const void *)raising->burials.data;
    for (size_t i = 0; i < raising->burials.len / sizeof(*burials); i++)
        apply_burial(raising->history, &burials[i]);
    const struct raise *raises = (const void *)raising->raises.data;
    for (size_t i = 0; i < raising->raises.len / sizeof(*raises); i++)
        apply_raise(raising->history, &raises[i]);
}

/* Most runs end in streams that have nothing to give up: these cost no transaction. */
static void forget_idle(struct history *history)
{
    unsigned looks = 0;
    LIST_FOR_EACH(struct history_stream, stream, &history->over, over_link)
    {
        if (looks++ == FLOORS_LOOKS)
            return;
        if (!is_over(history, stream) && history->commits > stream->pinned_at)
            list_remove(&stream->over_link);
    }
}

int floors_raise(struct history *history)
{
    struct raising raising = {.history = history};
    forget_idle(history);
    if (list_empty(&history->over))
        return 0;
    int rc = store_write(history->store, raise_work, &raising);
    if (rc == 0)
        apply(&raising);
    else if (rc == -EIO && raising.failed)
        list_remove(&raising.failed->over_link); /* the others must not wait for it */
    buffer_deinit(&raising.raises);
    buffer_deinit(&raising.burials);
    return rc ? rc : raising.more;
}
