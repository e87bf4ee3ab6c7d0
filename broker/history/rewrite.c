/* SPDX-License-Identifier: Apache-2.0 */
#include "history/rewrite.h"

#include "base/cleanup.h"
#include "history/bytes.h"

#include <assert.h>
#include <errno.h>

/* What becomes of a stream's section; applied in the order of the batches. */
struct section_move {
    struct history_stream *stream;
    uint64_t first_seq; /* which section: as the index has it */
    uint64_t floor;     /* of the stream, from now on at least */
    bool gone;
    bool joins; /* goes behind the stream's section of the batch before */
    struct index_entry entry;
    uint32_t dropped_bytes;
    uint32_t dropped_events;
};

struct ring_move { /* its position is told by that batch now */
    uint64_t ring;
    uint64_t batch;
};

struct batch_result {
    uint64_t first;            /* of the order */
    struct retained_batch now; /* size 0: nothing was left */
};

void rewrite_init(struct rewriting *ret_rewriting, struct history *history)
{
    *ret_rewriting = (struct rewriting){.history = history};
}

void rewrite_deinit(struct rewriting *rewriting)
{
    buffer_deinit(&rewriting->moves);
    buffer_deinit(&rewriting->results);
    buffer_deinit(&rewriting->rings);
    buffer_deinit(&rewriting->changes);
    rewrite_fold_forget(rewriting);
    buffer_deinit(&rewriting->folds);
    buffer_deinit(&rewriting->blobs);
    buffer_deinit(&rewriting->copies);
    buffer_deinit(&rewriting->sources);
    buffer_deinit(&rewriting->streams);
    buffer_deinit(&rewriting->positions);
    buffer_deinit(&rewriting->position_batches);
    buffer_deinit(&rewriting->bytes);
}

void rewrite_reset(struct rewriting *rewriting)
{
    buffer_clear(&rewriting->moves);
    buffer_clear(&rewriting->results);
    buffer_clear(&rewriting->rings);
    buffer_clear(&rewriting->changes);
    rewriting->folded = 0;
    rewriting->serial = ++rewriting->history->last_rewriting;
    rewriting->move_count = 0;
    rewriting->copied = 0;
    rewriting->removed = 0;
}

static void begin_order(struct rewriting *rewriting)
{
    buffer_clear(&rewriting->copies);
    buffer_clear(&rewriting->sources);
    buffer_clear(&rewriting->streams);
    buffer_clear(&rewriting->positions);
    buffer_clear(&rewriting->position_batches);
    buffer_clear(&rewriting->bytes);
    rewrite_fold_forget(rewriting);
    rewriting->first = UINT64_MAX;
}

/* ---- what the old batches have */

static uint32_t source_count(const struct rewriting *rewriting)
{
    return (uint32_t)(rewriting->sources.len / sizeof(struct batch_source));
}

static struct batch_source *source_at(const struct rewriting *rewriting, uint32_t index)
{
    return (struct batch_source *)(void *)rewriting->sources.data + index;
}

static bool has_source(const struct rewriting *rewriting, const struct history_stream *stream)
{
    const struct history_stream *const *streams = (const void *)rewriting->streams.data;
    uint32_t index = stream->rewrite_section;
    return index < source_count(rewriting) && streams[index] == stream;
}

static int add_source(
    struct rewriting *rewriting, struct history_stream *stream, uint64_t first_seq)
{
    struct batch_source source = {.user_id = stream_user(stream), .first_seq = first_seq};
    if (source_count(rewriting) == BATCH_SECTIONS_MAX)
        return -ENOBUFS;
    stream->rewrite_section = source_count(rewriting);
    buffer_append(&rewriting->sources, &source, sizeof(source));
    buffer_append(&rewriting->streams, &stream, sizeof(void *));
    return rewriting->sources.broken || rewriting->streams.broken ? -ENOMEM : 0;
}

int rewrite_put(struct rewriting *rewriting, uint32_t section, const struct section_event *event)
{
    struct batch_copy copy = {
        .bytes = event->bytes,
        .section = section,
        .check = event->check,
        .numbers = event->numbers,
        .cuts_size = event->cuts_size,
    };
    struct batch_source *source = source_at(rewriting, section);
    /* A section has no holes, as damaged batches leave them between others. */
    if (event->bytes.len > UINT32_MAX - source->bytes ||
        event->first_seq != source->first_seq + source->count + source->folded)
        return -ENOBUFS;
    source->count++;
    source->folded += event->numbers - 1;
    source->bytes += (uint32_t)event->bytes.len;
    buffer_append(&rewriting->copies, &copy, sizeof(copy));
    return buffer_error(&rewriting->copies);
}

