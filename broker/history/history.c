/* SPDX-License-Identifier: Apache-2.0 */
#include "history/history.h"

#include "base/clock.h"
#include "failpoints/failpoint.h"
#include "history/copy.h"
#include "history/sync.h"
#include "history/trim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- opening */

static void history_free(struct history *history, bool clean)
{
    store_close(history->store, clean);
    journal_close(&history->journal);
    buffer_deinit(&history->opened);
    buffer_deinit(&history->notes);
    streams_deinit(&history->streams);
    positions_deinit(&history->positions);
    staging_deinit(&history->staging);
    records_deinit(&history->records);
    batches_deinit(&history->batches);
    damage_deinit(&history->damage);
    buffer_deinit(&history->wasteful);
    free(history);
}

int history_open(struct history **ret_history, const struct history_options *options,
    char ret_reason[HISTORY_REASON_SIZE])
{
    snprintf(ret_reason, HISTORY_REASON_SIZE, "out of memory");
    struct history *history = calloc(1, sizeof(*history));
    if (!history)
        return -ENOMEM;
    history->sync = options->sync;
    history->max_bytes = options->max_bytes;
    history->max_age_ms = options->max_age_ms;
    history->max_events_per_user = options->max_events_per_user;
    history->max_bytes_per_user = options->max_bytes_per_user;
    history->keep_records_ms = options->keep_records_ms;
    history->fold_after_ms = options->fold_after_ms;
    list_init(&history->over);
    history->journal = JOURNAL_INIT;
    struct store_options store = {options->directory, options->sync, options->map_bytes};
    int rc = store_open(&history->store, &store, ret_reason);
    if (rc == 0) {
        history->streams.store = history->store;
        history->streams.staging = &history->staging;
        rc = history_load(history, ret_reason);
    }
    if (rc == 0) {
        rc = journaling_open(history, options);
        if (rc)
            snprintf(ret_reason, HISTORY_REASON_SIZE, "its journal cannot be taken in again (%s)",
                strerror(-rc));
    }
    if (rc) {
        history_free(history, false);
        return rc;
    }
    ret_reason[0] = '\0';
    *ret_history = history;
    return 0;
}

void history_close(struct history *history)
{
    if (history) /* what was only staged is not to be stored: then the journal is, when opened */
        history_free(history, !history->uncommitted && history_settle(history) == 0);
}

/* ---- streams */

struct history_stream *history_stream(struct history *history, struct span user_id)
{
    return streams_get(&history->streams, user_id);
}

struct history_stream *history_find_stream(struct history *history, struct span user_id)
{
    return streams_find(&history->streams, user_id);
}

uint64_t history_scan_streams(struct history *history, uint64_t cursor,
    void (*visit)(void *context, void *stream), void *context)
{
    return map_scan(&history->streams.by_user, cursor, visit, context);
}

void history_fetch(const struct history_stream *stream)
{
    for (size_t at = 0; at < sizeof(*stream); at += 64)
        __builtin_prefetch((const char *)stream + at);
}

struct span history_stream_user(const struct history_stream *stream)
{
    return stream_user(stream);
}

uint64_t history_head(const struct history_stream *stream)
{
    return stream->head;
}

uint64_t history_committed_head(const struct history_stream *stream)
{
    return stream->kept_head;
}

uint64_t history_shown_head(const struct history_stream *stream)
{
    return stream->shown_head;
}

uint64_t history_oldest(const struct history_stream *stream)
{
    return stream->floor;
}

void history_stream_usage(
    const struct history_stream *stream, struct history_stream_usage *ret_usage)
{
    uint64_t journaled = stream->kept_head - stream->committed_head;
    *ret_usage = (struct history_stream_usage){
        .events = stream->events + journaled,
        .bytes = stream->bytes + (journaled ? staging_bytes(stream->staging, stream) : 0),
        .oldest = stream->floor,
        .head = stream->kept_head,
    };
}

const char *history_epoch(const struct history_stream *stream)
{
    return stream->epoch;
}

struct renewal {
    const struct history_stream *stream;
    char suffix[STREAM_EPOCH_SUFFIX_LEN + 1];
};

static int save_renewal(struct store *store, void *context)
{
    const struct renewal *renewal = context;
    struct stream_row row = streams_row(renewal->stream);
    row.suffix = renewal->suffix;
    return streams_save(store, &row);
}

int history_renew_epoch(struct history *history, struct history_stream *stream)
{
    struct renewal renewal = {.stream = stream};
    streams_make_epoch(renewal.suffix, STREAM_EPOCH_SUFFIX_LEN);
    int rc = store_write(history->store, save_renewal, &renewal);
    if (rc)
        return rc;
    streams_set_suffix(&history->streams, stream, renewal.suffix);
    return history_sync(history);
}

/* ---- staging */

