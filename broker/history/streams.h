/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/identifier.h"
#include "base/map.h"
#include "history/index.h"
#include "history/store.h"

/*
 * The streams in memory. Numbers: oldest <= committed_head + 1 <= shown_head + 1 <= head + 1. What
 * lies between committed_head and head is staged; up to shown_head it can be read nevertheless.
 *
 * An epoch is the store's epoch, which all streams share, and behind it the stream's own suffix,
 * empty until its first renewal.
 */
struct staging;

#define STREAM_EPOCH_STORE_LEN 16
#define STREAM_EPOCH_SUFFIX_LEN 8

struct history_stream {
    struct store *store;           /* borrowed */
    const struct staging *staging; /* borrowed */
    struct index index;
    uint64_t head;
    uint64_t committed_head;
    uint64_t shown_head;
    uint64_t bytes;          /* of the retained events */
    uint32_t staged_section; /* valid while head != committed_head */
    char suffix[STREAM_EPOCH_SUFFIX_LEN + 1];
    char epoch[HISTORY_EPOCH_SIZE];
    size_t user_len;
    char user_id[];
};

struct streams {
    struct store *store;           /* borrowed */
    const struct staging *staging; /* borrowed */
    struct map by_user;            /* struct history_stream, keyed by its user_id */
    char store_epoch[STREAM_EPOCH_STORE_LEN + 1];
};

void streams_deinit(struct streams *streams);
/* Found or made. NULL when memory is out, or the identifier is empty or above IDENTIFIER_MAX. */
struct history_stream *streams_get(struct streams *streams, struct span user_id);
struct history_stream *streams_find(const struct streams *streams, struct span user_id);
/* The store's epoch; every stream's follows. */
void streams_set_epoch(struct streams *streams, const char *store_epoch);
void streams_set_suffix(
    const struct streams *streams, struct history_stream *stream, const char *suffix);
/* Fills `len` random letters and digits and a NUL. */
void streams_make_epoch(char *ret_text, size_t len);
/* Whether `text` is `len` letters and digits. */
bool streams_epoch_valid(struct span text, size_t len);

/* A row of the table `streams`: head and suffix, for streams whose batches do not tell them. */
#define STREAM_ROW_SIZE 16
int streams_save(
    struct store *store, const struct history_stream *stream, uint64_t head, const char *suffix);
/* Makes the stream of a row that was read, with its head. -EUCLEAN, -ENOMEM. */
int streams_load(struct streams *streams, const struct store_entry *row);

static inline struct span stream_user(const struct history_stream *stream)
{
    return span_of(stream->user_id, stream->user_len);
}

static inline uint64_t stream_oldest(const struct history_stream *stream)
{
    const struct index_entry *front = index_front(&stream->index);
    return front ? front->first_seq : stream->committed_head + 1;
}