static int copy_event(struct rewriting *rewriting, const struct rewrite_order *order,
    struct history_stream *stream, const struct section_event *event)
{
    int rc = has_source(rewriting, stream) ? 0 : add_source(rewriting, stream, event->first_seq);
    if (rc)
        return rc;
    if (!order->fold_below)
        return rewrite_put(rewriting, stream->rewrite_section, event);
    bool may_fold = event->last_seq < order->fold_below(order->context, stream);
    return rewrite_fold(rewriting, stream->rewrite_section, event, may_fold);
}

/* The events that have a number from `move->floor` on are copied. */
static int copy_section(struct rewriting *rewriting, const struct rewrite_order *order,
    const struct section_cursor *begin, struct section_move *move)
{
    struct section_cursor cursor = *begin;
    struct section_event event;
    int rc;
    move->joins = has_source(rewriting, move->stream);
    while ((rc = section_next(&cursor, &event)) == 1) {
        if (event.last_seq < move->floor) {
            move->dropped_bytes += (uint32_t)event.bytes.len;
            move->dropped_events++;
            continue;
        }
        rc = copy_event(rewriting, order, move->stream, &event);
        if (rc)
            return rc;
    }
    return rc == -EBADMSG ? -EIO : rc;
}

/* Where the stream's floor is after the orders before. */
static uint64_t floor_before(const struct rewriting *rewriting, const struct history_stream *stream)
{
    return stream->planned_by == rewriting->serial ? stream->planned_floor : stream->floor;
}

/* Where the stream goes on behind the section: there may be a hole in between. */
static uint64_t first_behind(
    const struct history_stream *stream, const struct batch_section *section)
{
    uint32_t slot = index_find(&stream->index, section->first_seq) + 1;
    return slot < stream->index.end ? stream->index.entries[slot].first_seq
                                    : stream->committed_head + 1;
}

static uint64_t plan_floor(const struct rewriting *rewriting, const struct rewrite_order *order,
    struct history_stream *stream, const struct batch_section *section)
{
    uint64_t floor = floor_before(rewriting, stream);
    if (section->first_seq > floor)
        return floor; /* older ones live */
    uint64_t from = order->keep_from ? order->keep_from(order->context, stream, section) : 0;
    if (from > section->last_seq)
        from = first_behind(stream, section);
    stream->planned_by = rewriting->serial;
    stream->planned_floor = from > floor ? from : floor;
    return stream->planned_floor;
}

static int take_section(struct rewriting *rewriting, const struct rewrite_order *order,
    const struct batch *batch, uint32_t index)
{
    struct batch_section section;
    if (batch_section_at(&section, batch, index))
        return -EIO;
    struct history_stream *stream = streams_find(&rewriting->history->streams, section.user_id);
    if (!stream)
        return -EIO;
    if (section.last_seq < stream->floor)
        return 0; /* dead, and not in the index */
    struct section_move move = {.stream = stream, .first_seq = section.first_seq};
    move.floor = plan_floor(rewriting, order, stream, &section);
    move.gone = move.floor > section.last_seq;
    if (move.gone) {
        move.dropped_bytes = batch_section_bytes(&section);
        move.dropped_events = section.count;
    } else {
        struct section_cursor cursor;
        section_begin(&cursor, batch, &section);
        int rc = copy_section(rewriting, order, &cursor, &move);
        if (rc)
            return rc;
        move.entry = (struct index_entry){
            source_at(rewriting, stream->rewrite_section)->first_seq,
            index_place(order->last, stream->rewrite_section),
        };
    }
    rewriting->move_count++;
    buffer_append(&rewriting->moves, &move, sizeof(move));
    return buffer_error(&rewriting->moves);
}

static int take_positions(struct rewriting *rewriting, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->positions; i++) {
        struct history_position position;
        batch_position_at(&position, batch, i);
        if (!positions_known_by(&rewriting->history->positions, &position, batch->number))
            continue;
        buffer_append(&rewriting->positions, &position, sizeof(position));
        buffer_append(&rewriting->position_batches, &batch->number, sizeof(batch->number));
    }
    return rewriting->positions.broken || rewriting->position_batches.broken ? -ENOMEM : 0;
}

static int take_batch(struct rewriting *rewriting, const struct rewrite_order *order,
    const struct retained_batch *retained)
{
    struct span bytes;
    struct batch batch;
    int rc = store_get(
        rewriting->history->store, STORE_BATCHES, store_number_key(&retained->number), &bytes);
    if (rc)
        return rc == -ENOENT ? -EIO : rc;
    if (batch_open(&batch, bytes) || batch.number != retained->number)
        return -EIO;
    rewriting->time_ms = batch.time_ms;
    if (batch.first < rewriting->first)
        rewriting->first = batch.first;
    rewriting->removed += bytes.len;
    for (uint32_t i = 0; rc == 0 && i < batch.sections; i++)
        rc = take_section(rewriting, order, &batch, i);
    return rc ? rc : take_positions(rewriting, &batch);
}