int history_append(
    struct history *history, struct history_stream *stream, uint64_t seq, struct span encoded)
{
    struct span staged;
    buffer_append_span(history_append_begin(history), encoded);
    return history_append_end(history, stream, seq, &staged);
}

struct buffer *history_append_begin(struct history *history)
{
    return &history->staging.data;
}

int history_append_end(
    struct history *history, struct history_stream *stream, uint64_t seq, struct span *ret_encoded)
{
    struct staging *staging = &history->staging;
    int rc = seq == stream->head + 1 ? staging_take(ret_encoded, staging, stream) : -EINVAL;
    if (rc)
        staging_drop(staging);
    history->uncommitted = history->uncommitted || rc == 0;
    return rc;
}

int history_stage_position(struct history *history, const struct history_position *position)
{
    int rc = positions_stage(&history->positions, position);
    if (rc == 0)
        journaling_note(
            history, &(struct frame_note){.kind = FRAME_POSITION, .position = *position});
    return rc;
}

int history_stage_run(struct history *history, struct span run_id, bool open, struct span record)
{
    int rc = records_stage_run(&history->records, run_id, open, record);
    if (rc == 0)
        journaling_note(history,
            &(struct frame_note){
                .kind = open ? FRAME_OPEN_RUN : FRAME_CLOSED_RUN, .id = run_id, .value = record});
    return rc;
}

int history_stage_message(
    struct history *history, struct span user_id, struct span message_id, struct span run_id)
{
    int rc = records_stage_message(&history->records, user_id, message_id, run_id);
    if (rc == 0)
        journaling_note(history,
            &(struct frame_note){
                .kind = FRAME_MESSAGE, .user_id = user_id, .id = message_id, .value = run_id});
    return rc;
}

/* ---- committing */

struct commit {
    struct history *history;
    struct batch_input input;
};

/* An earlier try that reported failure may after all have reached the file: it is replaced, since
 * more may have been staged meanwhile. */
static int reserve_batch(struct store *store, uint64_t number, size_t size, char **ret_bytes)
{
    struct span key = store_number_key(&number);
    int rc = store_append(store, STORE_BATCHES, key, size, ret_bytes);
    if (rc != -EEXIST)
        return rc;
    rc = store_delete(store, STORE_BATCHES, key);
    return rc ? rc : store_append(store, STORE_BATCHES, key, size, ret_bytes);
}

static int commit_work(struct store *store, void *context)
{
    struct commit *commit = context;
    const struct history *history = commit->history;
    const struct batch_input *input = &commit->input;
    char *bytes;
    int rc = history->positions.arena_changed ? store_clear(store, STORE_POSITIONS) : 0;
    if (rc == 0 && history->epoch_unsaved)
        rc = history_save_epoch(store, history->streams.store_epoch);
    if (rc == 0)
        rc = records_save(&history->records, store, input->number, input->time_ms);
    if (rc == 0)
        rc = reserve_batch(store, input->number, batch_size(input), &bytes);
    if (rc == 0)
        batch_write(bytes, input);
    return rc;
}

/* A section's stream and the end of its index are out of the cache: those of the next ones are
 * under way before it is their turn. */
static void fetch_ahead(const struct staging *staging, uint32_t section)
{
    if (section + 8 < staging->section_count)
        streams_prefetch(staging->streams[section + 8]);
    if (section + 4 < staging->section_count)
        index_prefetch_end(&staging->streams[section + 4]->index);
}

/* Memory that is needed then is taken before the commit: after it nothing may fail. */
static int reserve_memory(struct history *history)
{
    const struct staging *staging = &history->staging;
    for (uint32_t i = 0; i < staging->section_count; i++) {
        fetch_ahead(staging, i);
        int rc = index_reserve(&staging->streams[i]->index);
        if (rc)
            return rc;
    }
    return batches_reserve(&history->batches);
}

static void index_batch_sections(struct history *history, uint64_t number)
{
    const struct staging *staging = &history->staging;
    for (uint32_t i = 0; i < staging->section_count; i++) {
        struct history_stream *stream = staging->streams[i];
        fetch_ahead(staging, i);
        struct index_entry entry = {staging->sections[i].first_seq, index_place(number, i)};
        index_push(&stream->index, &entry);
        stream->committed_head = stream->head;
        stream->bytes += staging->sections[i].bytes;
        stream->kept_head = stream->head;
        stream->shown_head = stream->head;
        stream->events += staging->sections[i].count;
        floors_feed(history, stream);
    }
}

