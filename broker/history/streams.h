/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/identifier.h"
#include "base/list.h"
#include "base/map.h"
#include "base/region.h"
#include "history/index.h"
#include "history/store.h"

/*
 * The streams in memory. Numbers: floor <= committed_head + 1 <= kept_head + 1 <= shown_head + 1 <=
 * head + 1. What lies between committed_head and head is staged: up to kept_head it is committed
 * all the same, in the journal; up to shown_head it can be read.
 *
 * The *floor* is the oldest retained number. Events below it are dead: nobody reads them any more,
 * and their bytes may still stand in a batch until that is rewritten. A floor that the batches do
 * not tell is kept in the stream's row. The *cut* is what is dead of the section the floor lies in.
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
    uint64_t committed_head; /* in batches */
    uint64_t kept_head;
    uint64_t shown_head;
    uint64_t floor;
    uint64_t events; /* retained */
    uint64_t bytes;  /* of those */
    uint32_t cut_bytes;
    uint32_t cut_events;
    uint32_t staged_section; /* valid while head != committed_head */
    uint64_t planned_floor;  /* rewrite.c's own, as the next two */
    uint64_t planned_by;
    uint32_t rewrite_section;
    struct list_link over_link; /* in history.over */
    uint64_t pin;               /* first number of its open runs; UINT64_MAX: none */
    uint64_t former_pin;        /* the lowest since the last commit, when that was `pinned_at` */
    uint64_t pinned_at;
    char suffix[STREAM_EPOCH_SUFFIX_LEN + 1];
    char epoch[HISTORY_EPOCH_SIZE];
    size_t user_len;
    char user_id[];
};

struct streams {
    struct store *store;           /* borrowed */
    const struct staging *staging; /* borrowed */
    struct map by_user;            /* struct history_stream, keyed by its user_id */
    struct region region;          /* where they are */
    char store_epoch[STREAM_EPOCH_STORE_LEN + 1];
    uint64_t first_head; /* of a stream that is new: 0, unless batches were damaged (damage.h) */
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

/* A row of the table `streams`: what the batches do not tell. */
struct stream_row {
    const struct history_stream *stream;
    const char *suffix;
    uint64_t head;
    uint64_t floor;
    uint32_t cut_bytes;
    uint32_t cut_events;
};
#define STREAM_ROW_SIZE 32
/* As the stream stands. */
struct stream_row streams_row(const struct history_stream *stream);
int streams_save(struct store *store, const struct stream_row *row);
/* Makes the stream of a row that was read, with its head. -EUCLEAN, -ENOMEM. */
int streams_load(struct streams *streams, const struct store_entry *row);

static inline struct span stream_user(const struct history_stream *stream)
{
    return span_of(stream->user_id, stream->user_len);
}

/* What is pinned after so many commits. A pin that is raised holds until the next commit: that a
 * run ended is not kept before. */
static inline uint64_t stream_pin(const struct history_stream *stream, uint64_t commits)
{
    bool held = commits <= stream->pinned_at && stream->former_pin < stream->pin;
    return held ? stream->former_pin : stream->pin;
}

static inline void streams_prefetch(const struct history_stream *stream)
{
    for (size_t at = 0; at < sizeof(*stream) + 16; at += 64)
        __builtin_prefetch((const char *)stream + at, 1);
}