static int take_batches(struct rewriting *rewriting, const struct rewrite_order *order)
{
    const struct batches *batches = &rewriting->history->batches;
    for (const struct retained_batch *each = batches_at_least(batches, order->first);
         each && each->number <= order->last; each = batches_at_least(batches, each->number + 1)) {
        int rc = take_batch(rewriting, order, each);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- the new one */

static void describe(const struct rewriting *rewriting, struct batch_input *ret_input)
{
    *ret_input = (struct batch_input){
        .first = rewriting->first,
        .time_ms = rewriting->time_ms,
        .sections = source_at(rewriting, 0),
        .section_count = source_count(rewriting),
        .copies = (const void *)rewriting->copies.data,
        .event_count = (uint32_t)(rewriting->copies.len / sizeof(struct batch_copy)),
        .positions = (const void *)rewriting->positions.data,
        .position_count = (uint32_t)(rewriting->positions.len / sizeof(struct history_position)),
    };
    uint64_t data_size = 0;
    for (uint32_t i = 0; i < ret_input->section_count; i++) {
        const struct batch_source *source = &ret_input->sections[i];
        ret_input->names_size += (uint32_t)source->user_id.len;
        ret_input->wide_count += source->folded ? source->count : 0;
        data_size += source->bytes;
    }
    ret_input->data_size = data_size < UINT32_MAX ? (uint32_t)data_size : UINT32_MAX;
}

/* In memory first: what it is copied from moves as soon as the store is written to. */
static int compose(struct rewriting *rewriting, const struct rewrite_order *order)
{
    struct batch_input input;
    describe(rewriting, &input);
    input.number = order->last;
    uint64_t size = batch_size(&input);
    if (input.section_count == 0)
        return 0;
    if (size > BATCH_BYTES_MAX || (order->max_bytes && size > order->max_bytes))
        return -ENOBUFS;
    char *to = buffer_reserve(&rewriting->bytes, size);
    if (!to)
        return -ENOMEM;
    batch_write(to, &input);
    rewriting->bytes.len = size;
    return 0;
}

static int delete_old(const struct rewriting *rewriting, const struct rewrite_order *order)
{
    const struct batches *batches = &rewriting->history->batches;
    for (const struct retained_batch *each = batches_at_least(batches, order->first);
         each && each->number <= order->last; each = batches_at_least(batches, each->number + 1)) {
        int rc =
            store_delete(rewriting->history->store, STORE_BATCHES, store_number_key(&each->number));
        if (rc)
            return rc;
    }
    return 0;
}

/* A batch that leaves takes with it the numbers of batches, and positions, that it alone told. */
static int save_what_is_lost(const struct rewriting *rewriting)
{
    struct history *history = rewriting->history;
    const struct history_position *positions = (const void *)rewriting->positions.data;
    const uint64_t *batches = (const void *)rewriting->position_batches.data;
    char last[sizeof(uint64_t)];
    put_u64(last, history->next_batch - 1);
    int rc = store_put(history->store, STORE_META, META_LAST_BATCH, span_of(last, sizeof(last)));
    for (size_t i = 0; rc == 0 && i < rewriting->positions.len / sizeof(*positions); i++)
        rc = positions_save(&history->positions, history->store, &positions[i], batches[i]);
    return rc;
}

/* A floor is told by the first number of the stream's oldest section, unless there is none any
 * more, or the floor lies within its first event. */
static int save_floor(const struct rewriting *rewriting, const struct section_move *move)
{
    struct history_stream *stream = move->stream;
    bool emptied = move->gone && move->floor == stream->committed_head + 1;
    bool within = !move->gone && !move->joins && move->entry.first_seq < move->floor;
    if (!emptied && !within)
        return 0;
    struct stream_row row = streams_row(stream);
    row.floor = move->floor;
    row.cut_bytes = 0;
    row.cut_events = 0;
    return streams_save(rewriting->history->store, &row);
}

static int note_rings(struct rewriting *rewriting, uint64_t batch)
{
    const struct history_position *positions = (const void *)rewriting->positions.data;
    for (size_t i = 0; i < rewriting->positions.len / sizeof(*positions); i++) {
        struct ring_move move = {positions[i].ring, batch};
        buffer_append(&rewriting->rings, &move, sizeof(move));
    }
    return buffer_error(&rewriting->rings);
}

static int write_result(
    struct rewriting *rewriting, const struct rewrite_order *order, size_t moves_start)
{
    int rc = delete_old(rewriting, order);
    if (rc)
        return rc;
    if (rewriting->bytes.len == 0)
        rc = save_what_is_lost(rewriting);
    else
        rc = store_put(rewriting->history->store, STORE_BATCHES, store_number_key(&order->last),
            buffer_span(&rewriting->bytes));
    if (rc == 0 && rewriting->bytes.len)
        rc = note_rings(rewriting, order->last);
    const struct section_move *move = (const void *)(rewriting->moves.data + moves_start);
    for (; rc == 0 && (const char *)move < rewriting->moves.data + rewriting->moves.len; move++)
        rc = save_floor(rewriting, move);
    return rc;
}

/* As if the order had not been given. */
static void take_order_back(struct rewriting *rewriting, size_t moves_start)
{
    rewriting->move_count -= (rewriting->moves.len - moves_start) / sizeof(struct section_move);
    rewriting->moves.len = moves_start;
}

static int plan_order(struct rewriting *rewriting, const struct rewrite_order *order)
{
    begin_order(rewriting);
    int rc = take_batches(rewriting, order);
    if (rc == 0)
        rc = rewrite_fold_finish(rewriting);
    if (rc == 0)
        rc = compose(rewriting, order);
    return rc == -EIO ? -EBADMSG : rc;
}

int rewrite_batches(struct rewriting *rewriting, const struct rewrite_order *order)
{
    size_t moves_start = rewriting->moves.len;
    uint64_t folded = rewriting->folded;
    uint64_t removed = rewriting->removed;
    int rc = plan_order(rewriting, order);
    bool idle = order->fold_below && order->first == order->last && rewriting->folded == folded;
    if (rc || idle) {
        take_order_back(rewriting, moves_start);
        rewriting->removed = removed;
        return rc;
    }
    rc = write_result(rewriting, order, moves_start);
    if (rc)
        return rc;
    struct batch_result result = {
        .first = order->first,
        .now = {.number = order->last,
            .first = rewriting->first,
            .size = (uint32_t)rewriting->bytes.len,
            .sections = source_count(rewriting)},
    };
    rewriting->copied += result.now.size;
    buffer_append(&rewriting->results, &result, sizeof(result));
    return buffer_error(&rewriting->results);
}

/* ---- memory */

static void drop_oldest(struct history *history, const struct section_move *move)
{
    struct history_stream *stream = move->stream;
    uint64_t bytes = move->dropped_bytes - stream->cut_bytes;
    uint64_t events = move->dropped_events - stream->cut_events;
    stream->bytes -= bytes;
    stream->events -= events;
    stream->cut_bytes = 0;
    stream->cut_events = 0;
    history->events -= events;
    if (move->floor > stream->floor) {
        history->numbers -= move->floor - stream->floor;
        stream->floor = move->floor;
    }
}

static void apply_move(struct history *history, const struct section_move *move)
{
    struct index *index = &move->stream->index;
    uint32_t slot = index_find(index, move->first_seq);
    if (slot == index->start)
        drop_oldest(history, move);
    else
        assert(move->dropped_events == 0);
    if (move->gone)
        index_pop_front(index);
    else if (move->joins)
        index_replace(index, slot - 1, 2, &move->entry);
    else
        index_replace(index, slot, 1, &move->entry);
}

static void apply_result(struct batches *batches, const struct batch_result *result)
{
    uint64_t last = result->now.number;
    struct retained_batch *each = batches_at_least(batches, result->first);
    for (; each->number < last; each = batches_at_least(batches, result->first))
        batches_remove(batches, each);
    if (result->now.size)
        batches_rewritten(batches, each, &result->now);
    else
        batches_remove(batches, each);
}

void rewrite_apply(const struct rewriting *rewriting)
{
    struct history *history = rewriting->history;
    const struct section_move *moves = (const void *)rewriting->moves.data;
    for (size_t i = 0; i < rewriting->moves.len / sizeof(*moves); i++)
        apply_move(history, &moves[i]);
    const struct batch_result *results = (const void *)rewriting->results.data;
    for (size_t i = 0; i < rewriting->results.len / sizeof(*results); i++)
        apply_result(&history->batches, &results[i]);
    rewrite_fold_apply(rewriting);
    const struct ring_move *rings = (const void *)rewriting->rings.data;
    for (size_t i = 0; i < rewriting->rings.len / sizeof(*rings); i++)
        positions_move(&history->positions, rings[i].ring, rings[i].batch);
}

struct lone_order {
    struct rewriting rewriting;
    const struct rewrite_order *order;
};

static int rewrite_work(struct store *store, void *context)
{
    (void)store;
    struct lone_order *lone = context;
    rewrite_reset(&lone->rewriting);
    return rewrite_batches(&lone->rewriting, lone->order);
}

int history_rewrite(struct history *history, const struct rewrite_order *order)
{
    struct lone_order lone = {.order = order};
    rewrite_init(&lone.rewriting, history);
    int rc = store_write(history->store, rewrite_work, &lone);
    if (rc == 0)
        rewrite_apply(&lone.rewriting);
    rewrite_deinit(&lone.rewriting);
    return rc == -EBADMSG ? -EIO : rc;
}