static void apply(struct history *history, const struct batch_input *input)
{
    struct retained_batch batch = {
        .number = input->number,
        .first = input->first,
        .time_ms = input->time_ms,
        .size = (uint32_t)batch_size(input),
        .sections = input->section_count,
    };
    index_batch_sections(history, input->number);
    positions_committed(&history->positions, input->number);
    records_committed(&history->records);
    staging_clear(&history->staging);
    batches_push(&history->batches, &batch);
    history->events += input->event_count;
    history->numbers += input->event_count;
    history->next_batch++;
    history->commits += history->uncommitted || history->epoch_unsaved;
    journaling_stored(history);
    if (history->sync == HISTORY_SYNC_ALWAYS)
        history->synced = history->commits;
}

/* What `state` says to the next opening. A note that stays costs that one an epoch, no more. */
static void settle_notes(struct history *history)
{
    (void)store_note_shown(history->store, false);
    if (history->epoch_unsaved)
        (void)store_settle_loss(history->store);
    history->epoch_unsaved = false;
}

/* One batch of all that is staged, what the journal has included. */
static int store_staged(struct history *history)
{
    struct commit commit = {.history = history};
    commit.input.number = history->next_batch;
    commit.input.first = history->next_batch;
    commit.input.time_ms = clock_wall_ms();
    commit.input.positions = history->positions.staged;
    commit.input.position_count = history->positions.staged_count;
    staging_describe(&history->staging, &commit.input);
    int rc = reserve_memory(history);
    if (rc == 0)
        rc = store_write(history->store, commit_work, &commit);
    history->store_due = rc != 0;
    if (rc)
        return rc;
    FAILPOINT(commit_done);
    apply(history, &commit.input);
    FAILPOINT(batch_applied);
    settle_notes(history);
    return 0;
}

int history_commit(struct history *history)
{
    if (!history->uncommitted && !history->epoch_unsaved)
        return 0;
    FAILPOINT(commit_begun);
    return journaling_commit(history) == 0 ? 0 : store_staged(history);
}

int history_settle(struct history *history)
{
    if (history->stored == history->commits)
        return 0;
    return history->store_due && history->uncommitted ? -EAGAIN : store_staged(history);
}

bool history_is_full(int rc)
{
    return rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG;
}

int history_show_staged(struct history *history)
{
    int rc = store_note_shown(history->store, true);
    return rc ? rc : staging_show(&history->staging);
}

uint64_t history_staged_events(const struct history *history)
{
    return history->staging.entry_count - history->staging.kept;
}

uint64_t history_commit_count(const struct history *history)
{
    return history->commits;
}

uint64_t history_synced_count(const struct history *history)
{
    return history->synced;
}

int history_sync(struct history *history)
{
    int unsettled = history_settle(history);
    int rc = store_sync(history->store);
    if (rc == 0)
        history->synced = history->stored;
    return rc ? rc : unsettled;
}

int history_sync_begin(struct history *history, int notify_fd)
{
    int unsettled = history_settle(history);
    int rc = store_sync_begin(history->store, notify_fd);
    if (rc)
        return rc;
    history->synced_next = history->stored;
    return unsettled != 0;
}

int history_sync_end(struct history *history)
{
    int rc = store_sync_end(history->store);
    if (rc == 0 && history->synced_next > history->synced)
        history->synced = history->synced_next;
    return rc;
}

/* ---- looking up */

int history_find_position(struct history *history, struct history_position *position)
{
    return positions_find(&history->positions, position);
}

void history_fetch_position(const struct history *history, uint64_t ring)
{
    positions_fetch(&history->positions, ring);
}

int history_find_run(struct history *history, struct span run_id, struct buffer *out)
{
    return records_find_run(out, &history->records, history->store, run_id);
}

int history_find_message(
    struct history *history, struct span user_id, struct span message_id, struct buffer *out)
{
    struct message_key key = {user_id, message_id};
    return records_find_message(out, &history->records, history->store, &key);
}

int history_list_messages(
    struct history *history, struct span user_id, struct span after, struct message_list *ret_list)
{
    const struct message_key key = {user_id, after};
    return records_list_messages(ret_list, &history->records, history->store, &key);
}

int history_each_open_run(struct history *history,
    int (*callback)(void *context, struct span run_id, struct span record), void *context)
{
    return records_each_open_run(&history->records, history->store, callback, context);
}

void history_usage(const struct history *history, struct history_usage *ret_usage)
{
    uint64_t gone = history->numbers - history->events;
    *ret_usage = (struct history_usage){
        .bytes = store_file_bytes(history->store),
        .events = history->events + history->staging.kept,
        .folded = gone > history->damage.lost ? gone - history->damage.lost : 0,
        .damaged_batches = damage_count(&history->damage),
        .lost = history->damage.lost,
        .streams = history->streams.by_user.count,
        .batches = history->batches.count,
        .batch_bytes = history->batches.bytes,
        .dead_bytes = history->batches.dead,
        .pinned_bytes = history->batches.carried,
        .excess_bytes = trim_excess(history),
    };
}

void history_forget_copiers(struct history *history)
{
    store_forget_readers(history->store);
}
