/* SPDX-License-Identifier: Apache-2.0 */
#include "history/private.h"

#include "base/cleanup.h"
#include "failpoints/failpoint.h"
#include "history/sync.h"

#include <errno.h>

/*
 * Commits that go to the journal. What they commit stays staged, is readable from there, and is
 * part of the next batch: the store is written once for many of them. That is not only less work.
 * Each transaction of LMDB frees some pages, which the next sync's reader keeps from being used
 * again for a while; thousands a second make a list in which LMDB looks for a run of pages for a
 * quarter of a second at a time, with everything waiting.
 *
 * A frame that was not written whole leaves its commit to the store, and so do all that follow
 * until a batch is written: frames behind one that is missing would not be found.
 */

/* ---- committing */

void journaling_note(struct history *history, const struct frame_note *note)
{
    history->uncommitted = true;
    if (history->journals && !history->store_due)
        frame_add_note(&history->notes, note);
}

static void list_opened(struct history *history)
{
    const struct staging *staging = &history->staging;
    buffer_clear(&history->opened);
    for (uint32_t i = staging->kept_sections; i < staging->section_count; i++)
        frame_add_section(&history->opened,
            &(struct frame_section){staging->sections[i].first_seq, staging->sections[i].user_id});
}

static int add_frame(struct history *history)
{
    const struct staging *staging = &history->staging;
    uint32_t events = staging->entry_count - staging->kept;
    struct frame_input input = {.batch = history->next_batch,
        .sections = buffer_span(&history->opened),
        .entries = span_of(
            events ? staging->entries + staging->kept : NULL, events * sizeof(struct batch_entry)),
        .data = span_of(events ? staging->data.data + staging->kept_bytes : NULL,
            staging->taken - staging->kept_bytes),
        .notes = buffer_span(&history->notes)};
    return journal_add(&history->journal, &input);
}

/* Cheap to tell for a batch that is far too large, and then nothing is made ready for it. */
static bool may_fit(const struct history *history)
{
    const struct journal *journal = &history->journal;
    size_t size = history->staging.taken - history->staging.kept_bytes;
    return history->journals && !history->store_due && !history->epoch_unsaved &&
           size < journal->size - journal->used;
}

int journaling_commit(struct history *history)
{
    int rc = may_fit(history) ? 0 : -ENOBUFS;
    if (rc == 0) {
        list_opened(history);
        rc = buffer_error(&history->opened) || buffer_error(&history->notes) ? -ENOMEM : 0;
    }
    if (rc == 0)
        rc = staging_link(&history->staging);
    if (rc == 0)
        rc = add_frame(history);
    history->store_due = history->store_due || rc;
    if (rc)
        return rc;
    FAILPOINT(commit_journaled);
    staging_keep(&history->staging);
    buffer_clear(&history->notes);
    history->uncommitted = false;
    history->commits++;
    return 0;
}

void journaling_stored(struct history *history)
{
    journal_begin(&history->journal);
    buffer_clear(&history->notes);
    history->uncommitted = false;
    history->store_due = false;
    history->stored = history->commits;
}

/* ---- taking in again */

/* Each section of the batch being staged: its stream, or NULL when its numbers are not the next
 * ones. That is so where damage has taken what came before, and these numbers with it. */
struct replay {
    struct history *history;
    struct buffer streams;
};

static struct history_stream **replay_stream(struct replay *replay, uint32_t section)
{
    struct history_stream **streams = (struct history_stream **)(void *)replay->streams.data;
    return section < replay->streams.len / sizeof(void *) ? &streams[section] : NULL;
}

static int replay_sections(struct replay *replay, const struct frame *frame)
{
    struct frame_section section;
    struct span rest = frame->sections;
    int rc;
    while ((rc = frame_next_section(&section, &rest)) == 1) {
        struct history_stream *stream = history_stream(replay->history, section.user_id);
        if (!stream)
            return -ENOMEM;
        if (section.first_seq != stream->head + 1)
            stream = NULL;
        buffer_append(&replay->streams, &stream, sizeof(struct history_stream *));
    }
    return rc ? rc : buffer_error(&replay->streams);
}

static int replay_events(struct replay *replay, const struct frame *frame)
{
    size_t at = 0;
    for (size_t i = 0; i < frame->entries.len; i += sizeof(struct batch_entry)) {
        struct batch_entry entry;
        memcpy(&entry, frame->entries.data + i, sizeof(entry));
        struct history_stream **stream = replay_stream(replay, entry.section);
        if (!stream || entry.len > frame->data.len - at)
            return -EBADMSG;
        struct span event = span_of(frame->data.data + at, entry.len);
        int rc = *stream ? history_append(replay->history, *stream, (*stream)->head + 1, event) : 0;
        if (rc)
            return rc;
        at += entry.len;
    }
    return 0;
}

static int replay_note(struct history *history, const struct frame_note *note)
{
    switch (note->kind) {
    case FRAME_POSITION: return history_stage_position(history, &note->position);
    case FRAME_OPEN_RUN:
    case FRAME_CLOSED_RUN:
        return history_stage_run(history, note->id, note->kind == FRAME_OPEN_RUN, note->value);
    case FRAME_MESSAGE: return history_stage_message(history, note->user_id, note->id, note->value);
    }
    return -EBADMSG;
}

static int replay_frame(struct replay *replay, const struct frame *frame)
{
    struct frame_note note;
    struct span rest = frame->notes;
    int rc = replay_sections(replay, frame);
    if (rc == 0)
        rc = replay_events(replay, frame);
    int more = rc ? 0 : 1;
    while (rc == 0 && (more = frame_next_note(&note, &rest)) == 1)
        rc = replay_note(replay->history, &note);
    return rc ? rc : more;
}

static int replay_frames(struct history *history, struct span bytes)
{
    struct replay replay = {.history = history};
    struct frame frame;
    int rc = 0;
    while (rc == 0 && journal_take(&history->journal, &frame, bytes, history->next_batch))
        rc = replay_frame(&replay, &frame);
    buffer_deinit(&replay.streams);
    if (rc == 0)
        rc = staging_link(&history->staging);
    if (rc || !history->uncommitted)
        return rc;
    staging_keep(&history->staging);
    history->uncommitted = false;
    history->commits++;
    return 0;
}

int journaling_open(struct history *history, const struct history_options *options)
{
    _cleanup_(buffer_deinit) struct buffer bytes = BUFFER_INIT;
    bool wanted = options->journal_bytes && options->sync != HISTORY_SYNC_ALWAYS;
    int rc = journal_open(
        &history->journal, options->directory, wanted ? options->journal_bytes : 0, &bytes);
    if (rc == 0 && store_host_lost(history->store))
        rc = journal_void(&history->journal);
    else if (rc == 0)
        rc = replay_frames(history, buffer_span(&bytes));
    if (rc)
        return rc;
    history->journals = wanted && history->journal.fd >= 0;
    rc = history->journals ? 0 : history_settle(history);
    return history_is_full(rc) ? 0 : rc; /* there will be room again */
}
